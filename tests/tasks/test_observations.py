"""Small bodies that the web door stores at once."""

import gzip
import io
import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from db import observations, series
from tasks import observations as door
from tasks.errors import InvalidData, InvalidParams

pytestmark = pytest.mark.servers

NOW = datetime(2026, 3, 1, tzinfo=UTC)
POINTS = [("2026-03-01T00:00:00Z", 1.5), ("2026-03-01T01:00:00+01:00", 2.5)]
JSON = json.dumps({"observations": [{"ts": ts, "value": v} for ts, v in POINTS[:1]]})


@pytest.fixture
def send(database, tenant_id):
    def send(body: bytes, content_type: str = "application/json", **sent):
        with database.tenant(tenant_id) as connection:
            return door.load_observations(
                connection,
                tenant_id=tenant_id,
                series_key="load",
                now=NOW,
                body=io.BytesIO(body),
                content_type=content_type,
                **sent,
            )

    return send


def table() -> pa.Table:
    return pa.table({"ts": pa.array([NOW], pa.timestamp("us", "UTC")), "value": [1.5]})


def parquet() -> bytes:
    sink = io.BytesIO()
    pq.write_table(table(), sink)
    return sink.getvalue()


def arrow() -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table().schema) as writer:
        writer.write_table(table())
    return sink.getvalue()


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (JSON.encode(), "application/json"),
        (JSON.encode(), ""),
        (b"ts,value\n2026-03-01T00:00:00Z,1.5\n", "text/csv"),
        (b'{"ts": "2026-03-01T00:00:00Z", "value": 1.5}\n', "application/x-ndjson"),
        (arrow(), "application/vnd.apache.arrow.stream"),
        (parquet(), "application/vnd.apache.parquet"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_a_body_of_every_type_is_stored(
    send, database, tenant_id, body, content_type, packed
):
    result = send(gzip.compress(body, mtime=0) if packed else body, content_type)
    assert result == {
        "written": 1,
        "revised": 0,
        "unchanged": 0,
        "missing": 0,
        "duplicates": 0,
        "rejected": [],
        "rejected_total": 0,
    }
    with database.tenant(tenant_id) as connection:
        found = series.find(connection, tenant_id=tenant_id, key="load")
        times, values = observations.read(connection, series_id=found.id)
    assert times.tolist() == [NOW.replace(tzinfo=None)]
    assert values.tolist() == [1.5]


def test_bad_rows_are_listed_beside_the_good_ones(send):
    rows = [
        {"ts": "2026-03-01T00:00:00Z", "value": 1},
        {"ts": "2026-03-01T01:00:00", "value": 2},
        {"ts": "2026-03-01T02:00:00Z", "value": None},
        {"ts": "2026-03-01T03:00:00Z", "value": True},
        7,
    ]
    result = send(json.dumps({"observations": rows}).encode())
    assert (result["written"], result["missing"], result["rejected_total"]) == (1, 1, 3)
    assert [(bad["row"], bad["code"]) for bad in result["rejected"]] == [
        (2, "time_without_offset"),
        (4, "bad_value"),
        (5, "malformed_row"),
    ]


def test_no_more_than_a_thousand_bad_rows_are_listed_but_all_are_counted(send):
    lines = ["ts,value", "2026-03-01T00:00:00Z,1", *["soon,1"] * 2_500]
    lines += ["2026-03-01T01:00:00Z,1", "2026-03-01T01:00:00Z,2"]
    result = send("\n".join(lines).encode(), "text/csv")
    assert result["rejected_total"] == 2_502
    assert [bad["row"] for bad in result["rejected"]] == list(range(2, 1_002))


@pytest.mark.parametrize(
    ("body", "content_type", "pointer", "words"),
    [
        (b"{", "application/json", "", "the body is not JSON"),
        (b"[]", "application/json", "/observations", "the body is {"),
        (
            b'{"observations": [{"ts": "2026-03-01T00:00Z", "y": 1}]}',
            "application/json",
            "/observations/0/value",
            "a missing value is null",
        ),
        (b"x", "text/html", "", "observations do not come as text/html"),
        (b"", "text/csv", "", "the file is empty"),
        (b"time,value\n", "text/csv", "", "column 'ts' is missing"),
        (gzip.compress(b"ts,value\n", mtime=0)[:-4], "text/csv", "", "not whole gzip"),
        (b"\x80", "application/json", "", "the body is not JSON"),
    ],
)
def test_a_malformed_body_is_refused_with_its_place(
    send, body, content_type, pointer, words
):
    with pytest.raises(InvalidParams) as caught:
        send(body, content_type)
    (error,) = caught.value.errors
    assert error.pointer == pointer
    assert words in error.detail


def test_a_body_that_is_called_gzip_must_be_gzip(send):
    with pytest.raises(InvalidParams, match="not whole gzip"):
        send(JSON.encode(), gzipped=True)


def test_a_body_that_unpacks_beyond_all_bounds_is_refused(send, monkeypatch):
    monkeypatch.setattr(door, "MOST_BYTES", 10_000)
    with pytest.raises(InvalidParams, match="upload it as a file"):
        send(gzip.compress(b"ts,value\n" * 10_000, mtime=0), "text/csv")


@pytest.mark.parametrize("rows", [[], [{"ts": "soon", "value": 1}]])
def test_a_body_without_a_good_row_is_an_error(send, rows):
    with pytest.raises(InvalidData, match=r"no row of data|not one of 1 rows"):
        send(json.dumps({"observations": rows}).encode())


def test_the_layout_may_say_more_of_a_file(send):
    layout = {"timezone": "America/New_York", "ts_column": "hour", "delimiter": ";"}
    body = b"hour;value\n2026-03-01 00:00;1\n"
    assert send(body, "text/csv", layout=layout)["written"] == 1


def test_the_web_door_stores_and_exports_without_numpy(database, tenant_id):
    program = """
import io, sys
class Absent:
    def find_spec(self, name, *_):
        if name.partition(".")[0] in ("numpy", "pandas", "scipy"):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
from datetime import UTC, datetime
from db import observations, series
from db.session import Database
from tasks.observations import load_observations
assert not any(name.startswith(("pyarrow", "ingest")) for name in sys.modules)
url, tenant = sys.argv[1], int(sys.argv[2])
with Database(url).tenant(tenant) as connection:
    body = io.BytesIO(b"ts,value\\n2026-11-01T01:00,1\\n2026-11-01T01:00,2\\n")
    load_observations(connection, tenant_id=tenant, series_key="load", body=body,
        content_type="text/csv", now=datetime.now(UTC),
        layout={"timezone": "America/New_York"})
    found = series.find(connection, tenant_id=tenant, key="load")
    print([b["value"].to_pylist() for b in
        observations.stream(connection, series_id=found.id)])
"""
    done = subprocess.run(
        [sys.executable, "-c", program, database.url, str(tenant_id)],
        check=False,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert not done.stderr
    assert done.stdout == "[[1.0, 2.0]]\n"
