"""The live stream of a tenant: whatever happens to any of its jobs, once."""

import contextlib
import itertools
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as with_settings
from hypothesis import strategies as st
from sqlalchemy import text

from tests.web import sse
from tests.web.caller import Caller
from web import feeds

pytestmark = pytest.mark.servers

PATH = "/v1/events"


@contextlib.contextmanager
def listening(api: Caller, *, after: str | None = None) -> Iterator[Iterator[sse.Seen]]:
    """Hold the stream of a tenant open; it is closed afterwards."""
    headers = {} if after is None else {"Last-Event-ID": after}
    answer = api.get(PATH, headers=headers)
    assert answer.status_code == 200, answer.text
    with contextlib.closing(answer):
        yield sse.events(answer.response)


@pytest.fixture
def impatient(monkeypatch) -> None:
    """Look at the table often: a submission notifies no stream."""
    monkeypatch.setattr(feeds, "_PATIENCE_S", 0.02)
    monkeypatch.setattr(feeds, "_GATHER_S", 0)


def in_table(database, tenant_id: int) -> list[tuple[str, str]]:
    """Return job and kind of each of the tenant's events in the table."""
    with database.tenant(tenant_id) as connection:
        found = connection.execute(
            text("SELECT job_id, kind FROM job_events ORDER BY id")
        )
        return [tuple(row) for row in found]


def shown(seen: list[sse.Seen]) -> list[tuple[str, str]]:
    return [(one.body["job_id"], one.kind) for one in seen]


def test_a_stream_begins_with_a_mark_and_tells_what_happens_from_then_on(api, work):
    before = api.submit()
    with listening(api) as found:
        first = next(found)
        assert (first.kind, first.body) == ("mark", {})
        work.claim(before["id"])
        work.progress(before["id"], 3)
        work.finish(before["id"], "failed", reason="timeout", error={"title": "late"})
        seen = [next(found) for _ in range(3)]
    assert [one.kind for one in seen] == ["running", "progress", "failed"]
    assert seen[1].body["progress"]["done"] == 3
    assert seen[2].body["reason"] == "timeout"
    assert seen[2].body["at"].endswith("Z")
    assert {one.body["job_id"] for one in seen} == {before["id"]}


@pytest.mark.usefixtures("impatient")
def test_a_submission_is_told_as_well(api):
    with listening(api) as found:
        next(found)
        job = api.submit()
        told = next(found)
    assert (told.body["job_id"], told.kind) == (job["id"], "queued")


def test_a_stream_is_not_kept_and_not_buffered_on_its_way(api):
    answer = api.get(PATH)
    assert answer.mimetype == "text/event-stream"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Accel-Buffering"] == "no"
    assert next(iter(answer.response)).startswith(b"retry: ")
    answer.close()


def test_a_client_that_saw_only_the_mark_misses_nothing(api, work):
    with listening(api) as found:
        mark = next(found).id
    job = api.submit()
    work.end(job["id"])
    with listening(api, after=mark) as found:
        first, *rest = itertools.islice(found, 4)
    assert (first.kind, first.id) == ("mark", mark)
    assert [one.kind for one in rest] == ["queued", "running", "succeeded"]


def test_every_event_s_id_resumes_after_it(api, work):
    with listening(api) as found:
        mark = next(found).id
    for _ in range(2):
        work.end(api.submit()["id"])
    with listening(api, after=mark) as found:
        whole = list(itertools.islice(found, 7))
    for number, one in enumerate(whole[:-1]):
        with listening(api, after=one.id) as found:
            rest = list(itertools.islice(found, 7 - number))[1:]
        assert shown(rest) == shown(whole[number + 1 :])


def test_who_comes_back_after_an_event_is_told_at_once_what_came_since(
    api, work, monkeypatch
):
    with listening(api) as found:
        mark = next(found).id
    job = api.submit()
    with listening(api, after=mark) as found:
        last = list(itertools.islice(found, 2))[-1]
    work.end(job["id"])
    monkeypatch.setattr(feeds, "_GATHER_S", None)  # a rest would be an error
    with listening(api, after=last.id) as found:
        rest = list(itertools.islice(found, 3))[1:]
    assert [one.kind for one in rest] == ["running", "succeeded"]


def test_a_query_may_stand_in_for_the_header_that_some_clients_cannot_send(api, work):
    with listening(api) as found:
        mark = next(found).id
    job = api.submit()
    answer = api.get(PATH, query_string={"after": mark})
    with contextlib.closing(answer):
        told = list(itertools.islice(sse.events(answer.response), 2))
    assert told[1].body["job_id"] == job["id"]


def test_a_stream_goes_on_in_another_process_where_it_broke_off(
    api, work, make_app, settings
):
    job = api.submit()
    with listening(api) as found:
        next(found)
        work.claim(job["id"])
        last = next(found)
    work.progress(job["id"], 1)
    restarted = Caller(make_app(settings), api.secret)
    with listening(restarted, after=last.id) as found:
        assert next(found).kind == "mark"
        assert next(found).kind == "progress"
        work.finish(job["id"])
        assert next(found).kind == "succeeded"


@with_settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), max_size=6))
def test_a_stream_cut_anywhere_goes_on_without_gap_or_repetition(
    api, work, database, tenant_id, steps
):
    known = len(in_table(database, tenant_id))
    with listening(api) as found:
        last = next(found).id
    jobs = [api.submit()["id"] for _ in range(2)]
    for job in jobs:
        work.claim(job)
    seen: list[sse.Seen] = []
    for written, wanted in [*steps, (0, 1_000)]:
        for done in range(written):
            work.progress(jobs[done % 2], done)
        unread = len(in_table(database, tenant_id)) - known - len(seen)
        with listening(api, after=last) as found:
            next(found)
            seen += itertools.islice(found, min(unread, wanted))
        last = seen[-1].id if seen else last
    assert shown(seen) == in_table(database, tenant_id)[known:]


@pytest.mark.usefixtures("impatient")
def test_another_tenant_s_jobs_are_not_told(api, other_api, work):
    with listening(api) as found, listening(other_api) as others:
        mark = next(found).id
        next(others)
        theirs = other_api.submit()
        work.end(theirs["id"])
        mine = api.submit()
        assert next(found).body["job_id"] == mine["id"]
        assert {next(others).body["job_id"] for _ in range(3)} == {theirs["id"]}
    with listening(other_api, after=mark) as others:
        told = list(itertools.islice(others, 4))[1:]
    assert {one.body["job_id"] for one in told} == {theirs["id"]}


@pytest.mark.parametrize(
    "foreign",
    [
        "17",
        "abc",
        "-1",
        "1:2",
        "2:1:",
        "1:5:9",
        "1:2:/3",
        "9" * 19 + ":1:",
        "1:2:/1:2:/x",
    ],
)
def test_an_id_that_no_event_of_the_stream_has_is_malformed(api, foreign):
    for answer in (
        api.get(PATH, headers={"Last-Event-ID": foreign}),
        api.get(PATH, query_string={"after": foreign}),
    ):
        assert answer.status_code == 400
        assert answer.json["type"] == "/problems/malformed"


def test_a_quiet_stream_says_that_it_is_still_there(api, monkeypatch, impatient):
    monkeypatch.setattr(feeds, "COMMENT_EVERY_S", 0.05)
    with listening(api) as found:
        assert [next(found).kind for _ in range(3)] == ["mark", "", ""]


def test_a_stream_that_gets_old_ends_so_that_the_client_comes_back(
    api, monkeypatch, impatient
):
    monkeypatch.setattr(feeds, "LONGEST_STREAM_S", 0.05)
    with listening(api) as found:
        assert [one.kind for one in found] == ["mark"]


def test_a_lost_notification_costs_a_delay_and_no_event(
    api, app, work, monkeypatch, impatient
):
    hub = app.extensions["forebay"].hub
    monkeypatch.setattr(type(hub), "_wake", lambda _hub, _payload: None)
    job = api.submit()
    with listening(api) as found:
        next(found)
        work.end(job["id"])
        assert [next(found).kind for _ in range(2)] == ["running", "succeeded"]


@pytest.mark.parametrize("limits", [{"streams": 2}, {"tenant_streams": 2}])
def test_streams_above_the_cap_are_refused_and_the_place_is_given_back(
    make_app, settings, issue_key, tenant_id, other_tenant_id, limits
):
    app = make_app(replace(settings, **limits))
    api = Caller(app, issue_key(tenant_id))
    other_api = Caller(app, issue_key(other_tenant_id))
    with listening(api), listening(api):
        refused = api.get(PATH)
        assert refused.status_code == 429
        assert refused.json["type"] == "/problems/too-many-streams"
        assert int(refused.headers["Retry-After"]) >= 1
        other = other_api.get(PATH)
        assert other.status_code == (429 if "streams" in limits else 200)
        other.close()
    with listening(api) as found:
        assert next(found).kind == "mark"
    assert app.extensions["forebay"].hub.held == 0


def test_asking_for_the_head_of_the_stream_holds_nothing(api, app):
    for _ in range(3):
        api.call("HEAD", PATH)
    assert app.extensions["forebay"].hub.held == 0


def test_a_viewer_may_listen(app, issue_key, tenant_id):
    with listening(Caller(app, issue_key(tenant_id, role="viewer"))) as found:
        assert next(found).kind == "mark"
