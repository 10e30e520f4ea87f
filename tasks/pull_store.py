"""The load of one partition: parsed from the archive, judged, merged, written down.

All of it is one transaction: versions, current values, tombstones, quarantine, the
ledger and the watermarks appear together or not at all.
"""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from db import loads, raw_upkeep, source_progress, withdrawals
from db.session import Connection
from tasks import pull_bind, pull_checks
from tasks.errors import SourceUnavailable
from tasks.pull_ledger import UNCHANGED, Ended, Load, record, run_id
from tasks.pull_reading import Reading
from tasks.source_plan import Opened

if TYPE_CHECKING:
    from ingest.contract import Partition
    from ingest.quality import QualityRules, RowCounts

_CLOCKS = timedelta(seconds=1)
"""By so much the clocks of workers may differ."""

RULES = ("max_rejected", "max_rejected_share", "min_score", "max_withdrawn_share")


def store(
    connection: Connection, one: Opened, partition: "Partition", how: Load
) -> Ended:
    """Load what the archive holds of a partition, and write down how it ended.

    Raises:
        SourceUnavailable: the pages together are not what the source declared.
    """
    source_progress.hold(connection, source_id=one.source.id, partition_id=partition.id)
    context, job_id = how.context, how.archived.job_id
    reading = Reading(one, partition, how.archived)
    try:
        # What cannot be read must leave a transaction in which the job can end.
        with connection.begin_nested():
            staged = loads.stage(connection, reading.rows())
    except reading.faults as error:
        ended = Ended("failed", "malformed", str(error))
        with context.note() as noting:
            record(noting, one, partition, context, ended, job_id=job_id)
        return ended
    ended = _Publishing(connection, one, partition, how, (reading, staged)).publish()
    if ended.state in ("failed", "held"):
        with context.note() as noting:
            record(noting, one, partition, context, ended, job_id=job_id)
    else:
        record(connection, one, partition, context, ended, job_id=job_id)
    return ended


class _Publishing:
    def __init__(
        self,
        connection: Connection,
        one: Opened,
        partition: "Partition",
        how: Load,
        read: tuple[Reading, loads.Staged],
    ) -> None:
        self._connection = connection
        self._one = one
        self._partition = partition
        self._context = how.context
        self._how = how
        self._reading, self._staged = read

    def publish(self) -> Ended:
        """Write what may be published, and hold back what may not."""
        reading = self._reading
        changed = pull_bind.changed_unit(
            self._connection, self._one, self._context, reading
        )
        if changed is not None:
            return Ended("failed", "schema_drift", changed)
        if not self._staged.rows:
            return self._nothing()
        now = self._context.now
        with self._connection.begin_nested() as savepoint:
            loaded = loads.merge(
                self._connection,
                staged=self._staged,
                tenant_id=self._context.tenant_id,
                run_id=run_id(self._context),
                now=now,
                known_from=reading.fetched_at or now,
                outdated_by=self._outdated_by(),
            )
            short = self._short(loaded)
            withdrawn, stored = self._withdraw(loaded)
            counts = self._counts(loaded, withdrawn, stored)
            held = _why_held(counts, self._rules())
            if held is not None or short is not None:
                savepoint.rollback()
        if short is not None:
            return self._incomplete(short)
        quality = _quality(counts)
        if held is not None:
            told = {"rejected": counts.rejected, "missing": counts.missing}
            return self._held(loaded, Ended("held", *held, told, quality))
        self._quarantine(self._connection, loaded)
        settled = self._supersede(loaded)
        pull_bind.bind(
            self._connection, self._one, self._context, reading, moves=self._how.moves
        )
        told = {**self._told(loaded, withdrawn), **settled}
        told |= pull_checks.checked(
            self._connection, self._partition, self._how, loaded
        )
        return Ended("done", counts=told, quality=quality)

    def _nothing(self) -> Ended:
        reading = self._reading
        told = {"missing": reading.tally.missing, **self._outside()}
        if reading.tally.rejected_total:
            counts = self._counts(None, 0, 0)
            detail = f"not one of {counts.rejected} rows is good"
            told["rejected"] = counts.rejected
            quality = _quality(counts)
            return self._held(
                None, Ended("held", "nothing_good", detail, told, quality)
            )
        if UNCHANGED in reading.verdicts:
            detail = "the source says that nothing has changed since the last read"
            return Ended("done", UNCHANGED, detail, told)
        if "not_available" in reading.verdicts:
            detail = "the source says that there is nothing yet, or not that day"
            return Ended("not_available", "not_available", detail, told)
        short = self._short(None)
        return Ended("empty", counts=told) if short is None else self._incomplete(short)

    def _held(self, loaded: loads.Loaded | None, ended: Ended) -> Ended:
        """Keep the bad rows even if the job fails for them."""
        with self._context.note() as connection:
            self._quarantine(connection, loaded)
        return ended

    def _outdated_by(self) -> datetime | None:
        """Return since when a value came later than these answers, and stays.

        A run that was held up, and a replay, bring what was true before.
        """
        fetched_at = self._reading.fetched_at
        return None if fetched_at is None else fetched_at + _CLOCKS

    def _short(self, loaded: loads.Loaded | None) -> str | None:
        """Return what to say where rows lack that the source declared, or None."""
        counts, total = self._counts(loaded, 0, 0), self._reading.expected
        if total is None or counts.seen >= total:
            return None
        return f"{counts.seen} distinct rows of {total} that were declared"

    def _incomplete(self, detail: str) -> Ended:
        """Have all asked again as long as there are attempts; a replay asks nothing.

        Raises:
            SourceUnavailable: there are attempts left.
        """
        ended = Ended("failed", "incomplete", detail)
        if self._how.replays:
            return ended
        with self._context.note() as connection:
            raw_upkeep.spoil(
                connection,
                tenant_id=self._context.tenant_id,
                job_id=self._context.job_id,
                partition_id=self._partition.id,
            )
        if self._context.final:
            return ended
        raise SourceUnavailable(f"incomplete: {detail}")

    def _withdraw(self, loaded: loads.Loaded) -> tuple[int, int]:
        """Make tombstones of what a window that is proven whole no longer holds."""
        one, partition = self._one, self._partition
        # Rows that are left out are counted, but not told apart: one of them that came
        # twice would stand for a row of the window that did not come.
        proven = self._reading.complete or (
            one.spec.completeness == "declared_total"
            and self._reading.total is not None
            and not self._reading.outside
        )
        if not proven or partition.start is None or partition.end is None:
            return 0, 0
        # A row that cannot be read may be one of those that seem to be gone.
        if self._reading.tally.rejected_total or loaded.conflicting:
            return 0, 0
        if not one.source.options.get("withdraw", True):
            return 0, 0
        gone = withdrawals.withdraw(
            self._connection,
            tenant_id=self._context.tenant_id,
            staged=self._staged,
            windows=[
                (window.key, partition.start, partition.end)
                for window in loaded.windows
            ],
            run_id=run_id(self._context),
            now=self._context.now,
            outdated_by=self._outdated_by(),
        )
        return gone, loaded.unchanged + loaded.revised + gone

    def _counts(
        self, loaded: loads.Loaded | None, withdrawn: int, stored: int
    ) -> "RowCounts":
        from ingest.quality import RowCounts

        reading = self._reading
        clashing = loaded.conflicting if loaded else 0
        good = loaded.written + loaded.revised + loaded.unchanged if loaded else 0
        return RowCounts(
            good=good,
            rejected=reading.tally.rejected_total + clashing,
            missing=reading.tally.missing,
            conflicting=clashing,
            expected=reading.expected,
            drift=len(reading.drift),
            withdrawn=withdrawn,
            stored=stored,
        )

    def _told(self, loaded: loads.Loaded, withdrawn: int) -> dict[str, Any]:
        tally = self._reading.tally
        return {
            "written": loaded.written,
            "revised": loaded.revised,
            "unchanged": loaded.unchanged,
            "missing": tally.missing,
            "duplicates": loaded.duplicates,
            "rejected": tally.rejected_total + loaded.conflicting,
            "withdrawn": withdrawn,
            "drift": list(self._reading.drift),
            **self._outside(),
        }

    def _outside(self) -> dict[str, int]:
        """Tell what was left out, of a source that cannot be asked for a window."""
        outside = self._reading.outside
        return {} if outside is None else {"outside": outside}

    def _rules(self) -> "QualityRules":
        from ingest.quality import QualityRules

        given = self._one.source.options.get("quality") or {}
        return QualityRules(
            **{name: given[name] for name in RULES if given.get(name) is not None}
        )

    def _quarantine(self, connection: Connection, loaded: loads.Loaded | None) -> None:
        pull_bind.quarantined(
            connection,
            self._one,
            self._how,
            self._reading,
            loaded,
            partition_id=self._partition.id,
        )

    def _supersede(self, loaded: loads.Loaded) -> dict[str, int]:
        """Settle what was held and is good now; a replay settles its own rows."""
        if self._how.replays:
            return {"superseded": 0}
        settled = pull_bind.superseded(
            self._connection,
            self._one,
            self._context,
            (self._reading, self._staged, loaded),
            partition=self._partition,
        )
        return {"superseded": settled}


def _why_held(counts: "RowCounts", rules: "QualityRules") -> tuple[str, str] | None:
    from ingest.quality import why_held

    return why_held(counts, rules)


def _quality(counts: "RowCounts") -> dict[str, Any]:
    from ingest.quality import described

    return described(counts)
