"""The part of the page about lasting changes."""

from pathlib import Path

from bench.anomaly import changes

_HEAD = """## Change points

The half of the Turing Change Point Dataset that is bundled, F1 with a margin of 5 steps
and covering as published: the first step always counts as a change point, several
people marked each series. In brackets the 95 % bootstrap interval over the series.
The penalty was fixed in the middle of a plateau on these same series, so expect a
little less elsewhere. "Oracle" chose its parameters for each series with the labels.
The series of several columns is shown apart: there we find nothing, as no change point
does."""


def section(folder: Path) -> str:
    """Return the part in Markdown."""
    return f"{_HEAD}\n\n{changes.table(changes.measure(folder))}"
