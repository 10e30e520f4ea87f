"""Open-Meteo forecasts: of now, with the run they come from, and of previous runs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

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
    local_key,
)
from ingest.exchange import Answer, Request, secret
from ingest.open_meteo_answers import (
    BLOCKS,
    Issue,
    Table,
    refusal,
    run_of,
    says_anything,
    tables,
)
from ingest.open_meteo_rows import batches, lead
from ingest.packed import unpacked
from ingest.verdicts import OK, Verdict

LICENCE = "Open-Meteo, CC BY 4.0; the free service is for non-commercial use only."
LIMITS = Limits(per_second=1.1, burst=100.0, per_day=8_000.0)
"""Four fifths of 5,000 an hour and 10,000 a day; a burst stays below 600 a minute."""

SECRETS = (SecretField("api_key", "API key, for paying customers", required=False),)
_MOST_PLACES = 100
_WEIGHT_VARIABLES = 10
_WEIGHT_DAYS = 14
_SETTLES = timedelta(minutes=15)
"""How long all servers of the source take to have a run that one of them has."""


class Place(Config):
    """A place under a name of its own: answers name the grid cell, not the place."""

    name: str = Field(
        pattern=r"^[a-z0-9][a-z0-9:_-]*$",
        max_length=40,
        description="What the keys of its series begin with.",
    )
    latitude: float = Field(ge=-90, le=90, description="Degrees north.")
    longitude: float = Field(ge=-180, le=180, description="Degrees east.")


class Weather(Config):
    """What both sources ask for: variables at places."""

    places: tuple[Place, ...] = Field(
        min_length=1, max_length=1_000, description="Where the weather is wanted."
    )
    hourly: tuple[str, ...] = Field(
        default=(), description="Variables by the hour, such as temperature_2m."
    )
    daily: tuple[str, ...] = Field(
        default=(), description="Variables by the day in UTC, such as rain_sum."
    )
    minutely_15: tuple[str, ...] = Field(
        default=(), description="Variables by the quarter of an hour."
    )
    model: str | None = Field(
        default=None,
        pattern=r"^[a-z0-9_]+$",
        description="The weather model; by default the source takes the best.",
    )
    format: Literal["json", "csv"] = Field(
        default="json", description="What the source answers in."
    )
    with_key: bool = Field(
        default=False,
        description="Whether the credential's api_key is sent, to a customer's host.",
    )

    @field_validator("places")
    @classmethod
    def _distinct(cls, places: tuple[Place, ...]) -> tuple[Place, ...]:
        if len({place.name for place in places}) < len(places):
            message = "two places have the same name"
            raise ValueError(message)
        return places

    @model_validator(mode="after")
    def _some_variable(self) -> Self:
        if not self.variables:
            message = "name at least one variable: hourly, daily or minutely_15"
            raise ValueError(message)
        return self

    @property
    def variables(self) -> Mapping[str, tuple[str, ...]]:
        """The variables by the table they come in."""
        asked = {block: getattr(self, block) for block in BLOCKS}
        return {block: names for block, names in asked.items() if names}


class OpenMeteoConfig(Weather):
    """Forecasts of places."""

    base_url: str = Field(
        default="https://api.open-meteo.com",
        description="Where the forecast of now is asked for.",
    )
    previous_runs_url: str = Field(
        default="https://previous-runs-api.open-meteo.com",
        description="Where forecasts of previous days are asked for.",
    )
    run: str | None = Field(
        default=None,
        pattern=r"^[a-z0-9_]+$",
        description=(
            "The model whose newest run dates the forecasts, such as dwd_icon; "
            "without it they are dated by when they were fetched."
        ),
    )
    past_days: int = Field(
        default=0, ge=0, le=92, description="Days before today, as they were forecast."
    )
    forecast_days: int = Field(
        default=7, ge=1, le=16, description="Days from today on."
    )
    previous_days: tuple[int, ...] = Field(
        default=(),
        description=(
            "Leads in days, 1 to 7: asks for what was forecast so long before each "
            "time of the window, instead of for the forecast of now."
        ),
    )

    @field_validator("previous_days")
    @classmethod
    def _archived(cls, days: tuple[int, ...]) -> tuple[int, ...]:
        if not all(1 <= day <= 7 for day in days):  # noqa: PLR2004 - the source's own
            message = "the source keeps leads of 1 to 7 days"
            raise ValueError(message)
        return days

    @property
    def variables(self) -> Mapping[str, tuple[str, ...]]:
        """The variables by the table they come in, with those of previous days."""
        leads = [f"_previous_day{day}" for day in self.previous_days]
        return {
            block: tuple(name + end for name in names for end in ("", *leads))
            for block, names in super().variables.items()
        }


def asked(
    config: Weather,
    url: str,
    *,
    days: float,
    window: Sequence[tuple[str, str]],
    place: Mapping[str, Any] | None = None,
) -> tuple[Request, ...]:
    """Return the requests for all places: as many in one as the limit has room for.

    Args:
        config: what is wanted.
        url: of the service.
        days: how many the window has; with the variables they make the weight.
        window: the parameters that bound the time.
        place: what is to be known when the answer is read.
    """
    count = sum(map(len, config.variables.values()))
    weight = max(1.0, count / _WEIGHT_VARIABLES * max(1.0, days / _WEIGHT_DAYS))
    size = max(1, min(_MOST_PLACES, int(LIMITS.burst / weight)))
    return tuple(
        Request(
            url,
            (*_params(config, config.places[first : first + size]), *window),
            cost=min(LIMITS.burst, weight * len(config.places[first : first + size])),
            place={**(place or {}), "first": first, "size": size},
        )
        for first in range(0, len(config.places), size)
    )


def dates(partition: Partition) -> tuple[tuple[tuple[str, str], ...], float]:
    """Return the parameters that ask for the days of a bounded window, and how many."""
    if partition.start is None or partition.end is None:
        return (), 1.0
    first = partition.start.date()
    last = (partition.end - timedelta(microseconds=1)).date()
    window = (("start_date", first.isoformat()), ("end_date", last.isoformat()))
    return window, (last - first).days + 1.0


def page(
    config: Weather, request: Request, answer: Answer, *, issue: Issue | None
) -> Page:
    """Return what an answer with tables means.

    Args:
        config: what was asked for.
        request: which of the places.
        answer: to it.
        issue: the run, where the values are forecasts.
    """
    answer = unpacked(answer)
    if (verdict := refusal(answer)) is not None:
        return Page(verdict)
    first = int(request.place.get("first", 0))
    places = config.places[first : first + int(request.place.get("size", 10_000))]
    found = tables(answer, places=len(places), asked=config.variables)
    if isinstance(found, Verdict):
        return Page(found)
    read, drift = found

    def key_of(table: Table, variable: str) -> str:
        name, _ = lead(variable) if issue else (variable, 0)
        # Quarters of an hour have its names; only both together need telling apart.
        apart = table.block == "daily" or (
            table.block == "minutely_15"
            and variable in config.variables.get("hourly", ())
        )
        end = table.block if apart else None
        return local_key(places[table.place].name, name, end)

    said = OK if says_anything(read) else Verdict("empty", "every value is null")
    return Page(
        said,
        batches(read, key_of=key_of, issue=issue),
        series=tuple(_series(read, key_of, forecast=issue is not None)),
        drift=drift,
    )


@connector("open_meteo")
class OpenMeteo:
    """Forecasts, each with the time at which it was issued."""

    spec: ClassVar[Spec] = Spec(
        title="Open-Meteo forecast",
        licence=LICENCE,
        limits=LIMITS,
        secrets=SECRETS,
        # Watermarks of forecasts lie ahead, as far as the source can look.
        tiers=(Tier("hot", timedelta(days=20), timedelta(hours=6)),),
        publication="published",
        documentation="https://open-meteo.com/en/docs",
    )
    config_type: ClassVar[type[Config]] = OpenMeteoConfig

    def __init__(self, config: OpenMeteoConfig) -> None:
        self._config = config

    def plan(self, start: datetime, end: datetime) -> tuple[Partition, ...]:
        """Return one partition; previous runs are cut, as they have a past."""
        span = timedelta(days=31) if self._config.previous_days else None
        return cut(start, end, span=span)

    def requests(self, partition: Partition) -> tuple[Request, ...]:
        """Ask which run is the newest, if a model is named, else for the forecast."""
        config = self._config
        if config.run is None or config.previous_days:
            return self._values(partition, {})
        url = f"{config.base_url}/data/{config.run}/static/meta.json"
        return (Request(url, place={"what": "run"}),)

    def read(self, request: Request, answer: Answer, partition: Partition) -> Page:
        """Read a forecast, or which run it will be of."""
        if request.place.get("what") == "run":
            return self._run(answer, partition)
        return page(self._config, request, answer, issue=_issue(request, answer))

    def discover(self) -> Request | None:
        """Nothing lists the series: they are what the config names."""
        return None

    def listed(self, answer: Answer) -> tuple[SeriesMeta, ...] | Verdict:  # noqa: ARG002
        """Nothing is listed."""
        return ()

    @classmethod
    def example(cls) -> Example:
        """Return an hourly forecast in which one value is none."""
        return Example(
            OpenMeteoConfig(
                places=(Place(name="berlin", latitude=52.52, longitude=13.41),),
                hourly=("temperature_2m",),
            ),
            Partition(
                "20260110T0000Z-20260111T0000Z",
                datetime(2026, 1, 10, tzinfo=UTC),
                datetime(2026, 1, 11, tzinfo=UTC),
            ),
            (example_answer(),),
        )

    def _values(
        self, partition: Partition, place: Mapping[str, Any]
    ) -> tuple[Request, ...]:
        config = self._config
        window, days = dates(partition)
        if config.previous_days and window:
            url = f"{config.previous_runs_url}/v1/forecast"
            return asked(config, url, days=days, window=window, place=place)
        host = config.previous_runs_url if config.previous_days else config.base_url
        window = (
            ("past_days", str(config.past_days)),
            ("forecast_days", str(config.forecast_days)),
        )
        days = config.past_days + config.forecast_days
        url = f"{host}/v1/forecast"
        return asked(config, url, days=days, window=window, place=place)

    def _run(self, answer: Answer, partition: Partition) -> Page:
        answer = unpacked(answer)
        if (verdict := refusal(answer)) is not None:
            return Page(verdict)
        issue = run_of(answer)
        if isinstance(issue, Verdict):
            return Page(issue)
        published_at = issue.published_at or issue.issued_at
        settles = (published_at + _SETTLES - answer.fetched_at).total_seconds()
        if 0 < settles <= _SETTLES.total_seconds():
            detail = f"the run of {issue.issued_at:%Y-%m-%d %H:%M} is still spreading"
            return Page(Verdict("not_available", detail, settles))
        place = {
            "issued_at": issue.issued_at.isoformat(),
            "published_at": published_at.isoformat(),
        }
        detail = f"the newest run is of {issue.issued_at.isoformat()}"
        follow = self._values(partition, place)
        return Page(Verdict("metadata", detail), follow=follow)


def example_answer() -> Answer:
    """Return two hours of which the second has a value that no float can be."""
    body = (
        b'{"latitude": 52.52, "longitude": 13.419998, "utc_offset_seconds": 0,'
        b' "timezone": "GMT", "hourly_units": {"time": "unixtime",'
        b' "temperature_2m": "\xc2\xb0C"}, "hourly": {"time": [1768003200,'
        b' 1768006800, 1768010400], "temperature_2m": [-1.2, NaN, null]}}'
    )
    fetched_at = datetime(2026, 1, 10, 6, tzinfo=UTC)
    return Answer(200, {"content-type": "application/json"}, fetched_at, body)


def _params(config: Weather, places: Sequence[Place]) -> Iterator[tuple[str, str]]:
    yield "latitude", ",".join(str(place.latitude) for place in places)
    yield "longitude", ",".join(str(place.longitude) for place in places)
    for block, names in config.variables.items():
        yield block, ",".join(names)
    if config.model is not None:
        yield "models", config.model
    # Local times of a whole answer have one offset, so they are wrong after the
    # clocks change: only GMT is asked for.
    yield "timezone", "GMT"
    yield "timeformat", "unixtime"
    if config.format != "json":
        yield "format", config.format
    if config.with_key:
        yield "apikey", secret("api_key")


def _issue(request: Request, answer: Answer) -> Issue:
    """Return the run that a request follows; without one, the time of fetching."""
    told = request.place.get("issued_at")
    if told is None:
        return Issue(answer.fetched_at)
    published = datetime.fromisoformat(str(request.place["published_at"]))
    return Issue(datetime.fromisoformat(str(told)), published)


def _series(
    read: Sequence[Table], key_of: Any, *, forecast: bool
) -> Iterator[SeriesMeta]:
    found: dict[str, SeriesMeta] = {}
    for table in read:
        for name in table.columns:
            key = key_of(table, name)
            meta = SeriesMeta(key, name, table.units.get(name), BLOCKS[table.block])
            found.setdefault(key, meta)
    for meta in found.values():
        yield replace(meta, kind="forecast") if forecast else meta
