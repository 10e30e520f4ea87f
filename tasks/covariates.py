"""What a forecast may know besides its series: covariates, holidays, attributes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, StringConstraints, model_validator

from tasks.catalog import Params
from tasks.context import JobContext
from tasks.errors import FieldError, InvalidData
from tasks.grid import Number, Statistic, Timezone
from tasks.inputs import MAX_ROWS, Input, Instant, SeriesKey

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from forecasting.covariates import AnyCovariate, Covariate

    Versions = tuple[
        NDArray[np.datetime64], NDArray[np.datetime64], NDArray[np.float64]
    ]

MAX_COVARIATES = 50
MAX_ATTRIBUTES = 20
_ALWAYS = "1678-01-01"
"""An issue time before all cutoffs: such a row was always known."""

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
        "default a value whose first version was stored after its own time counts as "
        "known ahead, as history that was loaded later would otherwise be unknown.",
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
    params: CovariateParams, context: JobContext, *, as_of: datetime | None = None
) -> Callable[[Input], tuple["AnyCovariate", ...]]:
    """Return what reads the covariates of one series after the other.

    A stored covariate has every version it ever had, known since it was stored. What
    was stored up to now, or up to ``as_of``, is known to the final forecast, even if
    that was after the latest observation; backtests do not see it.

    Args:
        params: the covariates.
        context: of the job.
        as_of: use only what was known at this instant.

    Raises:
        InvalidData: a stored series, the country or the region does not exist. The
            returned function raises it too, when a series has no values of its own.
    """
    _check_holidays(params.holidays)
    return _Reader(params, context, as_of, _series_ids(params, context)).read


@dataclass
class _Reader:
    params: CovariateParams
    context: JobContext
    as_of: datetime | None
    series_ids: Mapping[str, int]
    _read: dict[str, "Versions"] = field(default_factory=dict)
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
            versions = self._versions(source.series[item.unique_id])
            return _of_versions(source, versions, cutoff)
        # Series of one panel mostly end together, so they share what was made.
        before = self._made.get(source.column)
        if before is None or before[0] != cutoff:
            key = str(source.series)
            self._read[key] = self._read.get(key) or self._versions(key)
            before = (cutoff, _of_versions(source, self._read[key], cutoff))
            self._made[source.column] = before
        return before[1]

    def _versions(self, key: str) -> "Versions":
        from db import observations

        with self.context.read() as connection:
            return observations.versions(
                connection, series_id=self.series_ids[key], as_of=self.as_of
            )

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


def _of_versions(
    source: CovariateSource, versions: "Versions", cutoff: Any
) -> "Covariate":
    import numpy as np

    times, issued, values = versions
    issued = issued.copy()
    notes: tuple[str, ...] = ()
    if not source.strict:
        late = np.ones(times.shape, dtype=bool)
        late[1:] = times[1:] != times[:-1]
        late &= issued > times
        issued[late] = np.datetime64(_ALWAYS, "us")
        notes = _lateness(source, int(late.sum()))
    if cutoff is not None:
        # The final forecast is made now: it may read what was stored up to now.
        issued = np.where(issued > cutoff, cutoff, issued)
    newest = np.ones(times.shape, dtype=bool)
    newest[:-1] = (times[1:] != times[:-1]) | (issued[1:] != issued[:-1])
    columns = (times[newest], values[newest], issued[newest])
    return _made(source, columns, notes)


def _lateness(source: CovariateSource, count: int) -> tuple[str, ...]:
    if not count or source.known == "past":
        return ()
    text = f"{count} values of the covariate {source.column!r} were stored after their"
    return (f"{text} time and count as known ahead: backtests may be optimistic",)


def _of_rows(source: CovariateSource, rows: list[CovariateRow]) -> "Covariate":
    import numpy as np

    always = np.datetime64(_ALWAYS, "us")
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
