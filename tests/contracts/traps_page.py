"""The tables of docs/reference/connectors.md, from the shelf and from ``traps.py``.

``python -m tests.contracts.traps_page`` puts them into the page.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from ingest.connectors import connectors
from ingest.contract import Spec
from tests.contracts.traps import ROWS, TRAPS, Cell, Changed, Long, No, Played, Test

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "connectors.md"
_TESTS = "../../tests"
_WORDS = {Played: "played", Changed: "changed", Long: "long"}


def tables() -> Mapping[str, str]:
    """Return the tables by the heading they stand under."""
    return {
        "What is on the shelf": _table(
            ["connector", "reads", "secrets", "asked at most", "a new source"],
            [_described(name, kind.spec) for name, kind in connectors().items()],
        ),
        "Licences": _table(
            ["connector", "licence note"],
            [[f"`{name}`", kind.spec.licence] for name, kind in connectors().items()],
        ),
        "The traps": _table(
            ["trap", "what is tested"], [[name, told] for name, told in TRAPS.items()]
        ),
        "Connectors and traps": _table(
            ["connector", *TRAPS],
            [
                [f"`{name}`", *map(_cell, row.cells().values())]
                for name, row in ROWS.items()
            ],
        ),
        "What is not there": _table(
            ["note", "why there is no such trap"],
            [[str(number), reason] for reason, number in _notes().items()],
        ),
    }


def written(page: str) -> str:
    """Return a page with the tables as they are now."""
    for heading, table in tables().items():
        place = rf"(?ms)(^## {heading}\n.*?)^\|.*?\n(?=\n|\Z)"
        page, count = re.subn(place, lambda found, new=table: found[1] + new, page)
        assert count == 1, heading
    return page


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _described(name: str, spec: Spec) -> list[str]:
    title = f"[{spec.title}]({spec.documentation})" if spec.documentation else ""
    secrets = [
        f"`{one.name}`" if one.required else f"(`{one.name}`)" for one in spec.secrets
    ]
    limits = spec.limits
    asked = f"{limits.per_second:.2g} a second, {limits.burst:g} at once"
    if limits.per_day is not None:
        asked += f", {limits.per_day:,.0f} a day"
    runs = "runs" if spec.enabled else "waits for `enable`"
    return [f"`{name}`", title or spec.title, ", ".join(secrets) or "-", asked, runs]


def _cell(cell: Cell) -> str:
    if isinstance(cell, No):
        return f"n/a ({_notes()[cell.reason]})"
    if isinstance(cell, Test):
        return f"[own]({_TESTS}/ingest/{cell.file}.py)"
    return _WORDS[type(cell)]


def _notes() -> Mapping[str, int]:
    reasons = [
        cell.reason
        for row in ROWS.values()
        for cell in row.cells().values()
        if isinstance(cell, No)
    ]
    return {reason: number for number, reason in enumerate(dict.fromkeys(reasons), 1)}


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
