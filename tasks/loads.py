"""What loading has in common, whether a job does it or a request at once."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from db import ingest_runs, loads
from db.session import Connection
from tasks.errors import InvalidData

if TYPE_CHECKING:
    import pyarrow as pa

    from ingest.batch import Batch, Rejected

LISTED = loads.LISTED
"""Bad rows that a result names: those with the lowest numbers."""

_FIRST_REASONS = 3


class Tally:
    """Counts what comes out of a file beside the good rows."""

    def __init__(self, *, most_rows: int | None = None) -> None:
        """Begin with nothing; more good rows than ``most_rows`` are refused."""
        self._rows_left = most_rows
        self.missing = 0
        self.rejected_total = 0
        self._kept: list[Rejected] = []

    def good_rows(self, batches: Iterable["Batch"]) -> Iterator["pa.RecordBatch"]:
        """Yield the good rows of batches, and keep the tally of the others."""
        for batch in batches:
            self.missing += batch.missing
            self.reject(batch.rejected)
            if self._rows_left is not None:
                self._rows_left -= len(batch.rows)
                if self._rows_left < 0:
                    raise InvalidData(
                        "too many rows for one request: upload the file and "
                        "submit ingest.run"
                    )
            yield batch.rows

    def reject(self, rows: Iterable["Rejected"], *, unlisted: int = 0) -> None:
        """Add bad rows, and a number of further ones that are not named."""
        before = len(self._kept)
        self._kept.extend(rows)
        self.rejected_total += len(self._kept) - before + unlisted
        if len(self._kept) > 2 * LISTED:
            self._kept = sorted(self._kept)[:LISTED]

    @property
    def rejected(self) -> list["Rejected"]:
        """The first bad rows, in the order of the file."""
        return sorted(self._kept)[:LISTED]


@dataclass(frozen=True)
class Effect:
    """What a load did: the part of the result that all of them share, and windows."""

    result: Mapping[str, Any]
    windows: tuple[loads.Window, ...]


def store_batches(
    connection: Connection,
    *,
    tenant_id: int,
    batches: Iterable["Batch"],
    run: ingest_runs.NewRun,
    now: datetime,
    tally: Tally | None = None,
) -> Effect:
    """Stage and merge batches and record the run, all in the caller's transaction.

    Raises:
        InvalidData: there is no row at all, or not a single good one.
    """
    tally = tally or Tally()
    staged = loads.stage(connection, tally.good_rows(batches))
    if not staged.rows and not tally.missing:
        raise _nothing_good(tally)
    loaded = loads.merge(
        connection, staged=staged, tenant_id=tenant_id, run_id=run.id, now=now
    )
    tally.reject(
        conflicting(loaded), unlisted=loaded.conflicting - len(loaded.conflicts)
    )
    if not loaded.windows and not tally.missing:
        raise _nothing_good(tally)
    counts = {
        "written": loaded.written,
        "revised": loaded.revised,
        "unchanged": loaded.unchanged,
        "missing": tally.missing,
        "duplicates": loaded.duplicates,
        "rejected_total": tally.rejected_total,
    }
    ingest_runs.create(
        connection, tenant_id=tenant_id, new=replace(run, counts=counts), now=now
    )
    listed = [
        {"row": bad.row, "code": bad.code, "detail": bad.detail}
        for bad in tally.rejected
    ]
    return Effect({**counts, "rejected": listed}, loaded.windows)


def _nothing_good(tally: Tally) -> InvalidData:
    if not tally.rejected_total:
        return InvalidData("there is no row of data to load")
    first = tally.rejected[:_FIRST_REASONS]
    reasons = "; ".join(f"row {row.row}: {row.detail} ({row.code})" for row in first)
    return InvalidData(
        f"not one of {tally.rejected_total} rows can be loaded: {reasons}"
    )


def conflicting(loaded: loads.Loaded) -> Iterator["Rejected"]:
    """Yield the rows that came again with another value, as rejected."""
    from ingest.batch import Rejected

    for conflict in loaded.conflicts:
        yield Rejected(
            conflict.row,
            "conflicting_duplicate",
            f"{conflict.key} at {conflict.ts.isoformat().replace('+00:00', 'Z')} is in "
            f"{conflict.copies} rows with different values; none of them is loaded",
            f"{conflict.key} at {conflict.ts.isoformat()}: {conflict.value!r}",
            (conflict.key, conflict.ts),
        )
