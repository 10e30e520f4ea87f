"""Observations of many series as streams, and what a stream that breaks looks like."""

import csv
import http.client
import io
import json
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from urllib.parse import urlsplit

import psycopg
import pyarrow as pa
import pyarrow.parquet
import pytest
from sqlalchemy import text

from tests.db import loading
from web.observation_formats import FORMS

pytestmark = pytest.mark.servers

PATH = "/v1/observations"
NOW = loading.NOW
HOUR = loading.HOUR
DAY = loading.DAY
IN_ALL_FORMS = pytest.mark.parametrize("form", FORMS)
ROWS = [
    ("north.load", 0, 0.1),
    ("north.load", 1, 1e22),
    ("north.price", 0, -5e-324),
    ("south.load", 0, 3.0),
    ("south_load", 0, 4.0),
]


def table(body: bytes, form: str) -> list[dict]:
    """Return the rows of a stream, times as instants."""
    if form == "parquet":
        return pa.parquet.read_table(io.BytesIO(body)).to_pylist()
    if form == "arrow":
        return pa.ipc.open_stream(body).read_all().to_pylist()
    if form == "csv":
        rows = list(csv.DictReader(io.StringIO(body.decode())))
    else:
        rows = [json.loads(line) for line in body.splitlines()]
    return [{name: _cell(name, cell) for name, cell in row.items()} for row in rows]


def _cell(name: str, cell):
    if cell in ("", None):
        return None
    if name == "series":
        return cell
    return float(cell) if name == "value" else datetime.fromisoformat(cell)


def export(api, form: str = "ndjson", **query) -> list[dict]:
    answer = api.get(PATH, query_string={"format": form, **query})
    assert answer.status_code == 200, answer.text
    assert answer.mimetype == FORMS[form]
    return table(answer.data, form)


def cells(rows) -> list[tuple]:
    return [(one["series"], loading.hours(one["ts"]), one["value"]) for one in rows]


@pytest.fixture
def stored(database, tenant_id) -> None:
    loading.load(database, tenant_id, ROWS)


@IN_ALL_FORMS
def test_a_selection_comes_by_series_and_time_in_every_form(api, stored, form):
    assert cells(export(api, form)) == sorted(ROWS)
    assert cells(export(api, form, series="south.load,north.price")) == [
        ROWS[2],
        ROWS[3],
    ]
    assert cells(export(api, form, prefix="north.")) == ROWS[:3]
    assert cells(export(api, form, prefix="south_")) == ROWS[4:]
    window = {"from": (NOW + HOUR).isoformat(), "to": (NOW + 2 * HOUR).isoformat()}
    assert cells(export(api, form, **window)) == ROWS[1:2]
    assert export(api, form, prefix="nothing") == []


@IN_ALL_FORMS
def test_accept_chooses_the_form_too(api, stored, form):
    answer = api.get(PATH, headers={"Accept": FORMS[form]})
    assert answer.mimetype == FORMS[form]
    assert cells(table(answer.data, form)) == sorted(ROWS)
    one = api.get("/v1/series/south.load/observations", query_string={"format": form})
    ((ts, value),) = [one.values() for one in table(one.data, form)]
    assert (loading.hours(ts), value) == (0, 3.0)


def test_series_are_chosen_by_tag(api, stored):
    api.put("/v1/series/south.load", json={"tags": ["south"]})
    assert cells(export(api, tag="south")) == [ROWS[3]]
    assert export(api, tag="south", prefix="north") == []


def test_a_series_that_is_not_there_is_not_left_out_silently(api, other_api, stored):
    answer = api.get(PATH, query_string={"series": "north.load,north.lode"})
    assert answer.status_code == 404
    assert answer.json["detail"] == "no series north.lode"
    theirs = other_api.get(PATH, query_string={"series": "north.load"})
    assert theirs.json["detail"] == "no series north.load"


def test_nobody_exports_what_is_another_tenant_s(api, other_api, stored, database):
    assert export(other_api) == []
    assert export(other_api, prefix="north") == []
    assert len(export(api)) == len(ROWS)


@IN_ALL_FORMS
def test_what_was_known_then_is_exported_with_whence_it_is(
    api, database, tenant_id, form
):
    published = NOW - 10 * DAY
    vintage = [("load", 0, 1.0, published, None), ("load", 1, 2.0, published, None)]
    loading.load(database, tenant_id, vintage, said=True, now=NOW)
    revised = [("load", 0, 5.0, NOW - 5 * DAY, None)]
    loading.load(database, tenant_id, revised, said=True, now=NOW + DAY)

    def known(**query) -> list[tuple]:
        return cells(export(api, form, **query))

    assert known() == [("load", 0, 5.0), ("load", 1, 2.0)]
    assert known(as_of=_text(NOW - 6 * DAY)) == [("load", 0, 1.0), ("load", 1, 2.0)]
    assert known(as_of=_text(NOW - 6 * DAY), known_by="received") == []
    received = known(as_of=_text(NOW + HOUR), known_by="received")
    assert received == [("load", 0, 1.0), ("load", 1, 2.0)]
    first, _ = export(api, form, versions="newest")
    assert (first["known_from"], first["received_at"], first["issued_at"]) == (
        NOW - 5 * DAY,
        NOW + DAY,
        None,
    )
    every = export(api, form, versions="all")
    assert [one["value"] for one in every] == [1.0, 5.0, 2.0]


def test_a_value_that_was_withdrawn_is_history(api, database, tenant_id):
    loading.load(database, tenant_id, [("load", 0, 1.0), ("load", 1, 2.0)])
    _withdraw(database, tenant_id)
    assert cells(export(api)) == [("load", 1, 2.0)]
    for form in FORMS:
        every = export(api, form, versions="all")
        assert [one["value"] for one in every] == [1.0, None, 2.0]
    shown = api.get(
        "/v1/series/load/observations", query_string={"versions": "all"}
    ).json["observations"]
    assert [one["value"] for one in shown] == [1.0, None, 2.0]
    told = api.get("/v1/series/load/history", query_string={"ts": _text(NOW)}).json
    assert [(one["value"], one["status"]) for one in told["versions"]] == [
        (1.0, None),
        (None, "withdrawn"),
    ]
    before = {"ts": _text(NOW), "as_of": _text(NOW + HOUR)}
    told = api.get("/v1/series/load/history", query_string=before).json
    assert [one["value"] for one in told["versions"]] == [1.0]


def _withdraw(database, tenant_id) -> None:
    from db import loads, withdrawals

    with database.tenant(tenant_id) as connection:
        staged = loads.stage(connection, [])
        withdrawals.withdraw(
            connection,
            tenant_id=tenant_id,
            staged=staged,
            windows=[("load", NOW, NOW + HOUR)],
            run_id="r",
            now=NOW + DAY,
        )


@pytest.fixture
def weather(database, tenant_id) -> None:
    """Three issues, twelve hours apart, of a day each; the value says which."""
    rows = [
        ("weather", 12 * number + hour, float(number), None, NOW + 12 * number * HOUR)
        for number in range(3)
        for hour in range(24)
    ]
    loading.load(database, tenant_id, rows, said=True, now=NOW + 2 * DAY)


def read(api, **query) -> dict[int, float]:
    answer = api.get("/v1/series/weather/observations", query_string=query)
    assert answer.status_code == 200, answer.text
    return {
        loading.hours(datetime.fromisoformat(one["ts"])): one["value"]
        for one in answer.json["observations"]
    }


def test_a_forecast_from_outside_is_read_by_issue_or_by_lead(api, weather):
    assert read(api) == {hour: float(min(hour // 12, 2)) for hour in range(48)}
    assert read(api, issue="latest") == dict.fromkeys(range(24, 48), 2.0)
    second = read(api, issue=_text(NOW + 12 * HOUR))
    assert second == dict.fromkeys(range(12, 36), 1.0)
    # Twelve hours ahead each time is in the first half of an issue no more.
    ahead = read(api, lead_h=12)
    assert ahead == {hour: float((hour - 12) // 12) for hour in range(12, 48)}
    then = {"as_of": _text(NOW + 30 * HOUR), "lead_h": 12}
    assert read(api, **then) == {}
    assert cells(export(api, lead_h=18, prefix="weather"))[0] == ("weather", 18, 0.0)


def test_issues_are_listed_the_newest_first(api, weather):
    first = api.get("/v1/series/weather/issues", query_string={"limit": 2}).json
    assert [one["issued_at"] for one in first["items"]] == [
        "2026-03-02T00:00:00Z",
        "2026-03-01T12:00:00Z",
    ]
    cursor = first["next_cursor"]
    rest = api.get("/v1/series/weather/issues", query_string={"cursor": cursor}).json
    (last,) = rest["items"]
    assert (last["issued_at"], last["count"]) == ("2026-03-01T00:00:00Z", 24)
    assert (last["first"], last["last"]) == (
        "2026-03-01T00:00:00Z",
        "2026-03-01T23:00:00Z",
    )
    assert rest["next_cursor"] is None


@pytest.mark.parametrize(
    "query",
    [
        {"issue": "latest", "lead_h": 1},
        {"issue": "newest"},
        {"lead_h": -1},
        {"known_by": "guess"},
        {"versions": "none"},
        {"format": "xlsx"},
    ],
)
def test_a_view_that_cannot_be_shown_is_refused(api, stored, query):
    for path in (PATH, "/v1/series/north.load/observations"):
        assert api.get(path, query_string=query).status_code == 422


def _text(when: datetime) -> str:
    return when.isoformat()


MANY = 400_000


@pytest.fixture
def long(database, tenant_id, stored) -> None:
    """More observations than the buffers between two processes hold."""
    with database.system() as connection:
        connection.execute(
            text(
                "INSERT INTO obs_current (tenant_id, series_id, ts, value, known_from,"
                " run_id) SELECT tenant_id, id, timestamptz '2020-01-01Z'"
                " + n * interval '1 minute', n, now(), 'r' FROM series,"
                " generate_series(1, :many) AS n WHERE key = 'south.load'"
                " AND tenant_id = :tenant_id"
            ),
            {"many": MANY, "tenant_id": tenant_id},
        )


@contextmanager
def begun(base: str, api, form: str) -> Iterator[http.client.HTTPResponse]:
    """Ask for all, and hang up in the end."""
    connection = http.client.HTTPConnection(urlsplit(base).netloc, timeout=30)
    headers = {"Authorization": f"Bearer {api.secret}"}
    with closing(connection):
        connection.request("GET", f"{PATH}?format={form}", headers=headers)
        with closing(connection.getresponse()) as answer:
            assert answer.status == 200
            yield answer


def reading(database) -> list[int]:
    """Return the servers' processes that send rows."""
    with psycopg.connect(database.url) as connection:
        rows = connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE query LIKE 'COPY (%'"
            " AND state = 'active' AND datname = current_database()"
        )
        return [pid for (pid,) in rows]


def until(reached) -> None:
    ends_at = time.monotonic() + 20
    while not reached():
        assert time.monotonic() < ends_at, "it did not come"
        time.sleep(0.02)


def test_a_stream_that_breaks_does_not_look_whole(serve, api, long, database):
    base, _ = serve()
    for form in FORMS:
        with begun(base, api, form) as answer:
            body = answer.read(10_000)
            (pid,) = reading(database)
            _kill(database, pid)
            with pytest.raises(http.client.IncompleteRead) as broken:
                answer.read()
        with pytest.raises((ValueError, OSError, csv.Error)):
            strict(body + broken.value.partial, form)
        until(lambda: not reading(database))


def strict(body: bytes, form: str) -> None:
    """Read a body as whoever trusts it does."""
    if form == "csv":
        list(csv.reader(io.StringIO(body.decode()), strict=True))
    else:
        table(body, form)


def _kill(database, pid: int) -> None:
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute("SELECT pg_terminate_backend(%s)", (pid,))


def test_a_client_that_leaves_sets_its_place_free(serve, api, long, database):
    base, _ = serve()
    for _ in range(10):  # more than there are places
        with begun(base, api, "csv") as answer:
            answer.read(1_000)
            assert reading(database)
        until(lambda: not reading(database))
    with begun(base, api, "csv") as answer:
        assert answer.read().count(b"\n") == MANY + len(ROWS) + 1
