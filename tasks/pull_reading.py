"""A partition as the archive holds it: its rows under the tenant's keys."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from db.sources import Source
from tasks.loads import LISTED, Tally
from tasks.raw import Archived
from tasks.source_plan import WITHIN, Opened

if TYPE_CHECKING:
    import pyarrow as pa

    from ingest.batch import Batch, Rejected
    from ingest.contract import Partition, SeriesMeta


class Reading:
    """The rows of a partition, and what else its answers say."""

    def __init__(self, one: Opened, partition: "Partition", archived: Archived) -> None:
        from ingest.errors import IngestError
        from ingest.exchange import Unreachable
        from ingest.fetch import Refused

        self.faults = (IngestError, Refused, Unreachable)
        self.tally = Tally()
        self.metas: dict[str, SeriesMeta] = {}
        self.drift: dict[str, None] = {}
        self.total: int | None = None
        self.complete = True
        self.verdicts: set[str] = set()
        self.fetched_at: datetime | None = None
        self.marks: dict[str, datetime] = {}
        self._one = one
        self._partition = partition
        self._archived = archived
        self.issued = False
        self.outside: int | None = 0 if partition.part.get(WITHIN) else None
        self.bad: list[tuple[Rejected, str | None]] = []

    def rows(self) -> Iterator["pa.RecordBatch"]:
        """Yield the good rows; nothing of the outside is asked."""
        from ingest.fetch import exchanges

        found = exchanges(
            self._one.connector,
            self._partition,
            transport=self._archived,
            pause=lambda _: None,
        )
        for exchange in found:
            page = exchange.page
            sha256 = self._archived.sha256(exchange.request)
            self.verdicts.add(page.verdict.cls)
            if page.verdict.cls in ("metadata", "ignored"):
                # A file that is passed over has a rejected row that tells of it.
                yield from self.tally.good_rows(self._mapped(page.batches, sha256))
                continue
            at = exchange.answer.fetched_at
            self.fetched_at = min(at, self.fetched_at or at)
            self.metas |= {meta.key: meta for meta in page.series}
            self.drift |= dict.fromkeys(page.drift)
            self.total = page.total if page.total is not None else self.total
            self.complete = self.complete and page.complete
            yield from self.tally.good_rows(self._mapped(page.batches, sha256))

    def key(self, local: str) -> str:
        """Return what the tenant calls a series of the source."""
        return renamed(self._one.source, local)

    def _mapped(
        self, batches: Iterable["Batch"], sha256: str | None
    ) -> Iterator["Batch"]:
        import pyarrow as pa
        import pyarrow.compute as pc

        for batch in map(self._within, batches):
            self.issued = self.issued or "issued_at" in batch.rows.schema.names
            for bad in batch.rejected:
                if len(self.bad) < LISTED:
                    self.bad.append((self._placed(bad), sha256))
            encoded = batch.rows["series_key"].dictionary_encode()
            local = encoded.dictionary.to_pylist()
            self._mark(batch, local)
            keys = pa.array([self.key(one) for one in local], pa.string())
            mapped = pc.take(keys, encoded.indices)
            at = batch.rows.schema.get_field_index("series_key")
            named = batch.rows.set_column(at, batch.rows.schema.field(at), mapped)
            yield replace(batch, rows=named)

    def _within(self, batch: "Batch") -> "Batch":
        """Leave out what lies outside a window that the source cannot be asked for."""
        import pyarrow.compute as pc

        start, end = self._partition.start, self._partition.end
        if self.outside is None or start is None or end is None:
            return batch
        ts = batch.rows["ts"]
        inside = pc.and_(pc.greater_equal(ts, start), pc.less(ts, end))
        rows = batch.rows.filter(inside)
        bad = tuple(
            one
            for one in batch.rejected
            if one.place is None or start <= one.place[1] < end
        )
        self.outside += len(batch.rows) - len(rows) + len(batch.rejected) - len(bad)
        return replace(batch, rows=rows, rejected=bad)

    @property
    def expected(self) -> int | None:
        """How many rows there should be, where the source says how many it has."""
        return None if self.total is None else self.total - (self.outside or 0)

    def _placed(self, bad: "Rejected") -> "Rejected":
        if bad.place is None:
            return bad
        local, at = bad.place
        return replace(bad, place=(self.key(local), at))

    def _mark(self, batch: "Batch", local: list[str]) -> None:
        """Note up to when each series has values: the watermark follows data."""
        import pyarrow as pa

        if not local:
            return
        rows = pa.Table.from_batches([batch.rows])
        newest = rows.group_by("series_key").aggregate([("ts", "max")])
        for one, at in zip(
            newest["series_key"].to_pylist(), newest["ts_max"].to_pylist(), strict=True
        ):
            self.marks[one] = max(at, self.marks.get(one, at))


def renamed(source: Source, local: str) -> str:
    """Return what the tenant calls a series that a source calls ``local``."""
    mapping = source.options.get("mapping") or {}
    named = (mapping.get("keys") or {}).get(local)
    prefix = mapping.get("prefix")
    prefix = f"{source.name}." if prefix is None else prefix
    return str(named or f"{prefix}{local}")
