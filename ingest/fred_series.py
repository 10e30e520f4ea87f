"""Series of FRED: which ones an owner wants, how they are called, what they measure."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from ingest.contract import Config, SeriesMeta, local_key

STEPS: Mapping[str, str] = {
    **dict.fromkeys(("Daily", "d"), "P1D"),
    **dict.fromkeys(("Weekly", "w", "wef", "weth", "wew", "wetu", "wem"), "P1W"),
    **dict.fromkeys(("Biweekly", "bw", "bwew", "bwem"), "P2W"),
    **dict.fromkeys(("Monthly", "m"), "P1M"),
    **dict.fromkeys(("Quarterly", "q"), "P3M"),
    **dict.fromkeys(("Semiannual", "sa"), "P6M"),
    **dict.fromkeys(("Annual", "a"), "P1Y"),
}
"""ISO 8601 durations, by FRED's words and by its codes."""

_CHANGES = {"chg": "change", "ch1": "change from a year before", "log": "natural log"}

_PERCENT = {
    **dict.fromkeys(("pch", "pc1", "cch"), "percent"),
    **dict.fromkeys(("pca", "cca"), "percent a year"),
}

Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,60}$")]
Lower = Literal[
    "d",
    "w",
    "wef",
    "weth",
    "wew",
    "wetu",
    "wem",
    "bw",
    "bwew",
    "bwem",
    "m",
    "q",
    "sa",
    "a",
]


class FredConfig(Config):
    """Which series of FRED to read: some by name, or all of a release."""

    series_ids: Annotated[tuple[Id, ...], Field(max_length=1_000)] = Field(
        (), description="Names of series, such as GDP or DGS10."
    )
    release_id: int | None = Field(
        None, description="Number of a release, to read all its series at once.", ge=1
    )
    vintages: Literal["none", "initial", "all"] = Field(
        "none",
        description="none: values of today; initial: the first value of each date; "
        "all: every revision, with the day it was published.",
    )
    units: Literal["lin", "chg", "ch1", "pch", "pc1", "pca", "cch", "cca", "log"] = (
        Field("lin", description="lin: as published; otherwise FRED computes changes.")
    )
    frequency: Lower | None = Field(
        None, description="A lower frequency that FRED aggregates to."
    )
    aggregation: Literal["avg", "sum", "eop"] = Field(
        "avg", description="How it aggregates: average, sum, or end of period."
    )
    base_url: str = Field(
        "https://api.stlouisfed.org/fred",
        description="Where the API is.",
        max_length=200,
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if bool(self.series_ids) == (self.release_id is not None):
            message = "name either series or a release"
            raise ValueError(message)
        changed = self.units != "lin" or self.frequency or self.vintages != "none"
        if self.release_id is not None and changed:
            message = "a release comes as it is today, without vintages or changes"
            raise ValueError(message)
        return self


def key_of(config: FredConfig, name: str) -> str:
    """Return the key of a series; other units or a lower frequency are another one.

    Example:
        >>> key_of(FredConfig(series_ids=("GDP",), units="pch"), "GDP")
        'gdp.pch'
    """
    units = None if config.units == "lin" else config.units
    step = f"{config.frequency}-{config.aggregation}" if config.frequency else None
    return local_key(name, units, step)


def meta_of(config: FredConfig, told: Mapping[str, Any]) -> SeriesMeta:
    """Return what FRED's description of a series says."""
    name = str(told.get("id") or told.get("series_id") or "")
    words = str(told.get("frequency") or "").replace(",", " ").split()
    step = config.frequency or (words[0] if words else "")
    return SeriesMeta(
        key_of(config, name),
        str(told.get("title") or ""),
        _unit(config, told.get("units")),
        STEPS.get(step),
    )


def _unit(config: FredConfig, told: Any) -> str | None:
    if (percent := _PERCENT.get(config.units)) is not None:
        return percent
    if not told:
        return None
    change = _CHANGES.get(config.units)
    return str(told) if change is None else f"{told}, {change}"
