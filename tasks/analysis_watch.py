"""``analysis.watch``: score what is new in stored series, and settle incidents."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from db import analyses, stream_states
from db.session import Connection
from tasks import grouping as rules
from tasks.analysis_options import Asked, JudgingParams
from tasks.analysis_report import anomaly_json, found_anomaly
from tasks.catalog import Params, Parts, job_type
from tasks.context import JobContext, Outcome
from tasks.incidents import settle
from tasks.inputs import selected
from tasks.parts import by_series
from tasks.watching import Seen, Watch, see

if TYPE_CHECKING:
    from db.series import Series

_SERIES_AT_ONCE = 50
_HAPPENED = ("opened", "updated", "resolved")


class Grouping(Params):
    """Which anomalies make one incident."""

    by: Literal["tag", "series"] = Field(
        default="tag", description="Series that share a tag, or each on its own."
    )
    tags: list[str] | None = Field(
        default=None, max_length=100, description="Which tags count; all by default."
    )
    join_s: float = Field(
        default=3_600.0, ge=0, description="Seconds between anomalies of one incident."
    )
    recover_s: float = Field(
        default=3_600.0,
        ge=0,
        description="Seconds without an anomaly after which it is over.",
    )
    cooldown_s: float = Field(
        default=21_600.0,
        ge=0,
        description="Seconds in which another one opens it again.",
    )

    @model_validator(mode="after")
    def _fits(self) -> "Grouping":
        if self.recover_s < self.join_s:
            message = "recover_s must not be less than join_s"
            raise ValueError(message)
        return self

    def rules(self) -> rules.Grouping:
        """Return the rules of incidents that are opened."""
        tags = None if self.tags is None else tuple(self.tags)
        return rules.Grouping(
            self.join_s, self.recover_s, self.cooldown_s, self.by, tags
        )


class WatchParams(JudgingParams):
    """Stored series to watch; made for a schedule."""

    name: str = Field(
        default="watch",
        pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$",
        description="Watches of one series with different names remember apart.",
    )
    history: int = Field(
        default=4_000,
        ge=100,
        le=100_000,
        description="Observations that a series is learnt from at first.",
    )
    grouping: Grouping = Field(
        default_factory=Grouping, description="Which anomalies belong together."
    )
    impute: Literal["none"] = Field(
        default="none", description="Missing points stay missing."
    )

    @model_validator(mode="after")
    def _stored(self) -> "WatchParams":
        if self.data is not None or self.as_of is not None:
            message = "a watch is over stored series as they are: give series"
            raise ValueError(message)
        return self


COLUMNS = ("start", "end", "kind", "severity", "score", "value", "expected")


def as_table(result: Mapping[str, Any]) -> tuple[list[str], list[list[Any]]]:
    """Return a result as columns and rows, one for each anomaly."""
    rows = [
        [item["unique_id"], *(one[name] for name in COLUMNS), one["explanation"]]
        for item in result["series"]
        for one in item["anomalies"]
    ]
    return ["unique_id", *COLUMNS, "explanation"], rows


def _merged(
    params: WatchParams, results: Iterator[Mapping[str, Any]], _context: JobContext
) -> Outcome:
    """Put the series of all parts together, and what happened to incidents.

    Nothing new is an answer too, so nothing is refused here.
    """
    happened: dict[str, set[str]] = {name: set() for name in _HAPPENED}
    whole: dict[str, list[Any]] = {"series": [], "failed": []}
    for one in results:
        for name, ids in one["incidents"].items():
            happened[name].update(ids)
        for name, items in whole.items():
            items.extend(one[name])
    shown = {name: sorted(ids) for name, ids in happened.items()}
    return Outcome({"watch": params.name, **whole, "incidents": shown})


@job_type(
    "analysis.watch",
    params=WatchParams,
    queue="analysis",
    table=as_table,
    parts=Parts(by_series("analysis.watch").split, _merged),
)
def analysis_watch(params: WatchParams, context: JobContext) -> Outcome:
    """Score what has come since the last look, from what each series remembers."""
    watch = Watch(
        params.name,
        Asked(params, context, mode="replay"),
        params.history,
        params.use_feedback,
        context.now,
    )
    wanted = selected(params, context)
    done: list[Seen] = []
    failed: list[dict[str, str]] = []
    for first in range(0, len(wanted), _SERIES_AT_ONCE):
        some = wanted[first : first + _SERIES_AT_ONCE]
        context.progress(first, len(wanted), "series", f"watching {some[0].key}")
        with context.read() as connection:
            seen, bad = see(
                connection, tenant_id=context.tenant_id, watch=watch, series=some
            )
        done += seen
        failed += bad
    context.progress(len(wanted), len(wanted), "series", "storing")
    by_id = {one.id: one for one in wanted}

    def store(connection: Connection) -> Mapping[str, Any]:
        settled = _settled(connection, params, context, watch, (done, by_id))
        return {
            "series": [_as_json(one) for one in settled[0]],
            "incidents": settled[1],
        }

    return Outcome({"watch": params.name, "failed": failed}, store)


def _settled(
    connection: Connection,
    params: WatchParams,
    context: JobContext,
    watch: Watch,
    given: "tuple[Sequence[Seen], Mapping[int, Series]]",
) -> tuple[list[Seen], dict[str, list[str]]]:
    """Write states, anomalies and incidents in one transaction."""
    done, by_id = given
    tenant_id = context.tenant_id
    fresh = _still_so(connection, tenant_id, watch, (done, by_id))
    for one in fresh:
        if one.anomalies:
            analyses.store(
                connection,
                tenant_id=tenant_id,
                job_id=context.job_id,
                new=_as_row(one),
            )
    stream_states.save(
        connection,
        tenant_id=tenant_id,
        name=params.name,
        states=[one.state for one in fresh],
        now=context.now,
    )
    told = settle(
        connection,
        tenant_id=tenant_id,
        found={
            one.series_id: [found_anomaly(each) for each in one.anomalies]
            for one in fresh
        },
        seen={one.series_id: one.state.upto for one in fresh},
        grouping=params.grouping.rules(),
        now=context.now,
    )
    return fresh, {name: list(getattr(told, name)) for name in _HAPPENED}


def _still_so(
    connection: Connection,
    tenant_id: int,
    watch: Watch,
    given: "tuple[Sequence[Seen], Mapping[int, Series]]",
) -> list[Seen]:
    """Return what was seen, once more for series that another run has seen meanwhile.

    Who scored from a state that is no longer there would report twice.
    """
    done, by_id = given
    ids = [one.series_id for one in done]
    stream_states.hold(connection, series_ids=ids, name=watch.name)
    states = stream_states.load(
        connection, tenant_id=tenant_id, series_ids=ids, name=watch.name
    )
    versions = {number: one.version for number, one in states.items()}
    good = [one for one in done if versions.get(one.series_id, 0) == one.version]
    kept = {one.series_id for one in good}
    again = [by_id[number] for number in ids if number not in kept]
    seen, _ = see(connection, tenant_id=tenant_id, watch=watch, series=again)
    return [*good, *seen]


def _as_row(one: Seen) -> analyses.NewAnalysis:
    return analyses.NewAnalysis(
        series_id=one.series_id,
        mode="watch",
        start_at=one.since or one.state.upto,
        end_at=one.state.upto,
        anomalies=[found_anomaly(each) for each in one.anomalies],
    )


def _as_json(one: Seen) -> dict[str, Any]:
    return {
        "unique_id": one.unique_id,
        "points": one.points,
        "upto": one.state.upto.isoformat().replace("+00:00", "Z"),
        "remark": one.remark,
        "anomalies": [anomaly_json(each) for each in one.anomalies],
    }
