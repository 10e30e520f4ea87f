"""The slow and obvious reader: one row at a time, with the standard library only."""

import csv
import io
import json
import math
import re
from collections import defaultdict
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from ingest.layout import UploadLayout

KEY = re.compile(r"[a-z0-9][a-z0-9._:-]{0,199}")
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
NOT_FINITE = re.compile(r"[+-]?(nan|inf|infinity)", re.IGNORECASE)


def read_csv(text: str, layout: UploadLayout):
    """Return ({(key, instant): [(value, row), ...]}, {row: code}, missing)."""
    header, *lines = csv.reader(io.StringIO(text), delimiter=layout.delimiter)
    records = {}
    for row, cells in enumerate(lines, 1):
        if len(cells) == len(header):
            record = dict(zip(header, cells, strict=True))
            if any(record[column] for column in layout.columns):
                records[row] = record
        elif cells:
            records[row] = None
    return judge(records, layout)


def read_json_lines(lines: list[str], layout: UploadLayout):
    """Return the same for lines of JSON, whose cells are judged as texts."""
    records = {}
    for row, line in enumerate(lines, 1):
        try:
            record = json.loads(line) if line.strip() else {"blank": True}
        except ValueError:
            record = None
        if not isinstance(record, dict):
            records[row] = None
        elif "blank" not in record:
            records[row] = {
                name: cell if isinstance(cell, str) else json.dumps(cell)
                for name, cell in ((name, record.get(name)) for name in layout.columns)
            }
    return judge(records, layout)


def judge(records: dict[int, dict[str, str] | None], layout: UploadLayout):
    """Sort rows into stored, rejected and missing; None is a malformed row."""
    rejected, seen = {}, []
    for row, record in records.items():
        instants, value, code, fatal = judge_row(record, layout)
        if code:
            rejected[row] = code
        if not fatal:
            key = layout.series_key or record[layout.series_column]
            seen.append((row, key, instants, value))
    placed = list(place(seen, rejected))
    good = [(at, value, row) for at, value, row in placed if row not in rejected]
    stored = defaultdict(list)
    for at, value, row in good:
        if value is not None:
            stored[at].append((value, row))
    return dict(stored), rejected, sum(value is None for _, value, _ in good)


def place(seen, rejected: dict[int, str]):
    """Yield ((key, instant), value, row); times that came twice need a partner."""
    pairs = defaultdict(list)
    for row, key, instants, _ in seen:
        pairs[key, instants].append(row)
    for row, key, instants, value in seen:
        rows = pairs[key, instants]
        if len(instants) == 1:
            yield (key, instants[0]), value, row
        elif len(rows) == 2:
            yield (key, instants[rows.index(row)]), value, row
        else:
            rejected.setdefault(row, "ambiguous_time")


def judge_row(record: dict[str, str] | None, layout: UploadLayout):
    """Return (instants, value, code, whether the row has no place in time)."""
    if record is None:
        return None, None, "malformed_row", True
    if not KEY.fullmatch(layout.series_key or record[layout.series_column]):
        return None, None, "bad_key", True
    instants, code = instant(record[layout.ts_column], layout)
    if not code and len(instants) == 2 and layout.ambiguous == "reject":
        code = "ambiguous_time"
    if code:
        return None, None, code, True
    value, code = number(record[layout.value_column], layout)
    return instants, value, code, False


def number(text: str, layout: UploadLayout):
    if text in ("", "null", *layout.missing) or not text.strip():
        return None, None
    text = text.strip()
    if layout.decimal == ",":
        text = text.replace(".", "?").replace(",", ".")
    if NOT_FINITE.fullmatch(text):
        return None, "not_finite"
    if not NUMBER.fullmatch(text):
        return None, "bad_value"
    value = float(text)
    return (value, None) if math.isfinite(value) else (None, "not_finite")


def instant(text: str, layout: UploadLayout):
    """Return the one or two instants that a text may mean, or a code."""
    try:
        parsed = datetime.fromisoformat(text.strip())
    except ValueError:
        return None, "bad_time"
    if parsed.tzinfo is not None:
        return ((parsed - layout.back).astimezone(UTC),), None
    if layout.timezone is None:
        return None, "time_without_offset"
    zone = ZoneInfo(layout.timezone)
    wall = parsed - layout.back
    both = [wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)]
    real = [
        at for at in both if at.astimezone(zone).replace(tzinfo=None, fold=0) == wall
    ]
    if not real:
        return None, "nonexistent_time"
    return tuple(sorted(set(real))), None
