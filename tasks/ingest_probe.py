"""``ingest.probe``: ask a source once, store nothing, show what it answers."""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

from pydantic import Field

from tasks import outside, pull_gate
from tasks.catalog import Limits, Params, job_type
from tasks.context import JobContext, Outcome
from tasks.errors import SourceRefused
from tasks.pull_reading import renamed
from tasks.source_plan import Opened, SourceName, opened, planned

if TYPE_CHECKING:
    from ingest.contract import Partition
    from ingest.exchange import Transport
    from ingest.fetch import Exchange


class ProbeParams(Params):
    """Which source to try, and how many of its rows to show."""

    source: SourceName = Field(description="The name of a source.")
    rows: int = Field(
        default=20, ge=0, le=1_000, description="How many rows to show; 0 for none."
    )
    discover: bool = Field(
        default=False, description="Also list the series that the source has."
    )


@job_type("ingest.probe", params=ProbeParams, queue="ingest", limits=Limits(300, 2))
def probe(params: ProbeParams, context: JobContext) -> Outcome:
    """Test the connection of a source and show its first rows; nothing is stored."""
    one = opened(context, name=params.source)
    plan = planned(one, context, mode="incremental", start=None, end=None)
    if not plan.partitions:
        raise SourceRefused(f"{one.source.name} has nothing to read in its window")
    last = plan.partitions[-1]
    try:
        with (
            pull_gate.clearly(one, context),
            outside.transport(one, last, context) as live,
        ):
            found = _tried(one, last, context, live, rows=params.rows)
            listed = _listed(one, live) if params.discover else {}
    except pull_gate.GivenUp as error:
        ended = error.ended
        words = f"{ended.reason}: {ended.detail}"
        raise SourceRefused(words, ended.reason) from error
    told = {"discovered": None, **found, **listed}
    return Outcome({"source": one.source.name, **told})


def _tried(
    one: Opened,
    partition: "Partition",
    context: JobContext,
    live: "Transport",
    *,
    rows: int,
) -> dict[str, Any]:
    from ingest.fetch import exchanges

    asked = 0
    shown: list[dict[str, Any]] = []
    rejected: list[dict[str, Any]] = []
    units: dict[str, str | None] = {}
    drift: dict[str, None] = {}
    verdict = "empty"
    for exchange in exchanges(
        one.connector,
        partition,
        transport=live,
        pause=lambda seconds: outside.pausing(context, seconds),
    ):
        asked += 1
        context.progress(asked, asked + 1, "answers", f"{asked} answers read")
        page = exchange.page
        if page.verdict.cls in ("metadata", "ignored"):
            continue
        verdict = page.verdict.cls
        units |= {meta.key: meta.unit for meta in page.series}
        drift |= dict.fromkeys(page.drift)
        shown += list(islice(_rows(one, exchange, units), rows - len(shown)))
        most = max(rows, 20)  # a test, which shows no good rows, looks for bad ones
        rejected += list(islice(_rejected(exchange), most - len(rejected)))
        break
    return {
        "verdict": verdict,
        "partition": partition.id,
        "rows": shown,
        "rejected": rejected,
        "drift": list(drift),
    }


def _rows(
    one: Opened, exchange: "Exchange", units: Mapping[str, str | None]
) -> Iterator[dict[str, Any]]:
    given = (one.source.options.get("mapping") or {}).get("unit")
    for batch in exchange.page.batches:
        for row in batch.rows.to_pylist():
            local = row.pop("series_key")
            key, unit = renamed(one.source, local), units.get(local) or given
            yield {"series": key, "local_key": local, **row, "unit": unit}


def _rejected(exchange: "Exchange") -> Iterator[dict[str, Any]]:
    for batch in exchange.page.batches:
        for bad in batch.rejected:
            yield vars(bad)


def _listed(one: Opened, live: "Transport") -> dict[str, Any]:
    from ingest.verdicts import Verdict

    request = one.connector.discover()
    if request is None:
        detail = f"{one.source.connector} has no list of its series to ask for"
        return {"discovered": [], "message": detail}
    found = one.connector.listed(live.send(request))
    if isinstance(found, Verdict):
        raise SourceRefused(f"{found.cls}: {found.detail}")
    return {"discovered": [vars(meta) for meta in found]}
