"""What the tests of this room ask of a file."""

import io
from collections import defaultdict

from ingest.layout import UploadLayout
from ingest.upload import read_batches


def read(content: bytes, **declared):
    """Return ({(key, instant): [(value, row)]}, {row: code}, missing) of a file."""
    layout = UploadLayout(**{"format": "csv", **declared})
    stored, rejected, missing = defaultdict(list), {}, 0
    for batch in read_batches(io.BytesIO(content), layout=layout):
        batch.rows.validate(full=True)
        for row in batch.rows.to_pylist():
            stored[row["series_key"], row["ts"]].append((row["value"], row["row_no"]))
        for bad in batch.rejected:
            assert bad.row not in rejected
            rejected[bad.row] = bad.code
        missing += batch.missing
    return dict(stored), rejected, missing


def details(content: bytes, **declared) -> list[str]:
    """Return what is said of the bad rows, in order."""
    layout = UploadLayout(**{"format": "csv", "series_key": "load", **declared})
    batches = list(read_batches(io.BytesIO(content), layout=layout))
    return [bad.detail for batch in batches for bad in batch.rejected]


def starts(content: bytes, **declared) -> list[str]:
    """Return the instants of a file's good rows in order of row, as short text."""
    stored, rejected, _ = read(content, **{"series_key": "load", **declared})
    assert not rejected
    rows = sorted((row, ts) for (_, ts), cells in stored.items() for _, row in cells)
    return [ts.strftime("%m-%dT%H:%M") for _, ts in rows]
