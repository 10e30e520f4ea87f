"""The main figures of results as small tables, for the pages of jobs."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from web.tables import Cell, Table, counted, figure, instant, shares, stretch, table


def tables(kind: str, result: Mapping[str, Any] | None) -> list[Table]:
    """Return the tables of a result; none where its type has no such."""
    make = _TABLES.get(kind)
    if make is None or result is None:
        return []
    return [one for one in make(result) if one.rows]


def _evaluated(result: Mapping[str, Any]) -> Iterator[Table]:
    yield table(
        "All series; largest steps is the naive",
        ("Detector", "Precision", "Recall", "F1", "Found", "Alarms", "False in 1,000"),
        [
            [
                Cell(one["contender"]),
                *shares(one, "precision", "recall", "f1"),
                figure(f"{one['found']:,} of {one['labelled']:,}"),
                counted(one["alarms"]),
                counted(one["false_alarms_per_1000"]),
            ]
            for one in result["overall"]
        ],
    )
    yield table(
        "Each series, the best first",
        ("Series", "Detector", "Precision", "Recall", "F1", "PR area", "By chance"),
        [
            [
                Cell(item["unique_id"]),
                Cell(one["contender"]),
                *shares(one, "precision", "recall", "f1"),
                *shares(one, "average_precision", "share"),
            ]
            for item in result["series"]
            for one in item["contenders"]
        ],
    )


def _watched(result: Mapping[str, Any]) -> Iterator[Table]:
    scored, happened = result["series"], result["incidents"]
    counts = {
        "Series with news": len(scored),
        "Points scored": sum(one["points"] for one in scored),
        "Anomalies": sum(len(one["anomalies"]) for one in scored),
        **{f"Incidents {name}": len(ids) for name, ids in happened.items()},
        "Series that failed": len(result["failed"]),
    }
    rows = [[Cell(name), counted(count)] for name, count in counts.items()]
    yield table("What was looked at", ("", "Count"), rows)
    yield table(
        "Incidents",
        ("", "Incident"),
        [
            [Cell(name), Cell(one, f"/console/incidents/{one}")]
            for name, ids in happened.items()
            for one in ids
        ],
    )
    yield table(
        "Series with anomalies",
        ("Series", "Points", "Up to", "Anomalies"),
        [
            [
                Cell(one["unique_id"]),
                counted(one["points"]),
                Cell(instant(one["upto"])),
                counted(len(one["anomalies"])),
            ]
            for one in scored
            if one["anomalies"]
        ],
    )


def _loaded(result: Mapping[str, Any]) -> Iterator[Table]:
    yield table(
        "All that was read",
        ("New", "Revised", "Unchanged", "Missing", "Duplicates", "Rejected"),
        [_rows_of(result, "missing", "duplicates", "rejected")],
    )
    windows = result.get("windows", ())
    left = result.get("windows_total", len(windows)) - len(windows)
    if "source" in result:
        yield table(
            "Windows",
            ("Window", "State", "New", "Revised", "Unchanged", "Rejected", "Detail"),
            [
                [
                    Cell(stretch(one)),
                    Cell(one["state"]),
                    *_rows_of(one, "rejected"),
                    Cell(one.get("detail") or one.get("reason") or ""),
                ]
                for one in windows
            ],
            left=left,
        )
        return
    yield table(
        "Windows",
        ("Series", "Window", "New or revised"),
        [
            [Cell(one["series"]), Cell(stretch(one)), counted(one["rows"])]
            for one in windows
        ],
        left=left,
    )


def _rows_of(one: Mapping[str, Any], *names: str) -> list[Cell]:
    """Return counts of rows; an upload calls its rejected ones by another name."""
    counts = {**one, "rejected": one.get("rejected_total", one.get("rejected", 0))}
    wanted = ("written", "revised", "unchanged", *names)
    return [counted(counts.get(name, 0)) for name in wanted]


_TABLES: Mapping[str, Callable[[Mapping[str, Any]], Iterator[Table]]] = {
    "analysis.evaluate": _evaluated,
    "analysis.watch": _watched,
    "ingest.run": _loaded,
}
