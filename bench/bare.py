"""``python -m bench.bare``: the forecasting room alone, without a platform.

Reads an order as JSON from standard input; forecasts the panels of a file one after the
other in this process, and prints the CPU seconds of each round. A first panel that does
not count brings in the libraries.
"""

import hashlib
import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.load import answer_apart


@dataclass(frozen=True)
class Order:
    """The params of ``forecast.run``, the series in a file, and how often."""

    file: str
    params: dict[str, Any]
    frequency: str
    size: int
    rounds: int


@dataclass(frozen=True)
class Told:
    """CPU seconds of each round, and a hash of all means in the order of the keys."""

    cpu_s: list[float]
    means: str


def run_apart(order: Order) -> Told:
    """Run an order in a process of its own.

    Raises:
        Refused: it did not end well.
    """
    return Told(**answer_apart("bench.bare", asdict(order)))


def run(order: Order) -> Told:
    """Run an order in this process."""
    import numpy as np  # noqa: PLC0415 - the caller of run_apart needs none of it

    from forecasting.forecast import PanelSeries, forecast_panel  # noqa: PLC0415 - same
    from tasks.forecast import ForecastParams  # noqa: PLC0415 - same
    from tasks.panels import options_of  # noqa: PLC0415 - same

    options = options_of(ForecastParams.model_validate(order.params), order.frequency)
    with np.load(Path(order.file)) as kept:
        panel = [
            PanelSeries(str(key), values, times)
            for key, times, values in zip(
                kept["keys"], kept["times"], kept["values"], strict=True
            )
        ]
    parts = [
        panel[first : first + order.size] for first in range(0, len(panel), order.size)
    ]
    forecast_panel(parts[0], options=options)
    cpu_s = []
    means = hashlib.sha256()
    for _ in range(order.rounds):
        means = hashlib.sha256()
        began = time.process_time()
        for part in parts:
            for one in forecast_panel(part, options=options).series:
                means.update(one.mean.tobytes())
        cpu_s.append(time.process_time() - began)
    return Told(cpu_s, means.hexdigest())


if __name__ == "__main__":
    print(json.dumps(asdict(run(Order(**json.load(sys.stdin))))))
