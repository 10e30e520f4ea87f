"""How a job puts its series on their grid: fill rules, open days, time zone."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, StringConstraints, field_validator

from tasks.catalog import Params
from tasks.inputs import Instant

if TYPE_CHECKING:
    from forecasting.fill import FillRules

# Beyond this a value is refused by the rooms that would square it.
_LARGEST = 1e100


def _timezone(name: str) -> str:
    """Refuse a zone that the platform's own list does not hold."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        message = "not a time zone such as UTC or Europe/Berlin"
        raise ValueError(message) from error
    return name


Timezone = Annotated[str, Field(max_length=64), AfterValidator(_timezone)]
Number = Annotated[float, Field(ge=-_LARGEST, le=_LARGEST)]
Statistic = Literal["mean", "median", "min", "max"]
_Anywhere = Literal["none", "auto", "linear", "seasonal", "zero", "nan"]
FrontFill = _Anywhere | Statistic | Number
Fill = Literal["previous"] | _Anywhere | Statistic | Number
CalendarName = Annotated[
    str, StringConstraints(pattern=r"^[A-Z0-9]{2,6}(-[^\W_][\w .'-]{0,59})?$")
]


class FillParams(Params):
    """What is done about steps without a value, and about times with several.

    ``zero`` or a number states what a step without a row means and counts as observed;
    every other rule is a guess that no forecast is held against.
    """

    front: FrontFill = Field(
        default="none",
        description="From the start of the panel to the first observation; none leaves "
        "it out.",
    )
    middle: Fill = Field(
        default="auto",
        description="Between observations; auto draws a line over up to two steps and "
        "takes the median of nearby seasons for longer gaps; none refuses gaps.",
    )
    back: Fill = Field(
        default="none",
        description="From the latest observation to the end of the panel; none leaves "
        "it out.",
    )
    duplicates: Literal["refuse", "first", "last", "mean", "sum"] = Field(
        default="refuse", description="What becomes of several values for one time."
    )


class GridParams(Params):
    """How the series are put on their grid."""

    fill: FillParams = FillParams()
    calendar: CalendarName | None = Field(
        default=None,
        description="Open days only: an exchange (XNYS, ECB), a country (DE) or a "
        "region (DE-BE); with steps of one day.",
    )
    timezone: Timezone = Field(
        default="UTC",
        description="The zone whose clocks say when days, weeks and months begin.",
    )
    span: tuple[Instant, Instant] | None = Field(
        default=None,
        description="Start and end of the panel, which front and back fill to; by "
        "default those of the series that are read.",
    )

    @field_validator("span")
    @classmethod
    def _ascends(
        cls, span: tuple[datetime, datetime] | None
    ) -> tuple[datetime, datetime] | None:
        if span is not None and span[0] > span[1]:
            message = "the span ends before it starts: give the earlier time first"
            raise ValueError(message)
        return span


def fill_rules(params: FillParams) -> "FillRules":
    """Return the rules as the forecasting room takes them."""
    from forecasting.fill import FillRules

    return FillRules(
        front=params.front,
        middle=params.middle,
        back=params.back,
        duplicates=params.duplicates,
    )
