"""What a forecast may know besides its series: covariates, holidays, attributes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, StringConstraints, model_validator

from tasks.catalog import Params
from tasks.context import JobContext
from tasks.errors import FieldError, InvalidData
from tasks.grid import Number, Statistic, Timezone
from tasks.inputs import MAX_ROWS, Input, Instant, SeriesKey
from tasks.vintages import ALWAYS, ever_newest, readable_since

if TYPE_CHECKING:
    from db.issues import Told
    from db.observations import Then
    from forecasting.covariates import AnyCovariate, Covariate

MAX_COVARIATES = 50
MAX_ATTRIBUTES = 20

Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
CovariateFill = Literal["none", "linear", "previous", "zero"] | Statistic | Number


class CovariateRow(Params):
    """One value of a covariate in the request; ``value`` null is a missing one."""

    unique_id: Name | None = Field(
        default=None, description="The series it is for; all of them if left out."
    )
    ds: Instant
    value: Number | None
    issued: Instant | None = Field(
        default=None,
        description="Since when it was known; left out if it always was. A forecast "
        "reads what was issued up to its cutoff.",
    )


class CovariateSource(Params):
    """One covariate: a stored series, or rows in the request."""

    name: Name | None = Field(
        default=None, description="By default the key of the stored series."
    )
    series: SeriesKey | dict[Name, SeriesKey] | None = Field(
        default=None,
        description="The key of a stored series, or one key for each series to "
        "forecast.",
    )
    rows: Annotated[list[CovariateRow], Field(min_length=1, max_length=MAX_ROWS)] | (
        None
    ) = None
    known: Literal["future", "past"] = Field(
        default="future",
        description="future: known ahead, and needed for the whole horizon. past: "
        "nothing after the cutoff is read.",
    )
    past_fill: CovariateFill = Field(
        default="linear", description="How missing values of the past are filled."
    )
    future_fill: CovariateFill = Field(
        default="none",
        description="How missing values of the horizon are filled; none refuses them.",
    )
    strict: bool = Field(
        default=False,
        description="Stored values count as known only since they were stored. By "
        "default a value that was stored after its own time, by a source that does not "
        "say when it was published, counts as known since it was issued, or as known "
        "ahead if it is no forecast: history that was loaded later would otherwise be "
        "unknown.",
    )

    @property
    def column(self) -> str:
        """The name of its column."""
        return self.name or str(self.series)

    @model_validator(mode="after")
    def _one_source(self) -> "CovariateSource":
        if (self.series is None) == (self.rows is None):
            message = "give either series or rows"
            raise ValueError(message)
        if self.name is None and not isinstance(self.series, str):
            message = "give the covariate a name"
            raise ValueError(message)
        if isinstance(self.series, dict) and not self.series:
            message = "series names no series: give one key for each"
            raise ValueError(message)
        if self.rows is not None and self.strict:
            message = "strict needs a stored series: rows say themselves when issued"
            raise ValueError(message)
        return self


class HolidayParams(Params):
    """Public holidays as covariates that are known ahead."""

    country: Annotated[str, StringConstraints(pattern="^[A-Z]{2}$")] = Field(
        description="Two letters, such as DE."
    )
    region: Annotated[str, Field(min_length=1, max_length=60)] | None = Field(
        default=None, description="Such as BE; by default the whole country."
    )
    timezone: Timezone = Field(
        default="UTC", description="The zone whose midnight divides the days."
    )


class CovariateParams(Params):
    """What is known besides the series."""

    covariates: Annotated[list[CovariateSource], Field(max_length=MAX_COVARIATES)] = (
        Field(default=[], description="Known for the past, or ahead too.")
    )
    holidays: HolidayParams | None = None
    attributes: dict[
        Name, Annotated[dict[Name, Name], Field(max_length=MAX_ATTRIBUTES)]
    ] = Field(
        default={},
        description="Static attributes of each series, such as its region: "
        '{"unique_id": {"region": "north"}}.',
    )

    @model_validator(mode="after")
    def _names_of_their_own(self) -> "CovariateParams":
        names = [source.column for source in self.covariates]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            message = f"two covariates are called {twice[0]}: give each its own name"
            raise ValueError(message)
        return self


def attributes_of(
    params: CovariateParams, unique_id: str
) -> tuple[tuple[str, str], ...]:
    """Return the attributes of one series as (name, value), by name."""
    return tuple(sorted(params.attributes.get(unique_id, {}).items()))


def covariate_reader(
    params: CovariateParams, context: JobContext, *, then: "Then | None" = None
) -> Callable[[Input], tuple["AnyCovariate", ...]]:
    """Return what reads the covariates of one series after the other.

    A stored covariate has every version it ever had, known since it was published, or
    stored if nobody said; a forecast from outside has every issue. What was known up to
    now, or up to ``as_of``, is known to the final forecast, even if that was after the
    latest observation; backtests do not see it.

    Args:
        params: the covariates.
        context: of the job.
        then: ``as_of``: use only what was known at this instant; ``known_by``.

    Raises:
        InvalidData: a stored series, the country or the region does not exist. The
            returned function raises it too, when a series has no values of its own.
    """
    _check_holidays(params.holidays)
    return _Reader(params, context, then or {}, _series_ids(params, context)).read


@dataclass
class _Reader:
    params: CovariateParams
    context: JobContext
    then: "Then"
    series_ids: Mapping[str, int]
    _read: dict[str, "Told"] = field(default_factory=dict)
    _made: dict[str, tuple[Any, "Covariate"]] = field(default_factory=dict)
    _rows: dict[int, dict[str | None, list[CovariateRow]]] = field(default_factory=dict)

    def read(self, item: Input) -> tuple["AnyCovariate", ...]:
        from forecasting.covariates import Holidays
        from forecasting.errors import InvalidSeries

        found: list[AnyCovariate] = []
        for number, source in enumerate(self.params.covariates):
            try:
                if source.rows is None:
                    found.append(self._stored(source, item))
                else:
                    found.append(self._inline(number, source, item.unique_id))
            except InvalidSeries as error:
                bad = FieldError(f"/params/covariates/{number}", str(error))
                raise InvalidData(bad.detail, (bad,)) from error
        if wanted := self.params.holidays:
            found.append(Holidays(wanted.country, wanted.region, wanted.timezone))
        return tuple(found)

    def _stored(self, source: CovariateSource, item: Input) -> "Covariate":
        cutoff = _cutoff(item)
        if isinstance(source.series, dict):
            if item.unique_id not in source.series:
                message = f"the covariate {source.column} names no series for"
                raise InvalidData(f"{message} {item.unique_id}: add its key")
            told = self._told(source.series[item.unique_id])
            return _of_versions(source, told, cutoff)
        # Series of one panel mostly end together, so they share what was made.
        before = self._made.get(source.column)
        if before is None or before[0] != cutoff:
            key = str(source.series)
            self._read[key] = self._read.get(key) or self._told(key)
            before = (cutoff, _of_versions(source, self._read[key], cutoff))
            self._made[source.column] = before
        return before[1]

    def _told(self, key: str) -> "Told":
        from db import issues

        with self.context.read() as connection:
            return issues.told(connection, series_id=self.series_ids[key], **self.then)

    def _inline(
        self, number: int, source: CovariateSource, unique_id: str
    ) -> "Covariate":
        """Make a covariate of the rows for a series, or of those for all."""
        if number not in self._rows:
            grouped: dict[str | None, list[CovariateRow]] = {}
            for row in source.rows or ():
                grouped.setdefault(row.unique_id, []).append(row)
            self._rows[number] = grouped
        groups = self._rows[number]
        rows = groups.get(unique_id) or groups.get(None)
        if rows is None:
            message = f"the covariate {source.column} has no rows for {unique_id}"
            raise InvalidData(f"{message}: add them, or leave their unique_id out")
        return _of_rows(source, rows)


def _series_ids(params: CovariateParams, context: JobContext) -> dict[str, int]:
    wanted: dict[str, str] = {}
    for number, source in enumerate(params.covariates):
        place = f"/params/covariates/{number}/series"
        if isinstance(source.series, dict):
            wanted |= {key: f"{place}/{name}" for name, key in source.series.items()}
        elif source.series is not None:
            wanted[source.series] = place
    if not wanted:
        return {}
    from db import series

    with context.read() as connection:
        found = series.find_many(connection, tenant_id=context.tenant_id, keys=wanted)
    errors = tuple(
        FieldError(place, f"no series {key}")
        for key, place in wanted.items()
        if key not in found
    )
    if errors:
        raise InvalidData(errors[0].detail, errors)
    return {key: one.id for key, one in found.items()}


def _check_holidays(params: HolidayParams | None) -> None:
    if params is None:
        return
    from forecasting.errors import InvalidSeries
    from forecasting.open_days import check_calendar

    calendar = "-".join(filter(None, (params.country, params.region)))
    try:
        check_calendar(calendar)
    except InvalidSeries as error:
        place = "/params/holidays/" + ("region" if params.region else "country")
        raise InvalidData(str(error), (FieldError(place, str(error)),)) from error


def _cutoff(item: Input) -> Any:
    """Return the time of the latest observation, None without any."""
    import numpy as np

    observed = item.times[~np.isnan(item.values)]
    return observed.max() if observed.size else None


def _of_versions(source: CovariateSource, told: "Told", cutoff: Any) -> "Covariate":
    import numpy as np

    since, guessed = readable_since(told, strict=source.strict)
    if cutoff is not None:
        # The final forecast is made now: it may read what was stored up to now.
        since = np.where(since > cutoff, cutoff, since)
    kept = ever_newest(told.times, since)
    columns = (told.times[kept], told.values[kept], since[kept])
    return _made(source, columns, _lateness(source, guessed))


def _lateness(source: CovariateSource, count: int) -> tuple[str, ...]:
    if not count or source.known == "past":
        return ()
    text = f"{count} values of the covariate {source.column!r} were stored after their"
    return (f"{text} time and count as known ahead: backtests may be optimistic",)


def _of_rows(source: CovariateSource, rows: list[CovariateRow]) -> "Covariate":
    import numpy as np

    always = np.datetime64(ALWAYS, "us")
    times = np.array([row.ds.replace(tzinfo=None) for row in rows], "M8[us]")
    values = [np.nan if row.value is None else row.value for row in rows]
    issued = [
        always if row.issued is None else np.datetime64(row.issued.replace(tzinfo=None))
        for row in rows
    ]
    return _made(source, (times, np.array(values), np.array(issued, "M8[us]")))


def _made(
    source: CovariateSource,
    columns: tuple[Any, Any, Any],
    notes: tuple[str, ...] = (),
) -> "Covariate":
    from forecasting.covariates import Covariate

    times, values, issued = columns
    return Covariate(
        name=source.column,
        times=times,
        values=values,
        issued=issued,
        future=source.known == "future",
        past_fill=source.past_fill,
        future_fill=source.future_fill,
        notes=notes,
    )
