"""How analyses are asked for: what counts as strange, what is expected, who said so."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from db import feedback
from tasks.catalog import Params
from tasks.context import JobContext
from tasks.errors import InvalidData
from tasks.inputs import Input, Instant, SeriesParams, common_step

if TYPE_CHECKING:
    from datetime import datetime

    import numpy as np

    from analysis.records import AnalysisOptions, Label

FEWEST_OBSERVATIONS = 12
_MOST_EVENTS = 1_000


class CalendarEvent(Params):
    """A stretch, half-open, in which something is known to happen."""

    start: Instant = Field(alias="from")
    end: Instant = Field(alias="to")
    name: str = Field(default="", max_length=200)
    action: Literal["suppress", "learn", "both"] = Field(
        default="both",
        description="suppress reports nothing of it, learn keeps it out of what is "
        "learnt, both does both.",
    )

    @model_validator(mode="after")
    def _forwards(self) -> "CalendarEvent":
        if self.start >= self.end:
            message = "from must lie before to"
            raise ValueError(message)
        return self


class JudgingParams(SeriesParams):
    """Series, and by what measure their points are strange."""

    sensitivity: int = Field(
        default=50,
        ge=0,
        le=100,
        description="A budget of false alarms: 10 ** (sensitivity / 25 - 5) of the "
        "points of a clean series; 50 is 1 in 1,000, and 25 more ten times as many.",
    )
    false_alarms_per_1000: float | None = Field(
        default=None,
        gt=0,
        le=500,
        description="The budget itself, in place of sensitivity.",
    )
    season: int | None = Field(
        default=None,
        ge=1,
        le=100_000,
        description="Steps of the main cycle, 1 for none; by default found.",
    )
    direction: Literal["both", "up", "down"] = Field(
        default="both", description="Report only what is above, or below, expected."
    )
    min_change: float = Field(
        default=0.0,
        ge=0,
        description="Departures up to this, in the unit of the values, are nothing.",
    )
    min_change_relative: float = Field(
        default=0.0,
        ge=0,
        description="Nor are those up to this share of what was expected.",
    )
    impute: Literal["none", "auto", "previous", "linear", "zero", "fixed"] = Field(
        default="none",
        description="How missing points are filled first; none is best here.",
    )
    impute_value: float | None = Field(
        default=None, description="What impute fixed fills in."
    )
    calendar: list[CalendarEvent] = Field(
        default_factory=list,
        max_length=_MOST_EVENTS,
        description="What is known to happen and when.",
    )
    time_zone: str | None = Field(
        default=None,
        max_length=64,
        description="The clock that cycles follow, such as Europe/Berlin; "
        "by default UTC.",
    )
    use_feedback: bool = Field(
        default=True, description="Heed what people said of stored series."
    )

    @model_validator(mode="after")
    def _fits(self) -> "JudgingParams":
        if (self.impute == "fixed") != (self.impute_value is not None):
            message = "impute_value goes with impute fixed, and that with a value"
            raise ValueError(message)
        return self

    @property
    def in_order(self) -> bool:
        """Rows have to ascend."""
        return True


class Asked:
    """The options of each series: one set for all, with what people said of each.

    Raises:
        InvalidData: at ``of``, saying what does not fit the series.
    """

    def __init__(
        self, params: JudgingParams, context: JobContext, *, mode: str, **more: object
    ) -> None:
        self._params = params
        self._context = context
        self._mode = mode
        self._more = more

    def of(self, item: Input) -> "AnalysisOptions":
        """Return the options of one series, after seeing that it is long enough."""
        import numpy as np

        observed = int(np.isfinite(item.values).sum())
        if observed < FEWEST_OBSERVATIONS:
            raise InvalidData(
                f"{observed} observations are too few to know what is expected; "
                f"at least {FEWEST_OBSERVATIONS} are needed"
            )
        return self.options(
            item.frequency or common_step(item.times),
            self._said(item.series_id),
            unit=item.unit,
        )

    def options(
        self,
        frequency: str,
        labels: "Sequence[feedback.Label]" = (),
        *,
        unit: str = "",
    ) -> "AnalysisOptions":
        """Return the options for a step, what was said of the series, and its unit."""
        from analysis.records import AnalysisOptions, Expected, InvalidOptions

        params = self._params
        calendar = tuple(
            Expected(naive(one.start), naive(one.end), one.action, one.name)
            for one in params.calendar
        )
        try:
            return AnalysisOptions(
                frequency=frequency,
                mode=self._mode,
                sensitivity=params.sensitivity,
                season=params.season,
                false_alarms_per_1000=params.false_alarms_per_1000,
                direction=params.direction,
                min_change=params.min_change,
                min_change_relative=params.min_change_relative,
                calendar=calendar,
                labels=tuple(_as_label(one) for one in labels),
                impute="linear" if params.impute == "auto" else params.impute,
                impute_value=params.impute_value,
                time_zone=params.time_zone,
                unit=unit,
                **self._more,  # type: ignore[arg-type] # what a job type adds
            )
        except InvalidOptions as error:
            raise InvalidData(str(error)) from error

    def _said(self, series_id: int | None) -> "Sequence[feedback.Label]":
        if series_id is None or not self._params.use_feedback:
            return ()
        with self._context.read() as connection:
            found = feedback.of_series(
                connection, tenant_id=self._context.tenant_id, series_ids=[series_id]
            )
        return found[series_id]


def naive(instant: "datetime") -> "np.datetime64":
    """Return an aware instant as the rooms take it: UTC, without a zone."""
    import numpy as np

    return np.datetime64(instant.replace(tzinfo=None))


def _as_label(one: feedback.Label) -> "Label":
    from analysis.records import Label

    return Label(naive(one.start_at), naive(one.end_at), one.label)
