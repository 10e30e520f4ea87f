"""The part of the page about the names of anomalies."""

from pathlib import Path

from bench.anomaly import kinds

_HEAD = f"""## Kinds

The synthetic set of Merlion in default settings (aim: {kinds.AIM:.0%} of those found).
Parameters were chosen on the flat series; the seasonal ones were looked at to see
that rules mended on the flat ones do them no harm. A label is answered by the event
that begins nearest to its first step, from {kinds.EARLY} steps before it
on; labels shorter than {kinds.SHORTEST_WINDOW} steps are taken to be as long.
Trends of the set die out again: where they do, a second bend is found that has no
label. Some labelled shifts are of a fifth of the noise, and cannot be found."""


def section(folder: Path) -> str:
    """Return the part in Markdown."""
    return f"{_HEAD}\n\n{kinds.table(kinds.measure(folder))}"
