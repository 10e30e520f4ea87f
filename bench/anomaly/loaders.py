"""The labelled collections: what is judged, and what counts as right."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd  # type: ignore[import-untyped]  # 2.3 ships no types
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Times = NDArray[np.datetime64]
Labels = NDArray[np.bool_]

_START = np.datetime64("2000-01-01", "us")
_MINUTE = np.timedelta64(60_000_000, "us")
# Rows of SKAB that are promised to be without anomalies, for learning.
SKAB_TRAIN = 400


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """A series and its labels.

    Attributes:
        collection: nab, smap_msl, aiops_kpi, ...
        name: of the series in its collection.
        values: shape (n,), or (n, k) for several aligned series.
        times: UTC, shape (n,); one step a minute where the file has none.
        frequency: of the times, where they are a grid.
        labels: True inside an anomaly, shape (n,).
        windows: half-open ranges of the labelled windows.
        annotations: change points by annotator.
        kind: what every anomaly of the series is, where that is known.
    """

    collection: str
    name: str
    values: Floats
    times: Times
    frequency: str
    labels: Labels
    windows: tuple[tuple[int, int], ...] = ()
    annotations: tuple[tuple[int, ...], ...] = ()
    kind: str = ""


def load(folder: Path, collection: str) -> list[Labelled]:
    """Return the labelled series of a collection, in the order of the manifest.

    Raises:
        FileNotFoundError: The folder has no manifest.
    """
    manifest = json.loads((folder / "manifest.json").read_text())
    rows = [one for one in manifest["series"] if one["dataset"] == collection]
    return [_read(folder, row) for row in rows if (folder / row["file"]).exists()]


def runs(labels: Labels) -> list[tuple[int, int]]:
    """Return the half-open stretches of True.

    Example:
        >>> runs(np.array([True, True, False, True]))
        [(0, 2), (3, 4)]
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[0], labels.astype(np.int8), [0]])))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def halves(series: Sequence[Labelled]) -> tuple[list[Labelled], list[Labelled]]:
    """Split a collection by turns, so that both halves hold every kind of file."""
    return list(series[::2]), list(series[1::2])


def _read(folder: Path, row: dict[str, Any]) -> Labelled:
    rows = pd.read_csv(folder / row["file"])
    labels = np.zeros(len(rows), dtype=np.bool_)
    if "label" in rows:
        labels = rows["label"].to_numpy() > 0
    times, frequency = _times(rows)
    skipped = {"timestamp", "t", "label", "changepoint"}
    columns = [name for name in rows.columns if name not in skipped]
    values = rows[columns].to_numpy(dtype=np.float64)
    return Labelled(
        collection=row["dataset"],
        name=row["name"],
        values=values[:, 0] if len(columns) == 1 else values,
        times=times,
        frequency=frequency,
        labels=labels,
        windows=_windows(rows, row),
        annotations=tuple(tuple(one) for one in row.get("annotations", {}).values()),
        kind=_kind(row),
    )


def _times(rows: pd.DataFrame) -> tuple[Times, str]:
    steps = np.arange(len(rows))
    if "timestamp" not in rows:
        return _START + steps * _MINUTE, "1min"
    times = _instants(rows["timestamp"])
    step = np.median(np.diff(times).astype(np.int64))
    if (np.diff(times).astype(np.int64) == step).all():
        return times, f"{int(step) // 1_000_000}s"
    # Files with holes and repeated times are judged row by row, as others do.
    return _START + steps * np.timedelta64(
        int(step), "us"
    ), f"{int(step) // 1_000_000}s"


def _instants(column: pd.Series) -> Times:
    if pd.api.types.is_numeric_dtype(column):
        return np.asarray(column.to_numpy().astype("datetime64[s]")).astype(
            "datetime64[us]"
        )
    # Years before 1677 do not fit what pandas counts in.
    return np.asarray(column.to_numpy().astype("datetime64[us]"))


def _windows(rows: pd.DataFrame, row: dict[str, Any]) -> tuple[tuple[int, int], ...]:
    given = row.get("windows") or []
    if not given:
        return ()
    times = _instants(rows["timestamp"])
    found = []
    for first, final in given:
        inside = (times >= np.datetime64(first)) & (times <= np.datetime64(final))
        places = np.flatnonzero(inside)
        if len(places):
            found.append((int(places[0]), int(places[-1]) + 1))
    return tuple(found)


def _kind(row: dict[str, Any]) -> str:
    words = row["name"].split("_")
    known = {"spike", "dip", "shock", "level", "trend"}
    return next((word for word in words if word in known), "")
