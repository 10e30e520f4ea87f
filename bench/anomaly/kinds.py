"""Whether what was found is called by its right name: kinds on the Merlion set."""

import argparse
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from analysis.analyse import AnalysisOptions, analyse
from bench.anomaly.loaders import Floats, Labelled, load, runs

# What the authors of the set call their anomalies, in our words. A shock is either
# of two: its sign follows from the same series without it.
_NAMES = {
    "spike": "spike",
    "dip": "dip",
    "level": "level_shift",
    "trend": "trend_change",
}
# Shifts are marked over 20 steps, bends by one: all are given as long as a shift.
SHORTEST_WINDOW = 20
# Steps before a window from which an event may answer it.
EARLY = 10
NOTHING = "nothing"
# Parameters were chosen on the flat series and not looked at on the others.
CHOSEN_ON, KEPT_BACK = "horizontal", "seasonal"
AIM = 0.90


@dataclass(frozen=True)
class Row:
    """What the labelled anomalies of some series were called.

    Attributes:
        series: horizontal or seasonal.
        table: how many anomalies of the first kind were called the second.
        extra: events that answer no label, by kind.
        seconds: CPU.
    """

    series: str
    table: Counter[tuple[str, str]]
    extra: Counter[str]
    seconds: float

    @property
    def labelled(self) -> int:
        """How many anomalies are labelled."""
        return self.table.total()

    @property
    def found(self) -> int:
        """How many of them an event answers."""
        return sum(count for (_, name), count in self.table.items() if name != NOTHING)

    @property
    def right(self) -> int:
        """How many have their right name."""
        return sum(count for (kind, name), count in self.table.items() if kind == name)


@dataclass(frozen=True)
class Event:
    """Steps [start, stop) and what they were called."""

    start: int
    stop: int
    kind: str


def measure(data: Path) -> list[Row]:
    """Return a row for the series parameters were chosen on, and for the others."""
    series = load(data, "merlion_synthetic")
    clean = {one.name: one.values for one in series}
    rows = []
    for half in (CHOSEN_ON, KEPT_BACK):
        spoilt = [one for one in series if one.kind and one.name.startswith(half)]
        began = time.process_time()
        table, extra = Counter[tuple[str, str]](), Counter[str]()
        for one in spoilt:
            named, rest = _named(one, without=clean[half])
            table.update(named)
            extra.update(rest)
        rows.append(Row(half, table, extra, time.process_time() - began))
    return rows


def _named(
    one: Labelled, *, without: Floats
) -> tuple[list[tuple[str, str]], list[str]]:
    options = AnalysisOptions(one.frequency)
    found = analyse(one.values, times=one.times, options=options)
    places = np.searchsorted(one.times, [event.start for event in found.anomalies])
    stops = np.searchsorted(one.times, [event.end for event in found.anomalies])
    events = [
        Event(int(start), int(stop), event.kind)
        for start, stop, event in zip(places, stops, found.anomalies, strict=True)
    ]
    return match(
        events,
        windows=[
            (
                start,
                max(stop, start + SHORTEST_WINDOW),
                _kind(one, start, stop, without),
            )
            for start, stop in runs(one.labels)
        ],
    )


def _kind(one: Labelled, start: int, stop: int, without: Floats) -> str:
    if one.kind in _NAMES:
        return _NAMES[one.kind]
    change = float(np.sum(one.values[start:stop] - without[start:stop]))
    return "spike" if change > 0 else "dip"


def match(
    events: Iterable[Event], *, windows: Iterable[tuple[int, int, str]]
) -> tuple[list[tuple[str, str]], list[str]]:
    """Give each labelled window the event that begins nearest to where it begins.

    Args:
        events: What was found.
        windows: Half-open ranges and their kinds.

    Returns:
        Pairs of the labelled kind and the found one, and the kinds of the events
        that touch no window.
    """
    listed = list(events)
    used: set[int] = set()
    named = []
    for start, stop, kind in windows:
        near = [
            number
            for number, event in enumerate(listed)
            if event.start < stop and event.stop > start - EARLY
        ]
        used.update(near)
        nearest = min(
            near, key=lambda number: abs(listed[number].start - start), default=None
        )
        named.append((kind, NOTHING if nearest is None else listed[nearest].kind))
    rest = [event.kind for number, event in enumerate(listed) if number not in used]
    return named, rest


def table(rows: Iterable[Row]) -> str:
    """Return the confusion matrices in Markdown."""
    parts = []
    for row in rows:
        names = sorted({name for pair in row.table for name in pair})
        extra = ", ".join(
            f"{count} {kind}" for kind, count in sorted(row.extra.items())
        )
        head = (
            f"`{row.series}`: {row.right} of {row.labelled} labelled anomalies "
            f"({row.right / row.labelled:.1%}) found and called by their right name; "
            f"{row.right / max(row.found, 1):.1%} of the {row.found} found are. "
            f"{row.extra.total()} events beside the labels ({extra}); "
            f"{row.seconds:.1f} CPU s."
        )
        lines = [
            head,
            "",
            "| labelled | " + " | ".join(names) + " |",
            "|---" * (len(names) + 1) + "|",
        ]
        for kind in sorted({pair[0] for pair in row.table}):
            cells = [str(row.table[kind, name] or "") for name in names]
            lines.append(f"| {kind} | " + " | ".join(cells) + " |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    print(table(measure(parser.parse_args().data)))


if __name__ == "__main__":
    main()
