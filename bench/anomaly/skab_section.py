"""The part of the page about several series at once."""

from pathlib import Path

from bench.anomaly import skab
from bench.anomaly.loaders import SKAB_TRAIN

_HEAD = f"""## Several series

The Skoltech benchmark of a water loop with eight sensors, outliers by its published
protocol: every row of every file counts, {SKAB_TRAIN} calm rows of a file are all
that is learnt from. The threshold is a margin times the largest calm reading. The
margin of {skab.MARGIN} is from the middle of a plateau on these files; two rows show a
margin that was chosen on one half of them and measured on the other. The bundled files
are half of the benchmark: the published figures are for all of it."""


def section(folder: Path) -> str:
    """Return the part in Markdown."""
    return f"{_HEAD}\n\n{skab.table(skab.measure(folder))}"
