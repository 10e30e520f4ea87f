"""Observations in and out, in every form that the contract names."""

import csv
import gzip
import io
import json
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from tests.web import samples

pytestmark = pytest.mark.servers

PAIRS = samples.hours(5)
PATH = "/v1/series/load/observations"
ARROW = "application/vnd.apache.arrow.stream"


def as_json() -> bytes:
    return json.dumps(samples.observations(5)).encode()


def as_csv() -> bytes:
    return "".join(
        f"{ts},{value}\n" for ts, value in [("ts", "value"), *PAIRS]
    ).encode()


def as_ndjson() -> bytes:
    return "".join(json.dumps({"ts": t, "value": v}) + "\n" for t, v in PAIRS).encode()


def as_table() -> pa.Table:
    times = pa.array([datetime.fromisoformat(ts) for ts, _ in PAIRS])
    values = pa.array([value for _, value in PAIRS])
    return pa.table({"ts": times.cast(pa.timestamp("us", "UTC")), "value": values})


def as_arrow() -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, as_table().schema) as writer:
        writer.write_table(as_table())
    return sink.getvalue().to_pybytes()


def as_parquet() -> bytes:
    sink = io.BytesIO()
    pa.parquet.write_table(as_table(), sink)
    return sink.getvalue()


FORMS = {
    "application/json": as_json,
    "text/csv": as_csv,
    "application/x-ndjson": as_ndjson,
    ARROW: as_arrow,
    "application/vnd.apache.parquet": as_parquet,
}
IN_ALL_FORMS = pytest.mark.parametrize("form", FORMS)


def read(api, **query) -> list[tuple[str, float]]:
    answer = api.get(PATH, query_string=query)
    assert answer.status_code == 200, answer.text
    return [(one["ts"], one["value"]) for one in answer.json["observations"]]


@IN_ALL_FORMS
@pytest.mark.parametrize("packed", [False, True])
def test_observations_are_stored_at_once_in_every_form(api, form, packed):
    body, headers = FORMS[form](), {"Content-Type": form}
    if packed:
        body, headers["Content-Encoding"] = gzip.compress(body, mtime=0), "gzip"
    answer = api.post(PATH, data=body, headers=headers)
    assert answer.status_code == 200, answer.text
    told = answer.json
    assert (told["written"], told["revised"], told["unchanged"]) == (5, 0, 0)
    assert told["rejected"] == []
    assert read(api) == PAIRS
    again = api.post(PATH, data=body, headers=headers).json
    assert (again["written"], again["revised"], again["unchanged"]) == (0, 0, 5)


def test_a_body_without_a_type_is_read_as_json(api):
    assert api.post(PATH, data=as_json()).json["written"] == 5


def test_bad_rows_are_listed_and_the_good_ones_stored(api):
    lines = """\
ts,value
2026-03-01T00:00:00Z,1
2026-03-01T01:00:00,2
yesterday,3
2026-03-01T03:00:00Z,many
2026-03-01T04:00:00Z,inf
2026-03-01T05:00:00Z,6
"""
    told = api.post(PATH, data=lines, headers={"Content-Type": "text/csv"}).json
    assert told["written"] == 2
    assert told["rejected_total"] == len(told["rejected"]) == 4
    assert len({one["row"] for one in told["rejected"]}) == 4
    assert all(one["code"] and one["detail"] for one in told["rejected"])
    assert [value for _, value in read(api)] == [1, 6]


def test_a_revision_replaces_the_value_and_the_old_one_is_still_known_then(api):
    api.post(PATH, json=samples.observations(5))
    between = datetime.now(UTC).isoformat()
    ts = PAIRS[2][0]
    body = {"observations": [{"ts": ts, "value": 7}]}
    assert api.post(PATH, json=body).json["revised"] == 1
    assert dict(read(api))[ts] == 7
    assert read(api, as_of=between) == PAIRS
    assert read(api, as_of="2020-01-01T00:00:00Z") == []


def test_a_stretch_is_half_open_and_takes_any_offset(api):
    api.post(PATH, json=samples.observations(5))
    times = [ts for ts, _ in PAIRS]
    assert read(api, **{"from": times[1], "to": times[3]}) == PAIRS[1:3]
    assert read(api, **{"from": times[1]}) == PAIRS[1:]
    assert read(api, to=times[1]) == PAIRS[:1]
    assert read(api, **{"from": "2026-03-01T02:00:00+01:00"}) == PAIRS[1:]
    assert read(api, **{"from": times[3], "to": times[1]}) == []


def test_a_stretch_comes_as_csv(api):
    api.post(PATH, json=samples.observations(5))
    answer = api.get(PATH, headers={"Accept": "text/csv"})
    assert answer.mimetype == "text/csv"
    rows = list(csv.reader(io.StringIO(answer.text)))
    assert rows[0] == ["ts", "value"]
    assert [(ts, float(value)) for ts, value in rows[1:]] == PAIRS


def test_a_stretch_comes_as_an_arrow_stream(api):
    api.post(PATH, json=samples.observations(5))
    answer = api.get(PATH, headers={"Accept": ARROW})
    assert answer.mimetype == ARROW
    assert pa.ipc.open_stream(answer.data).read_all().equals(as_table())


@pytest.mark.parametrize("accept", ["application/json", "text/csv", ARROW])
def test_an_empty_series_comes_in_every_form(api, accept):
    api.put("/v1/series/load", json={})
    answer = api.get(PATH, headers={"Accept": accept})
    assert (answer.status_code, answer.mimetype) == (200, accept)
    if accept == ARROW:
        assert pa.ipc.open_stream(answer.data).read_all().num_rows == 0


@pytest.mark.parametrize("accept", ["application/json", "text/csv", ARROW])
def test_what_comes_out_goes_in_again_unchanged(api, accept):
    api.post(PATH, json=samples.observations(5))
    body = api.get(PATH, headers={"Accept": accept}).data
    told = api.post(PATH, data=body, headers={"Content-Type": accept}).json
    assert (told["written"], told["revised"], told["unchanged"]) == (0, 0, 5)


@pytest.mark.parametrize("value", [0.1, 1e-300, -1.7976931348623157e308, 5e-324, 1e22])
def test_a_value_comes_back_to_the_last_bit(api, value):
    body = {"observations": [{"ts": PAIRS[0][0], "value": value}]}
    api.post(PATH, json=body)
    assert read(api)[0][1] == value
    text = api.get(PATH, headers={"Accept": "text/csv"}).text
    assert float(text.split(",")[-1]) == value


def test_many_observations_stream_in_pieces(api):
    count = 70_000
    table = pa.table(
        {
            "ts": pa.array(range(count), pa.int64()).cast(pa.timestamp("s", "UTC")),
            "value": pa.array(range(count), pa.float64()),
        }
    )
    sink = io.BytesIO()
    pa.parquet.write_table(table, sink)
    headers = {"Content-Type": "application/vnd.apache.parquet"}
    answer = api.post(PATH, data=sink.getvalue(), headers=headers)
    assert answer.json["written"] == count
    for accept in ("text/csv", ARROW):
        answer = api.get(PATH, headers={"Accept": accept})
        pieces = list(answer.iter_encoded())
        assert len(pieces) > 2
        whole = io.BytesIO(b"".join(pieces))
        if accept == ARROW:
            found = pa.ipc.open_stream(whole).read_all()
        else:
            found = pa.csv.read_csv(whole)
        assert found["value"].to_pylist() == list(range(count))
    assert len(api.get(PATH).json["observations"]) == count


@pytest.mark.parametrize(
    ("form", "body", "status"),
    [
        ("application/json", b"{oops", 400),
        ("application/json", b"[" * 100_000, 400),
        ("application/json", gzip.compress(b"x" * 1_000, mtime=0)[:-9], 400),
        ("application/json", b"[]", 422),
        ("application/json", b'{"observations": 5}', 422),
        ("application/json", b'{"observations": []}', 422),
        ("application/json", b'{"observations": [{"ts": 1}]}', 422),
        ("application/json", b'{"observations": [{"ts":"\\u0000","value":1}]}', 422),
        ("text/csv", b"", 422),
        ("text/csv", b"a,b\n1,2\n", 422),
        ("text/csv", b"ts,value\n2026-03-01T00:00:00,1\n", 422),
        ("application/vnd.apache.parquet", b"PAR1", 422),
        (ARROW, b"no arrow", 422),
        ("image/png", b"x", 415),
        ("application/xml", b"<a/>", 415),
    ],
)
def test_a_body_that_cannot_be_used_says_why_and_stores_nothing(
    api, form, body, status
):
    answer = api.post(PATH, data=body, headers={"Content-Type": form})
    assert answer.status_code == status, answer.text
    assert len(answer.json["detail"]) > 10
    assert api.get("/v1/series").json["items"] == []


def test_a_packing_that_is_not_gzip_is_refused(api):
    headers = {"Content-Type": "text/csv", "Content-Encoding": "br"}
    assert api.post(PATH, data=b"x", headers=headers).status_code == 415


@pytest.mark.parametrize("name", ["from", "to", "as_of"])
@pytest.mark.parametrize("time", ["2026-03-01T00:00:00", "yesterday", ""])
def test_a_time_without_an_offset_is_refused_by_name(api, name, time):
    api.put("/v1/series/load", json={})
    answer = api.get(PATH, query_string={name: time})
    assert answer.status_code == 422
    (error,) = answer.json["errors"]
    assert error["pointer"] == f"/{name}"
    assert ("offset" if "T" in time else "RFC 3339") in error["detail"]
