"""FRED and ALFRED: economic series as they are today, or as each vintage told them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from ingest.batch import Batch
from ingest.connectors import connector
from ingest.contract import (
    Config,
    Example,
    Limits,
    Page,
    Partition,
    SecretField,
    SeriesMeta,
    Spec,
    Tier,
    cut,
)
from ingest.exchange import Answer, Request
from ingest.fred_answers import envelope
from ingest.fred_questions import MOST_ROWS, Questions, days
from ingest.fred_rows import Window, batches, changes, current, is_wide, revisions
from ingest.fred_series import FredConfig, key_of, meta_of
from ingest.fred_vintages import runs
from ingest.refusals import refused
from ingest.verdicts import OK, Verdict, drift

_BLOCK = frozenset({"series_id", "observations"})
_BLOCK_KNOWN = frozenset(
    {"title", "frequency", "units", "seasonal_adjustment", "last_updated"}
    | {"copyright_id", "notes", "popularity", "observation_start", "observation_end"}
)
_LISTS = ("releases", "release_dates", "sources", "tags", "categories")


@connector("fred")
class Fred:
    """Reads series one by one, with their vintages if wished, or a whole release."""

    spec: ClassVar[Spec] = Spec(
        title="FRED and ALFRED",
        licence="FRED's terms of use; some series belong to third parties, who have to "
        "be asked before they are passed on.",
        limits=Limits(per_second=1.6, burst=2.0),
        secrets=(SecretField("api_key", "API key"),),
        tiers=(
            Tier("hot", timedelta(days=1_826), timedelta(days=1)),
            Tier("cold", timedelta(days=36_525), timedelta(days=30)),
        ),
        span=None,
        completeness="declared_total",
        publication="published",
        documentation="https://fred.stlouisfed.org/docs/api/fred/",
    )
    config_type: ClassVar[type[Config]] = FredConfig

    def __init__(self, config: FredConfig) -> None:
        self._config = config
        self._ask = Questions(config)

    def plan(self, start: datetime, end: datetime) -> tuple[Partition, ...]:
        """Give each series a partition: FRED answers for one at a time."""
        release = self._config.release_id
        parts: list[tuple[str, dict[str, Any]]] = [
            (name, {"series_id": name}) for name in self._config.series_ids
        ]
        if release is not None:
            parts = [(f"release-{release}", {"release_id": release})]
        return tuple(
            replace(partition, part=part)
            for group, part in parts
            for partition in cut(start, end, span=None, group=group)
        )

    def requests(self, partition: Partition) -> tuple[Request, ...]:
        """Ask what the series is, which leads to its rows; or for the release."""
        if days(partition) is None:
            return ()
        if self._config.release_id is not None:
            return (self._ask.release(),)
        return (self._ask.series(self._name(partition)),)

    def read(self, request: Request, answer: Answer, partition: Partition) -> Page:
        """Tell rows from lists and errors by what the body holds."""
        body = envelope(answer)
        if isinstance(body, Verdict):
            return Page(body)
        for name, reads in (
            ("observations", self._rows),
            ("series", self._release),
            ("seriess", self._described),
            ("vintage_dates", self._vintages),
        ):
            if isinstance(body.get(name), list):
                return reads(request, body, partition)
        if any(name in body for name in _LISTS):
            return Page(Verdict("metadata"))
        names = ", ".join(map(str, body))[:300]
        drifted = Verdict("schema_drift", f"no observations; there is: {names}")
        return Page(refused(body) or drifted)

    def discover(self) -> Request | None:
        """Ask for the series of the release, or what the first series is."""
        if self._config.release_id is not None:
            return self._ask.members()
        return self._ask.series(self._config.series_ids[0])

    def listed(self, answer: Answer) -> tuple[SeriesMeta, ...] | Verdict:
        """Return the series told of, then those that only the owner names."""
        body = envelope(answer)
        if isinstance(body, Verdict):
            return body
        told = [meta_of(self._config, one) for one in _objects(body.get("seriess"))]
        keys = {meta.key for meta in told}
        bare = (meta_of(self._config, {"id": name}) for name in self._config.series_ids)
        return (*told, *(meta for meta in bare if meta.key not in keys))

    @classmethod
    def example(cls) -> Example:
        """Return a quarter in two vintages, and a third that is no number."""
        told = {"id": "GDP", "title": "Gross Domestic Product"}
        told |= {"units": "Billions of Dollars", "frequency": "Quarterly"}
        dates = ["2014-01-30", "2014-02-28", "2014-03-27"]
        values = ["17102.5", "17080.7", "n.a."]
        rows = [
            {"date": "2013-10-01", "realtime_start": day, "value": value}
            for day, value in zip(dates, values, strict=True)
        ]
        bodies = (
            {"seriess": [told]},
            {"count": 3, "offset": 0, "vintage_dates": dates},
            {"count": 3, "offset": 0, "limit": MOST_ROWS, "observations": rows},
        )
        at = datetime(2014, 4, 1, tzinfo=UTC)
        config = FredConfig(series_ids=("GDP",), vintages="all")
        (partition,) = cls(config).plan(datetime(2013, 1, 1, tzinfo=UTC), at)
        answers = (
            Answer(200, {"content-type": "application/json"}, at, text.encode())
            for text in map(json.dumps, bodies)
        )
        return Example(config, partition, tuple(answers))

    def _name(self, partition: Partition) -> str:
        names = (*self._config.series_ids, "")
        return str(partition.part.get("series_id") or names[0])

    def _described(
        self, request: Request, body: Mapping[str, Any], partition: Partition
    ) -> Page:
        """Ask for what a series holds, now that it is known what it is."""
        described = _objects(body["seriess"])
        series = tuple(meta_of(self._config, one) for one in described)
        if "series" not in request.place:
            return Page(Verdict("metadata"), series=series)
        told = described[0] if described else {}
        names = ("title", "units", "frequency")
        place = {**request.place, "told": {n: told[n] for n in names if n in told}}
        if self._config.vintages == "none":
            follow = self._ask.rows(partition, place)
        else:
            follow = self._ask.dates(place)
        return Page(Verdict("metadata"), follow=(follow,), series=series)

    def _vintages(
        self, request: Request, body: Mapping[str, Any], partition: Partition
    ) -> Page:
        """Ask for the vintages in runs, and for further dates if there are some."""
        place = dict(request.place)
        if "series" not in place:
            return Page(Verdict("metadata"))
        dates = [str(day) for day in body["vintage_dates"]]
        reached = place.pop("dates", 0) + len(dates)
        more = reached < (_number(body.get("count")) or 0)
        if more and not dates:
            return Page(Verdict("incomplete", "vintage dates were to come, none came"))
        before = place.pop("before", "")
        follow = [
            self._ask.run(partition, place, run) for run in runs(dates, before=before)
        ]
        if more:
            place |= {"dates": reached, "before": dates[-1]}
            follow.append(self._ask.dates(place))
        return Page(Verdict("metadata"), follow=tuple(follow))

    def _rows(
        self, request: Request, body: Mapping[str, Any], partition: Partition
    ) -> Page:
        rows, place = body["observations"], request.place
        first = next(iter(_objects(rows)), {})
        vintages = self._has_vintages(body) or is_wide(first)
        news, broken = changes(rows, vintages=vintages)
        if broken is not None:
            return Page(broken, drift=news)
        verdict, after = _judged(request, body, ordered=not vintages)
        name = str(place.get("series") or self._asked_for(request, partition))
        window = Window(first=str(body.get("realtime_start", "")))
        if "window" in place:
            window = Window(**place["window"])
        told = revisions(rows, window) if vintages else current(rows)
        reached, count = after["offset"], _number(body.get("count"))
        more = verdict.cls == "ok" and reached < (count or 0)
        if more:
            after = {**place, **after, "series": name}
            after["window"] = {**vars(window), **_last(rows)}
        return Page(
            verdict,
            batches=batches(told, key_of(self._config, name), vintages=vintages),
            follow=(self._ask.rows(partition, after),) if more else (),
            series=(meta_of(self._config, {**place.get("told", {}), "id": name}),),
            total=None if vintages else count,
            drift=news,
            complete=verdict.cls in ("ok", "empty"),
        )

    def _has_vintages(self, body: Mapping[str, Any]) -> bool:
        """Return whether the rows say when they were published."""
        kind = _number(body.get("output_type"))
        return self._config.vintages != "none" or kind in (2, 3, 4)

    def _asked_for(self, request: Request, partition: Partition) -> str:
        return dict(request.params).get("series_id") or self._name(partition)

    def _release(
        self, _: Request, body: Mapping[str, Any], partition: Partition
    ) -> Page:
        """Read a page of a release: blocks of rows, one for each series."""
        blocks = _objects(body["series"])
        names = sorted({name for block in blocks for name in block})
        news, broken = drift(names, required=_BLOCK, known=_BLOCK_KNOWN)
        if names and broken is not None:
            return Page(broken, drift=news)
        rows = [row for block in blocks for row in _list(block.get("observations"))]
        more_news, broken = changes(rows, vintages=False)
        if broken is not None:
            return Page(broken, drift=more_news)
        cursor = str(body.get("next_cursor") or "")
        if body.get("has_more") and not cursor:
            return Page(Verdict("schema_drift", "there is more, but no next_cursor"))
        verdict = OK if rows or cursor else Verdict("empty")
        return Page(
            verdict,
            batches=self._blocks(blocks, partition),
            follow=(self._ask.release(cursor),) if body.get("has_more") else (),
            series=tuple(meta_of(self._config, block) for block in blocks),
            drift=(*(news if names else ()), *more_news),
            complete=True,
        )

    def _blocks(
        self, blocks: Sequence[Mapping[str, Any]], partition: Partition
    ) -> Iterator[Batch]:
        number = 1
        for block in blocks:
            rows = _list(block.get("observations"))
            told = current(rows, since=number, within=days(partition))
            key = key_of(self._config, str(block.get("series_id") or ""))
            yield from batches(told, key, vintages=False)
            number += len(rows)


def _judged(
    request: Request, body: Mapping[str, Any], *, ordered: bool
) -> tuple[Verdict, dict[str, Any]]:
    """Say whether a page is as long as it should be, and goes on where one ended."""
    rows, place = body["observations"], request.place
    asked = dict(request.params)
    offset = _number(place.get("offset", asked.get("offset", body.get("offset")))) or 0
    reached = offset + len(rows)
    after = {"offset": reached}
    count = _number(body.get("count"))
    if count is None:
        return Verdict("schema_drift", "the answer says no count"), after
    if not rows and offset >= count:
        return Verdict("empty"), after
    if reached < count and len(rows) < (_number(body.get("limit")) or MOST_ROWS):
        return Verdict("incomplete", f"{reached} rows came of {count}"), after
    last = place.get("window", {}).get("date", "")
    if ordered and last and any(str(row.get("date")) <= last for row in _objects(rows)):
        return Verdict("incomplete", f"the page goes back to {last} or before"), after
    return OK, after


def _last(rows: Sequence[Any]) -> dict[str, str]:
    """Return the date and the value at which the next page goes on."""
    last = rows[-1] if isinstance(rows[-1], dict) else {}
    return {"date": str(last.get("date", "")), "value": str(last.get("value", ""))}


def _objects(records: Any) -> list[Mapping[str, Any]]:
    return [one for one in _list(records) if isinstance(one, dict)]


def _list(records: Any) -> list[Any]:
    return records if isinstance(records, list) else []


def _number(text: Any) -> int | None:
    try:
        return int(text)
    except (TypeError, ValueError):
        return None
