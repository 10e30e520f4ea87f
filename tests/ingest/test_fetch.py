"""Whatever goes wrong on the way, the rows are those of a day when nothing did."""

import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.contract import Page, Partition
from ingest.exchange import Answer, RateLimited, Request
from ingest.fetch import TRIES, Refused, exchanges
from ingest.verdicts import OK, Verdict, decoded, general
from tests.ingest.carrying import transport
from tests.sources.faults import FAULTS, Fault, FaultPlan
from tests.sources.server import Call, Reply, Served, serve

PARTITION = Partition("all", datetime(2026, 1, 1, tzinfo=UTC))
ROWS = tuple(range(7))
_SIZE = 3


class Pages:
    """Rows in pages of three; a page may say something else a few times first."""

    def __init__(self, **said: Any) -> None:
        self.said = {int(name[1:]): list(replies) for name, replies in said.items()}

    def answer(self, call: Call) -> Reply:
        at = int(call.one("offset"))
        if self.said.get(at):
            return self.said[at].pop(0)
        rows = list(ROWS[at : at + _SIZE])
        after = at + _SIZE if at + _SIZE < len(ROWS) else None
        body = json.dumps({"rows": rows, "next": after}).encode()
        return Reply(200, body, {"Content-Type": "application/json"})


class Reader:
    """Just enough of a connector: reads pages until there is no next one."""

    def __init__(self, url: str) -> None:
        self.url = url

    def requests(self, partition: Partition) -> tuple[Request, ...]:
        assert partition is PARTITION
        return (self.page(0),)

    def page(self, offset: int) -> Request:
        return Request(f"{self.url}/rows", params=(("offset", str(offset)),))

    def read(self, _request: Request, answer: Answer, partition: Partition) -> Page:
        assert partition is PARTITION
        if (verdict := general(answer)) is not None:
            return Page(verdict)
        told = decoded(answer)
        if isinstance(told, Verdict):
            return Page(told)
        if "class" in told:
            return Page(Verdict(told["class"], "as the source says", told.get("wait")))
        after = told["next"]
        follow = () if after is None else (self.page(after),)
        return Page(OK, follow=follow, total=len(told["rows"]))


@contextmanager
def reading(tmp_path, behaviour: Pages, plan: FaultPlan, pause) -> Iterator[Any]:
    """Serve pages, and give what reads them all."""
    with serve(behaviour, plan) as served, transport(tmp_path) as carrier:

        def rows() -> list[int]:
            found: list[int] = []
            for one in exchanges(
                Reader(served.url), PARTITION, transport=carrier, pause=pause
            ):
                if one.page.verdict.cls == "ok":
                    found += json.loads(one.answer.body)["rows"]
            return found

        yield rows, served


def read(
    tmp_path, behaviour=None, faults=None
) -> tuple[list[int], list[float], Served]:
    """Return the rows, the pauses, and the server's calls."""
    pauses: list[float] = []
    plan = FaultPlan(faults or {})
    with reading(tmp_path, behaviour or Pages(), plan, pauses.append) as (rows, served):
        return rows(), pauses, served


def says(cls: str, **more: object) -> Reply:
    return Reply(200, json.dumps({"class": cls, **more}).encode())


def test_pages_are_followed_to_the_last(tmp_path):
    rows, pauses, served = read(tmp_path)
    assert tuple(rows) == ROWS
    assert pauses == []
    assert [call.one("offset") for call in served.calls] == ["0", "3", "6"]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_one_fault_at_any_call_changes_no_row(tmp_path, fault, number):
    rows, pauses, served = read(tmp_path, faults={number: fault})
    assert tuple(rows) == ROWS
    happened = number <= 3 and fault != "slow"
    assert len(served.calls) == 3 + happened
    assert bool(pauses) == happened


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    faults=st.lists(
        st.sampled_from([None, *(one for one in FAULTS if one != "slow")]), max_size=12
    ).filter(
        lambda plan: all(
            not all(plan[at : at + TRIES]) for at in range(len(plan) - TRIES + 1)
        )
    )
)
def test_faults_that_leave_one_try_in_three_change_no_row(tmp_path, faults):
    plan: dict[int, Fault] = {
        number: fault for number, fault in enumerate(faults, start=1) if fault
    }
    rows, _, served = read(tmp_path, faults=plan)
    assert tuple(rows) == ROWS
    assert len(served.calls) == 3 + sum(one <= len(served.calls) for one in plan)


@pytest.mark.parametrize("fault", ["500", "503", "reset", "truncate", "html"])
def test_after_three_tries_a_page_is_given_up_and_said_why(tmp_path, fault):
    with pytest.raises(Refused) as refused:
        read(tmp_path, faults={2: fault, 3: fault, 4: fault})
    assert refused.value.verdict.cls == "transient"
    assert refused.value.verdict.detail
    assert dict(refused.value.request.params) == {"offset": "3"}


def test_pauses_grow_between_tries(tmp_path):
    _, pauses, _ = read(tmp_path, faults={1: "500", 2: "reset"})
    assert pauses == [1.0, 4.0]


def test_a_source_may_ask_for_a_longer_pause_than_ours(tmp_path):
    busy = Reply(503, b"busy", {"Retry-After": "9"})
    _, pauses, _ = read(tmp_path, Pages(_0=[busy]))
    assert pauses == [9.0]


@pytest.mark.parametrize("wait_s", [0, 2, 30])
def test_a_short_rest_is_taken_where_we_are(tmp_path, wait_s):
    limited = Reply(429, b"slowly", {"Retry-After": str(wait_s)})
    rows, pauses, served = read(tmp_path, Pages(_3=[limited]))
    assert tuple(rows) == ROWS
    assert sum(pauses) == wait_s
    assert len(served.calls) == 4


@pytest.mark.parametrize("wait_s", [31, 600, 86_400])
def test_a_long_rest_is_left_to_who_started_us(tmp_path, wait_s):
    limited = Reply(429, b"slowly", {"Retry-After": str(wait_s)})
    with pytest.raises(RateLimited) as rest:
        read(tmp_path, Pages(_3=[limited]))
    assert (rest.value.wait_s, rest.value.detail) == (wait_s, "slowly")


def test_a_source_that_wants_a_rest_each_time_gets_a_long_one(tmp_path):
    with pytest.raises(RateLimited):
        read(tmp_path, Pages(_0=[Reply(429, b"", {"Retry-After": "1"})] * 5))


@pytest.mark.parametrize(
    ("said", "cls"),
    [
        (Reply(401, b"who?"), "auth"),
        (Reply(403, b"no"), "auth"),
        (Reply(404, b"where?"), "config"),
        (says("schema_drift"), "schema_drift"),
        (says("malformed"), "malformed"),
        (says("split_window"), "split_window"),
    ],
)
def test_what_no_retry_mends_is_asked_once(tmp_path, said, cls):
    plan, pauses = FaultPlan(), []
    with (
        reading(tmp_path, Pages(_0=[said]), plan, pauses.append) as (rows, _),
        pytest.raises(Refused) as refused,
    ):
        rows()
    assert (refused.value.verdict.cls, plan.calls, pauses) == (cls, 1, [])
    assert str(refused.value).startswith(f"{cls}: ")


def test_an_incomplete_answer_is_asked_for_again(tmp_path):
    rows, pauses, served = read(tmp_path, Pages(_0=[says("incomplete")] * 2))
    assert tuple(rows) == ROWS
    assert pauses == [1.0, 4.0]
    assert [call.one("offset") for call in served.calls] == ["0", "0", "0", "3", "6"]
    with pytest.raises(Refused) as refused:
        read(tmp_path, Pages(_0=[says("incomplete")] * 3))
    assert refused.value.verdict.cls == "incomplete"


@pytest.mark.parametrize("cls", ["empty", "unchanged", "not_available", "ignored"])
def test_an_answer_without_rows_is_one_too(tmp_path, cls):
    rows, pauses, served = read(tmp_path, Pages(_0=[says(cls)]))
    assert (rows, pauses, len(served.calls)) == ([], [], 1)


def test_rows_that_go_on_in_a_page_that_is_not_there_yet_are_not_all(tmp_path):
    late = Reply(202, b"")
    rows, pauses, _ = read(tmp_path, Pages(_3=[late] * 2))
    assert (tuple(rows), pauses) == (ROWS, [1.0, 4.0])
    with pytest.raises(Refused, match=r"^transient: "):
        read(tmp_path, Pages(_3=[late] * 3))


@pytest.mark.parametrize("back", [0, 3])
def test_pages_in_a_circle_are_malformed(tmp_path, back):
    circle = Reply(200, json.dumps({"rows": [0], "next": back}).encode())
    plan = FaultPlan()
    with (
        reading(tmp_path, Pages(_3=[circle] * 3), plan, lambda _: None) as (rows, _),
        pytest.raises(Refused, match=r"^malformed: .* in a circle"),
    ):
        rows()
    assert plan.calls == 2


def test_pages_without_end_are_malformed(tmp_path, monkeypatch):
    monkeypatch.setattr("ingest.fetch.MOST_PAGES", 5)
    count = itertools.count(1)

    class Endless(Pages):
        def answer(self, _call: Call) -> Reply:
            return Reply(200, json.dumps({"rows": [], "next": next(count)}).encode())

    plan = FaultPlan()
    with (
        reading(tmp_path, Endless(), plan, lambda _: None) as (rows, _),
        pytest.raises(Refused, match="without end"),
    ):
        rows()
    assert plan.calls == 5


def test_a_cancelled_job_stops_in_its_pause(tmp_path):
    class Cancelled(Exception):
        pass

    def stop(_wait_s: float) -> None:
        raise Cancelled

    plan = FaultPlan({2: "500"})
    with (
        reading(tmp_path, Pages(), plan, stop) as (rows, _),
        pytest.raises(Cancelled),
    ):
        rows()
    assert plan.calls == 2


def test_nothing_is_asked_before_somebody_reads(tmp_path):
    with serve(Pages()) as served, transport(tmp_path) as carrier:
        reader = Reader(served.url)
        found = exchanges(reader, PARTITION, transport=carrier, pause=lambda _: None)
        assert served.calls == []
        next(found)
        assert len(served.calls) == 1
