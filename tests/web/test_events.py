"""The live stream of a job: in order, without gap or repetition."""

import contextlib
import itertools
import json
import time
from dataclasses import replace

import psycopg
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as with_settings
from hypothesis import strategies as st

from db import events as stored
from db import keys
from tests.web import sse
from tests.web.caller import Caller
from tests.web.work import Work
from web import stream

pytestmark = pytest.mark.servers

FINAL = {"succeeded", "failed", "cancelled"}


@contextlib.contextmanager
def listening(api, job: dict, *, after: int | None = None):
    """Hold the stream of a job open; it is closed afterwards."""
    headers = {} if after is None else {"Last-Event-ID": str(after)}
    answer = api.get(job["links"]["events"], headers=headers)
    assert answer.status_code in (200, 204)
    with contextlib.closing(answer):
        yield sse.events(answer.response)


def told(database, tenant_id: int, job_id: str) -> list[int]:
    """Return the ids of the events in the table."""
    with database.tenant(tenant_id) as connection:
        found = stored.after(connection, tenant_id=tenant_id, job_id=job_id, event_id=0)
    return [event.id for event in found]


def test_a_stream_tells_a_job_s_life_in_order_and_ends_with_it(api, work):
    job = api.submit()
    work.claim(job["id"])
    work.progress(job["id"], 3)
    work.finish(job["id"])
    with listening(api, job) as found:
        seen = list(found)
    assert [one.kind for one in seen] == ["queued", "running", "progress", "succeeded"]
    assert [one.id for one in seen] == sorted({one.id for one in seen})
    assert seen[2].body["progress"]["done"] == 3
    assert seen[3].body["state"] == "succeeded"
    assert {one.body["job_id"] for one in seen} == {job["id"]}
    assert all(one.body["at"].endswith("Z") for one in seen)


def test_a_stream_is_not_kept_and_not_buffered_on_its_way(api):
    job = api.submit()
    answer = api.get(job["links"]["events"])
    assert answer.mimetype == "text/event-stream"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Accel-Buffering"] == "no"
    assert next(iter(answer.response)).startswith(b"retry: ")
    answer.close()


def test_an_open_stream_tells_what_happens_while_it_is_open(api, work):
    job = api.submit()
    with listening(api, job) as found:
        assert next(found).kind == "queued"
        work.claim(job["id"])
        assert next(found).kind == "running"
        for done in (1, 2):
            work.progress(job["id"], done)
            assert next(found).body["progress"]["done"] == done
        work.finish(job["id"], "failed", reason="timeout", error={"title": "late"})
        last = next(found)
        assert (last.kind, last.body["reason"]) == ("failed", "timeout")
        assert last.body["error"] == {"title": "late"}
        assert list(found) == []


def test_cancelling_a_running_job_is_told_before_it_ends(api, work):
    job = api.submit()
    work.claim(job["id"])
    with listening(api, job) as found:
        assert [next(found).kind for _ in range(2)] == ["queued", "running"]
        api.post(job["links"]["cancel"])
        assert next(found).kind == "cancel_requested"
        work.finish(job["id"], "cancelled", reason="cancelled_by_user")
        assert next(found).kind == "cancelled"


@with_settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), max_size=6))
def test_a_stream_cut_anywhere_goes_on_without_gap_or_repetition(
    api, work, database, tenant_id, steps
):
    job = api.submit()
    work.claim(job["id"])
    seen: list[int] = []
    for written, wanted in steps:
        for done in range(written):
            work.progress(job["id"], done)
        unread = len(told(database, tenant_id, job["id"])) - len(seen)
        with listening(api, job, after=seen[-1] if seen else None) as found:
            seen += [one.id for one in itertools.islice(found, min(unread, wanted))]
    work.finish(job["id"])
    with listening(api, job, after=seen[-1] if seen else None) as found:
        seen += [one.id for one in found]
    assert seen == told(database, tenant_id, job["id"])


def test_a_client_that_was_told_the_end_is_sent_home(api, work):
    job = api.submit()
    work.end(job["id"])
    with listening(api, job) as found:
        last = list(found)[-1]
    answer = api.get(job["links"]["events"], headers={"Last-Event-ID": str(last.id)})
    assert (answer.status_code, answer.data) == (204, b"")


def test_a_query_may_stand_in_for_the_header_that_some_clients_cannot_send(api, work):
    job = api.submit()
    work.end(job["id"])
    with listening(api, job) as found:
        first, *rest = list(found)
    answer = api.get(f"{job['links']['events']}?after={first.id}")
    assert list(sse.events(answer.response)) == rest


@pytest.mark.parametrize("bad", ["x", "-1", "1.5", "9" * 30, "\u00b2"])
def test_a_last_event_id_that_is_no_number_is_malformed(api, bad):
    job = api.submit()
    answer = api.get(job["links"]["events"], headers={"Last-Event-ID": bad})
    assert answer.status_code == 400


def test_a_quiet_stream_says_that_it_is_still_there(api, monkeypatch):
    monkeypatch.setattr(stream, "COMMENT_EVERY_S", 0.05)
    job = api.submit()
    with listening(api, job) as found:
        assert [next(found).kind for _ in range(3)] == ["queued", "", ""]


def test_comments_come_every_fifteen_seconds():
    assert stream.COMMENT_EVERY_S == 15


def test_a_stream_that_gets_old_ends_so_that_the_client_comes_back(api, monkeypatch):
    monkeypatch.setattr(stream, "LONGEST_STREAM_S", 0.05)
    monkeypatch.setattr(stream, "_LOOK_AGAIN_S", 0.02)
    job = api.submit()
    with listening(api, job) as found:
        assert [one.kind for one in found] == ["queued"]


def test_a_lost_notification_costs_a_delay_and_no_event(api, work, app, monkeypatch):
    monkeypatch.setattr(stream, "_LOOK_AGAIN_S", 0.05)
    monkeypatch.setattr(stream.Hub, "_wake", lambda _hub, _job_id: None)
    job = api.submit()
    with listening(api, job) as found:
        assert next(found).kind == "queued"
        work.end(job["id"])
        assert [one.kind for one in found] == ["running", "succeeded"]


def test_a_stream_survives_the_loss_of_its_listening_connection(make_app, own_settings):
    app = make_app(own_settings)
    database = app.extensions["forebay"].database
    with database.system() as connection:
        tenant = keys.ensure_tenant(connection, name="tenant")
        secret = keys.issue(connection, tenant_id=tenant, name="test", role="member")
    api, work = Caller(app, secret), Work(database, own_settings)
    job = api.submit()
    with listening(api, job) as found:
        assert next(found).kind == "queued"
        kill_the_listener(own_settings.database_url)
        work.end(job["id"])
        assert [one.kind for one in found] == ["running", "succeeded"]


def kill_the_listener(url: str) -> None:
    """End the one connection that listens, as soon as there is one."""
    ends_at = time.monotonic() + 20
    with psycopg.connect(url, autocommit=True) as connection:
        while time.monotonic() < ends_at:
            ended = connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE application_name = 'listen' AND datname = current_database()"
            ).fetchall()
            if ended:
                assert len(ended) == 1
                return
            time.sleep(0.01)
    pytest.fail("nobody listens")


@pytest.mark.parametrize("limits", [{"streams": 2}, {"tenant_streams": 2}])
def test_streams_above_the_cap_are_refused_and_the_place_is_given_back(
    make_app, settings, issue_key, tenant_id, other_tenant_id, limits
):
    app = make_app(replace(settings, **limits))
    api = Caller(app, issue_key(tenant_id))
    other_api = Caller(app, issue_key(other_tenant_id))
    job, other_job = api.submit(), other_api.submit()
    with listening(api, job), listening(api, job):
        refused = api.get(job["links"]["events"])
        assert refused.status_code == 429
        assert refused.json["type"] == "/problems/too-many-streams"
        assert int(refused.headers["Retry-After"]) >= 1
        other = other_api.get(other_job["links"]["events"])
        assert other.status_code == (429 if "streams" in limits else 200)
        other.close()
        waited = api.get(job["links"]["self"], headers={"Prefer": "wait=60"})
        assert waited.json["state"] == "queued"
    with listening(api, job) as found:
        assert next(found).kind == "queued"
    assert app.extensions["forebay"].hub.held == 0


def test_asking_for_the_head_of_a_stream_holds_nothing(api, app):
    job = api.submit()
    for _ in range(3):
        api.call("HEAD", job["links"]["events"])
    assert app.extensions["forebay"].hub.held == 0


def test_an_event_is_one_line_of_json_whatever_it_says(api, work):
    job = api.submit()
    work.end(job["id"], "failed", reason="x", error={"detail": "a\nb\r\nc\n\ndata: d"})
    answer = api.get(job["links"]["events"])
    lines = [line for line in answer.text.split("\n") if line.startswith("data: ")]
    assert json.loads(lines[-1][6:])["error"]["detail"] == "a\nb\r\nc\n\ndata: d"
    assert {one.kind for one in sse.events([answer.data])} & FINAL == {"failed"}
