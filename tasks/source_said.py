"""What is said of a source's series: by the source itself, else by its owner."""

from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from db.sources import Source
from tasks.inputs import Frequency

if TYPE_CHECKING:
    from ingest.contract import SeriesMeta

_STEP = TypeAdapter(Frequency)
_LENGTHS = (("D", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def of_series(source: Source, meta: "SeriesMeta | None") -> dict[str, Any] | None:
    """Return what to fill in of a series, or None where nobody says anything.

    A table does not tell its unit or its step; its owner may, in ``mapping`` and in the
    layout of the config. The kind is left as it is where the source does not tell it.
    """
    mapping, layout = source.options.get("mapping"), source.config.get("layout")
    mapping = mapping or {}
    owner: dict[str, Any] = {
        "unit": mapping.get("unit"),
        "frequency": _frequency((layout or {}).get("frequency")),
    }
    if meta is not None:
        told = {name: text for name, text in vars(meta).items() if text is not None}
        return {**owner, **told}
    if not tags(source) and not any(owner.values()):
        return None
    return {**owner, "title": "", "timezone": "UTC", "kind": None}


def tags(source: Source) -> list[str]:
    """Return the tags that the owner gives to the source's series."""
    return list((source.options.get("mapping") or {}).get("tags") or ())


def _frequency(step: str | None) -> str | None:
    """Return the step of a layout as series have it: 1w of tables begins on any day."""
    if not step:
        return None
    from ingest.frequency import parse_step

    try:
        return _STEP.validate_python(step)
    except ValidationError:
        seconds = int(parse_step(step).total_seconds())
        unit, length = next(one for one in _LENGTHS if seconds % one[1] == 0)
        return f"{seconds // length}{unit}"
