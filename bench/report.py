"""The bench's result as a table that reads as text and as Markdown."""

from bench.figures import Line, Spread
from bench.rounds import Plan

_HEAD = ("", "Forebay", "peer", "Forebay / peer", "aim", "")


def table(
    lines: list[Line], plan: Plan, about: dict[str, str], *, queue_type: str
) -> str:
    """Return the table, what was done, and on which machine."""
    rows = [_HEAD, *(_row(line) for line in lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    rows.insert(1, tuple("-" * width for width in widths))
    drawn = ["| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in rows]
    done = (
        f"Medians of {plan.rounds} rounds (lowest-highest); a ratio is that of the two "
        "sides of a round.\n"
        "Sides in turn, the other one idle. "
        f"Forebay's queues: {queue_type}; the peer's: classic.\n"
        f"A burst is {plan.burst} jobs from {plan.threads} connections; submit to "
        f"result is one job at a time,\n"
        f"{plan.singles} a round; a batch has {plan.batch} jobs."
    )
    machine = [f"{name}: {text}" for name, text in about.items()]
    return "\n".join([*drawn, "", done, "", *machine])


def _row(line: Line) -> tuple[str, ...]:
    measure = line.measure
    aim = ""
    if measure.aim is not None:
        aim = f"{'>=' if measure.more_is_better else '<='} {measure.aim:g}"
    met = {None: "", True: "met", False: "missed"}[line.met]
    return (
        f"{measure.name}, {measure.unit}",
        _spread(line.forebay),
        _spread(line.peer),
        f"{line.ratio.median:.2f} ({line.ratio.low:.2f}-{line.ratio.high:.2f})",
        aim,
        met,
    )


def _spread(found: Spread) -> str:
    return f"{_short(found.median)} ({_short(found.low)}-{_short(found.high)})"


def _short(value: float) -> str:
    return f"{value:,.1f}" if value < 100 else f"{value:,.0f}"  # noqa: PLR2004 - three digits say enough
