"""Names the series of the IEC 62325 documents by all that tells one from another."""

import re
from collections.abc import Mapping
from functools import lru_cache

from ingest.contract import (
    SeriesMeta,
    local_key,
)
from ingest.entsoe_steps import Step

ACTUAL = "A16"
"""The process type of what has happened."""

_AHEAD = {"A65", "A69", "A70", "A71"}
_UNITS = {"MAW": "MW", "MWH": "MWh", "KWH": "kWh", "P1": "%", "C62": "1"}
_SIDES = {"inbiddingzone": "in", "outbiddingzone": "out"}
_MINUTE_US = 60_000_000
_RESOLUTION = re.compile(
    r"P(?:(\d{1,3})Y)?(?:(\d{1,3})M)?(?:(\d{1,3})W)?(?:(\d{1,3})D)?"
    r"(?:T(?:(\d{1,4})H)?(?:(\d{1,5})M)?(?:(\d{1,6})S)?)?"
)


@lru_cache(maxsize=256)
def step_of(resolution: str) -> Step | None:
    """Return the step of an ISO 8601 duration, or None if it is no such step.

    Example:
        >>> step_of("PT15M").us, step_of("P1M").months, step_of("PT0M")
        (900000000, 1, None)
    """
    match = _RESOLUTION.fullmatch(resolution)
    if match is None:
        return None
    years, months, weeks, days, hours, minutes, seconds = (
        int(group or 0) for group in match.groups()
    )
    calendar = Step(12 * years + months, 7 * weeks + days)
    fixed = Step(us=(60 * hours + minutes) * _MINUTE_US + seconds * 1_000_000)
    if calendar == Step():
        return fixed if fixed.us else None
    return None if fixed.us else calendar


def is_forecast(document: str, process: str | None) -> bool:
    """Return whether a document tells what is expected.

    Example:
        >>> is_forecast("A65", "A01"), is_forecast("A65", "A16")
        (True, False)
    """
    return document in _AHEAD and process != ACTUAL


def series_of(
    root: Mapping[str, str], said: Mapping[str, str], resolution: str, kind: str
) -> SeriesMeta:
    """Return key, unit and step of a series.

    Generation and consumption of an area, sequences of an auction and resolutions are
    series of their own: nothing is ever averaged or summed here.

    Args:
        root: what the document says of itself, by names of elements.
        said: what the time series says.
        resolution: of the period.
        kind: what tells values apart where a point has several; may be empty.
    """
    document, process = root.get("type", ""), root.get("process.processType")
    outage = any(name.lower().startswith("unavailability") for name in root)
    key = local_key(
        document,
        process,
        said.get("businessType"),
        *areas_of({**root, **said}),
        said.get("MktPSRType.psrType"),
        *_resources(said),
        said.get("flowDirection.direction"),
        said.get("contract_MarketAgreement.type"),
        said.get("classificationSequence_AttributeInstanceComponent.position"),
        root.get("mRID") if outage else None,
        kind or None,
        resolution,
    )
    return SeriesMeta(
        key,
        unit=_unit(said),
        frequency=resolution,
        timezone="UTC" if "T" in resolution else "Europe/Brussels",
        kind="forecast" if is_forecast(document, process) else "observed",
    )


def _unit(said: Mapping[str, str]) -> str | None:
    names = ("currency_Unit.name", "price_Measure_Unit.name")
    parts = [said[name] for name in names if name in said]
    if not parts:
        names = ("quantity_Measure_Unit.name", "quantity_Measurement_Unit.name")
        parts = [said[name] for name in names if name in said][:1]
    return "/".join(_UNITS.get(part, part) for part in parts) or None


def areas_of(said: Mapping[str, str]) -> list[str]:
    """Return areas: one alone where in and out agree, else each with its side.

    Args:
        said: what the document and the time series say, by names of elements.
    """
    areas: dict[str, str] = {}
    for name, area in said.items():
        if match := re.fullmatch(r"(.*?)_?domain\.mrid", name.lower()):
            areas[_SIDES.get(match[1], match[1])] = area
    if {"in", "out"} == set(areas) and areas["in"] == areas["out"]:
        return [areas["in"]]
    return [f"{side}:{areas[side]}" for side in sorted(areas)]


def _resources(said: Mapping[str, str]) -> list[str]:
    """Return the units of production or consumption, each once."""
    found = (
        text
        for name, text in said.items()
        if "resource" in name.lower() and name.endswith("mRID")
    )
    return list(dict.fromkeys(found))
