"""What Azure AI Anomaly Detector takes in its univariate calls, v1.1."""

from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, NaiveDatetime
from pydantic.alias_generators import to_camel

FEWEST_POINTS, MOST_POINTS = 12, 8_640

Granularity = Literal[
    "yearly",
    "monthly",
    "weekly",
    "daily",
    "hourly",
    "minutely",
    "secondly",
    "microsecond",
    "none",
]


class _Asked(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel, validate_by_name=True, allow_inf_nan=False
    )


class PointIn(_Asked):
    """A value, and its time unless the granularity is ``none``; UTC by default."""

    timestamp: AwareDatetime | NaiveDatetime | None = None
    value: float


class _Series(_Asked):
    series: list[PointIn] = Field(min_length=FEWEST_POINTS, max_length=MOST_POINTS)
    granularity: Granularity = "none"
    custom_interval: int = Field(default=1, ge=1, le=100_000)
    period: int | None = Field(default=None, ge=0, le=MOST_POINTS)


class DetectIn(_Series):
    """A series whose points are to be judged."""

    max_anomaly_ratio: float | None = Field(default=None, gt=0, lt=1)
    sensitivity: int | None = Field(default=None, ge=0, le=99)
    impute_mode: Literal["auto", "previous", "linear", "fixed", "zero", "notFill"] = (
        "auto"
    )
    impute_fixed_value: float | None = None


class ChangePointIn(_Series):
    """A series whose lasting changes are wanted."""

    granularity: Granularity
    stable_trend_window: int = Field(default=5, ge=1, le=MOST_POINTS)
    threshold: float = Field(default=0.9, ge=0, le=1)
