"""What an answer costs: the newest point, a state, a long series in hindsight."""

import resource
import statistics
import time
from pathlib import Path

import numpy as np

from analysis.analyse import AnalysisOptions, analyse
from analysis.packing import pack, unpack
from analysis.stream import Stream
from bench.anomaly.tables import table

_HISTORY, _PUSHES, _LONG = 2_000, 1_000, 100_000
_HOUR = np.timedelta64(1, "h")
_START = np.datetime64("2000-01-01", "us")


def section(_: Path) -> str:
    """Return the table; the series is a daily wave with noise, hourly."""
    steps = np.arange(_LONG)
    noise = np.random.default_rng(0).standard_normal(_LONG)
    values, times = 10 * np.sin(steps * np.pi / 12) + noise, _START + steps * _HOUR
    options = AnalysisOptions("1h")
    rows = _pushes(values, times, options)
    before = _memory_mb()
    began = time.process_time()
    analyse(values, times=times, options=options)
    spent = time.process_time() - began
    rows.append([f"batch, {_LONG:,} points", f"{spent:.1f} s of CPU"])
    rows.append(["its memory beside the series", f"{_memory_mb() - before:.0f} MB"])
    return f"## What it costs\n\n{table(['', ''], rows)}"


def _pushes(
    values: np.ndarray, times: np.ndarray, options: AnalysisOptions
) -> list[list[str]]:
    stream = Stream(options)
    for place in range(_HISTORY):
        stream.push(values[place], time=times[place])
    state = pack(stream)
    spent = []
    for place in range(_HISTORY, _HISTORY + _PUSHES):
        began = time.perf_counter()
        stream.push(values[place], time=times[place])
        spent.append(1000 * (time.perf_counter() - began))
    packed, unpacked = [], []
    for _ in range(20):
        began = time.perf_counter()
        unpack(state, options=options)
        unpacked.append(1000 * (time.perf_counter() - began))
        began = time.perf_counter()
        pack(stream)
        packed.append(1000 * (time.perf_counter() - began))
    began = time.process_time()
    head = slice(0, _HISTORY)
    latest = AnalysisOptions(options.frequency, mode="latest")
    analyse(values[head], times=times[head], options=latest)
    cold = 1000 * (time.process_time() - began)
    return [
        [
            f"newest point after {_HISTORY:,}, warm, median",
            f"{statistics.median(spent):.3f} ms",
        ],
        ["same, 99 of 100 below", f"{np.quantile(spent, 0.99):.3f} ms"],
        ["state, packed", f"{len(state):,} bytes"],
        ["unpack and pack", f"{_median(unpacked)} ms and {_median(packed)} ms"],
        [f"mode latest from {_HISTORY:,} points, no state", f"{cold:.0f} ms of CPU"],
    ]


def _median(figures: list[float]) -> str:
    return f"{statistics.median(figures):.1f}"


def _memory_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
