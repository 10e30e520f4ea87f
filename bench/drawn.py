"""Tables that read as text and as Markdown, and what stands below them."""

from collections.abc import Mapping, Sequence


def draw(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table with its columns under each other."""
    cells = [tuple(head), *(tuple(row) for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    cells.insert(1, tuple("-" * width for width in widths))
    return "\n".join(
        "| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in cells
    )


def verdict(met: bool | None) -> str:  # noqa: FBT001 - what was found, not a switch
    """Return the word for whether an aim was met; none where there was none."""
    return {None: "", True: "met", False: "missed"}[met]


def told(table: str, done: str, about: Mapping[str, str]) -> str:
    """Return a table, what was done, and on which machine."""
    machine = [f"{name}: {text}" for name, text in about.items()]
    return "\n".join([table, "", done, "", *machine])
