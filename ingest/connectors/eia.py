"""EIA Open Data API v2: any route of data, hourly to annual, page by page."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, ClassVar

from pydantic import Field, field_validator

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
from ingest.eia_answers import MOST_ROWS, Place, envelope, judged
from ingest.eia_periods import (
    BY_FREQUENCY,
    FORMS,
    STEPS,
    WIDEST,
    Frequency,
    bounds,
    corrected_until,
    has_local_days,
)
from ingest.eia_rows import Contract, batches, columns, describes, names_of
from ingest.eia_series import metas, mixed_units
from ingest.exchange import Answer, Request, secret
from ingest.verdicts import Verdict, drift

_LONGEST_QUERY = 3_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_SPANS = {"hourly": timedelta(days=31), "daily": timedelta(days=732)}

_PRICES = ("duoarea", "product", "process", "series")
FACETS: Mapping[str, tuple[str, ...]] = {
    "electricity/rto/region-data": ("respondent", "type"),
    "electricity/rto/fuel-type-data": ("respondent", "fueltype"),
    "electricity/rto/region-sub-ba-data": ("parent", "subba"),
    "electricity/rto/interchange-data": ("fromba", "toba"),
    "electricity/rto/daily-region-data": ("respondent", "type", "timezone"),
    "electricity/rto/daily-fuel-type-data": ("respondent", "fueltype", "timezone"),
    "electricity/rto/daily-region-sub-ba-data": ("parent", "subba", "timezone"),
    "electricity/rto/daily-interchange-data": ("fromba", "toba", "timezone"),
    "electricity/retail-sales": ("stateid", "sectorid"),
    "electricity/electric-power-operational-data": (
        *("location", "sectorid", "fueltypeid"),
    ),
    "electricity/facility-fuel": ("plantCode", "fuel2002", "state", "primeMover"),
    "natural-gas/pri/fut": _PRICES,
    "petroleum/pri/spt": _PRICES,
    "petroleum/pri/gnd": _PRICES,
    "steo": ("seriesId",),
}
"""The facets of routes that are read often; those of others are asked for first."""


class EiaConfig(Config):
    """Which data of EIA to read."""

    route: str = Field(
        description="Route of the data, such as electricity/rto/region-data.",
        pattern=r"^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$",
        max_length=200,
    )
    frequency: Frequency = Field(description="How long the intervals are.")
    facets: Mapping[str, tuple[str, ...]] = Field(
        {},
        description="Which codes to read, by facet, such as respondent: PJM, MISO. A "
        "facet that is not named is read whole.",
    )
    data: Annotated[tuple[str, ...], Field(min_length=1, max_length=50)] = Field(
        ("value",), description="Columns of values; each becomes a series of its own."
    )
    corrected: bool = Field(
        True,
        description="Put right the time stamps that some reporters are known to have "
        "sent wrongly until a known day.",
    )
    base_url: str = Field(
        "https://api.eia.gov/v2", description="Where the API is.", max_length=200
    )

    @field_validator("route", mode="before")
    @classmethod
    def _bare(cls, route: Any) -> Any:
        if not isinstance(route, str):
            return route
        return route.strip().strip("/").removeprefix("v2/").removesuffix("/data")

    @field_validator("frequency", mode="before")
    @classmethod
    def _in_utc(cls, frequency: Any) -> Any:
        if frequency == "local-hourly":
            message = (
                "local-hourly repeats an hour in autumn; hourly is the same in UTC"
            )
            raise ValueError(message)
        return frequency


@connector("eia")
class Eia:
    """Reads one route."""

    spec: ClassVar[Spec] = Spec(
        title="EIA Open Data",
        licence="Public domain; EIA asks to be named as the source.",
        limits=Limits(per_second=1.0, burst=4.0),
        secrets=(SecretField("api_key", "API key"),),
        tiers=(
            Tier("hot", timedelta(days=10), timedelta(days=1)),
            Tier("warm", timedelta(days=60), timedelta(days=7)),
            Tier("cold", timedelta(days=762), timedelta(days=30)),
        ),
        span=_SPANS["hourly"],
        lag=timedelta(hours=1),
        completeness="declared_total",
        documentation="https://www.eia.gov/opendata/documentation.php",
    )
    config_type: ClassVar[type[Config]] = EiaConfig

    def __init__(self, config: EiaConfig) -> None:
        self._config = config

    def plan(self, start: datetime, end: datetime) -> tuple[Partition, ...]:
        """Cut hours into months, days into two years; longer periods stay together."""
        return cut(start, end, span=_SPANS.get(self._config.frequency))

    def requests(self, partition: Partition) -> tuple[Request, ...]:
        """Ask for the first page, or for the facets where they are not known."""
        facets = FACETS.get(self._config.route)
        if self._bounds(partition) is None:
            return ()
        if facets is None:
            return (self._request("", {"asks": "facets"}),)
        return (self._rows(partition, Place(facets)),)

    def read(self, request: Request, answer: Answer, partition: Partition) -> Page:
        """Tell rows from lists and from errors, under whatever status they come."""
        body = envelope(answer)
        if isinstance(body, Verdict):
            return Page(body)
        response = body["response"]
        if isinstance(response.get("data"), list):
            return self._page(request, body, partition)
        if "facets" not in response and "routes" not in response:
            names = ", ".join(map(str, response))
            return Page(Verdict("schema_drift", f"data is missing; there is: {names}"))
        if request.place.get("asks") != "facets":
            return Page(Verdict("metadata"))
        if "facets" not in response:
            detail = "the route holds no data, only further routes"
            return Page(Verdict("config", detail))
        facets = tuple(
            str(one["id"])
            for one in response["facets"] or ()
            if isinstance(one, dict) and "id" in one
        )
        follow = (self._rows(partition, Place(facets)),)
        return Page(Verdict("metadata"), follow=follow)

    def discover(self) -> Request | None:
        """Ask for the values of the only facet, or else for the latest rows."""
        facets = self._facets(())
        if len(facets) == 1:
            return self._request(f"facet/{facets[0]}/")
        return self._request("data/", Place(facets).json, self._asked(facets, "desc"))

    def listed(self, answer: Answer) -> tuple[SeriesMeta, ...] | Verdict:
        """Return the series of the latest rows, or one for each value of a facet."""
        body = envelope(answer)
        if isinstance(body, Verdict):
            return body
        response = body["response"]
        records = response.get("data")
        if not isinstance(records, list):
            (facet, *_) = (*self._facets(()), "id")
            records = [
                {facet: one.get("id"), f"{facet}-name": one.get("name")}
                for one in response.get("facets") or ()
                if isinstance(one, dict)
            ]
        contract = self._contract(Place(), response, records)
        return tuple(metas(columns(records, contract), contract))

    @classmethod
    def example(cls) -> Example:
        """Return two hours of demand, the second of which is no number."""
        row = {"respondent": "PJM", "type": "D", "value-units": "megawatthours"}
        rows = [
            {"period": "2026-03-08T05", **row, "value": "84210"},
            {"period": "2026-03-08T06", **row, "value": "8,210"},
        ]
        body = {"response": {"total": "2", "frequency": "hourly", "data": rows}}
        start = datetime(2026, 3, 8, 4, tzinfo=UTC)
        config = EiaConfig(route="electricity/rto/region-data", frequency="hourly")
        answer = Answer(
            200,
            {"content-type": "application/json"},
            datetime(2026, 3, 9, tzinfo=UTC),
            json.dumps(body).encode(),
        )
        (partition,) = cut(start, start + timedelta(hours=2), span=None)
        return Example(config, partition, (answer,))

    def _page(
        self, request: Request, body: Mapping[str, Any], partition: Partition
    ) -> Page:
        response = body["response"]
        records = response["data"]
        echo = body.get("request")
        place = Place.of(request, echo.get("params") if isinstance(echo, dict) else {})
        contract = self._contract(place, response, records, partition)
        changes: tuple[str, ...] = ()
        names = sorted(names_of(records))
        if names:
            required = frozenset(("period", *contract.facets, *contract.data))
            known = frozenset(filter(describes, names))
            changes, broken = drift(names, required=required, known=known)
            if broken is not None:
                return Page(broken, drift=changes)
        found = columns(records, contract)
        if (mixed := mixed_units(found, contract)) is not None:
            return Page(Verdict("schema_drift", mixed), drift=changes)
        length = dict(request.params).get("length", "")
        most = int(length) if length.isdigit() else MOST_ROWS
        verdict, after = judged(
            place, body, found, contract, length=min(most, MOST_ROWS)
        )
        more = verdict.cls == "ok" and after.offset < (after.total or 0)
        wide = len(contract.data)
        total = ((after.total or 0) - after.lost) * wide - after.unplaced * (wide - 1)
        return Page(
            verdict,
            batches=batches(found, contract),
            follow=(self._rows(partition, after),) if more else (),
            series=tuple(metas(found, contract)),
            total=None if after.total is None else total,
            drift=changes,
            complete=verdict.cls in ("ok", "empty") and after.marks is not None,
        )

    def _facets(self, found: tuple[str, ...]) -> tuple[str, ...]:
        """Return the columns of codes: as found, as known, or as the owner names."""
        return found or FACETS.get(self._config.route) or tuple(self._config.facets)

    def _contract(
        self,
        place: Place,
        response: Mapping[str, Any],
        records: Sequence[Any],
        partition: Partition | None = None,
    ) -> Contract:
        config = self._config
        facets = self._facets(place.facets)
        if not facets:
            names = dict.fromkeys(
                name for row in records if isinstance(row, dict) for name in row
            )
            others = names.keys() - {"period", *config.data}
            facets = tuple(n for n in names if n in others and not describes(n))
        contract = Contract(
            config.route,
            facets,
            config.data,
            FORMS.get(response.get("dateFormat", "")) or BY_FREQUENCY[config.frequency],
            STEPS[config.frequency],
            config.corrected,
        )
        if partition is None or not self._is_wide(partition):
            return contract
        first, last = (
            None if at is None else (at - _EPOCH) // _MICROSECOND
            for at in (partition.start, partition.end)
        )
        return replace(contract, window=(first, last))

    def _is_wide(self, partition: Partition) -> bool:
        """Return whether starts may lie elsewhere than the stamps alone would say."""
        if has_local_days(self._config.route):
            return True
        until = corrected_until(self._config.route) if self._config.corrected else None
        start = partition.start
        return until is not None and (start is None or start - WIDEST < until)

    def _bounds(self, partition: Partition) -> tuple[str | None, str | None] | None:
        start, end = partition.start, partition.end
        if self._is_wide(partition):
            start = None if start is None else start - WIDEST
            end = None if end is None else end + WIDEST
        return bounds(start, end, self._config.frequency)

    def _rows(self, partition: Partition, place: Place) -> Request:
        facets = self._facets(place.facets)
        first, last = self._bounds(partition) or (None, None)
        asked = self._asked(facets, "asc", place.offset)
        asked |= {} if first is None else {"start": first}
        asked |= {} if last is None else {"end": last}
        return self._request("data/", place.json, asked)

    def _asked(
        self, facets: Sequence[str], direction: str, offset: int = 0
    ) -> dict[str, Any]:
        """Return the question as the API's JSON; sorted by all that makes a key."""
        config = self._config
        chosen = {name: list(codes) for name, codes in config.facets.items() if codes}
        columns_of_keys = ("period", *facets)
        return {
            "frequency": config.frequency,
            "data": list(config.data),
            "facets": chosen,
            "sort": [
                {"column": name, "direction": direction if name == "period" else "asc"}
                for name in columns_of_keys
            ],
            "offset": offset,
            "length": MOST_ROWS,
        }

    def _request(
        self,
        below: str,
        place: Mapping[str, Any] | None = None,
        asked: Mapping[str, Any] | None = None,
    ) -> Request:
        """Return a request whose key goes in a header, as does a long question."""
        headers = {"X-Api-Key": secret("api_key"), "Accept": "application/json"}
        params = tuple(_flat(asked or {}))
        if sum(len(name) + len(text) + 2 for name, text in params) > _LONGEST_QUERY:
            headers["X-Params"] = json.dumps(asked, separators=(",", ":"))
            params = ()
        url = f"{self._config.base_url.rstrip('/')}/{self._config.route}/{below}"
        return Request(url, params, headers, place=place or {})


def _flat(asked: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
    """Return the same question as query parameters, with the brackets of PHP."""
    flat: list[tuple[str, str]] = []
    for name, wanted in asked.items():
        if name == "data":
            flat += [(f"data[{i}]", column) for i, column in enumerate(wanted)]
        elif name == "facets":
            flat += [
                (f"facets[{n}][]", code)
                for n, codes in wanted.items()
                for code in codes
            ]
        elif name == "sort":
            for i, by in enumerate(wanted):
                flat += [(f"sort[{i}][{part}]", text) for part, text in by.items()]
        else:
            flat.append((name, str(wanted)))
    return flat
