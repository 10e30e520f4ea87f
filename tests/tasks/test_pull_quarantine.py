"""Rows that are held back: kept as they stood, counted by run, and proof of nothing."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from db import quarantine
from ingest.connectors.http_table import HttpTable
from tasks import ingest_replay, pull
from tasks.errors import SourceRefused
from tasks.source_plan import opened
from tests.sources.server import Reply, serve
from tests.sources.truth import DAY, START
from tests.tasks.source_runs import at_once, desk

__all__ = ["at_once", "desk"]

pytestmark = [pytest.mark.servers, pytest.mark.usefixtures("at_once")]

NIGHT = START + 2 * DAY


class Csv:
    """Answers with the lines that it is given."""

    def __init__(self, *lines):
        self.lines = lines

    def answer(self, call):
        assert call.method == "GET"
        return Reply(200, "\n".join(["zone,t,v", *self.lines, ""]).encode())


def row(hour, value, zone="a"):
    return f"{zone},{START + timedelta(hours=hour):%Y-%m-%dT%H:%M:%SZ},{value}"


GOOD = tuple(row(hour, hour + 0.5) for hour in range(30))


def source(desk, url, **config):
    layout = {"series_columns": ["zone"], "ts_column": "t", "value_columns": ["v"]}
    config = {"base_url": f"{url}/x.csv", "format": "csv", "layout": layout, **config}
    desk.source("load", "http_table", config, since=START.isoformat())


def held(desk):
    with desk.database.tenant(desk.tenant_id) as connection:
        (owner,) = desk.rows("SELECT id FROM sources")
        return quarantine.page(
            connection,
            tenant_id=desk.tenant_id,
            source_id=owner[0],
            wanted=quarantine.Wanted(),
        )


def test_a_bad_row_is_kept_as_it_stood_with_its_code_and_number(desk):
    with serve(Csv(*GOOD, row(40, "broken"))) as served:
        source(desk, served.url)
        result = desk.run("load", now=NIGHT)
    (one,) = held(desk)
    assert (result["state"], result["rejected"]) == ("succeeded", 1)
    assert (one.code, one.row_no, one.seen) == ("bad_value", 31, 1)
    assert json.loads(one.row) == {
        "series": "a",
        "ts": f"{START + timedelta(hours=40):%Y-%m-%dT%H:%M:%SZ}",
        "value": "broken",
    }
    assert "broken" in one.detail
    assert "\n" not in one.detail
    assert one.raw_sha256 in {
        sha for (sha,) in desk.rows("SELECT sha256 FROM raw_fetches")
    }


def test_a_row_of_too_many_cells_is_kept_as_it_stood(desk):
    with serve(Csv(*GOOD, "a,b,c,d,e")) as served:
        source(desk, served.url)
        desk.run("load", now=NIGHT)
    (one,) = held(desk)
    assert (one.code, one.row) == ("malformed_row", "a,b,c,d,e")


class Unended(Csv):
    """Ends its last line nowhere, but says how long all is."""

    def answer(self, call):
        return replace(super().answer(call), body=super().answer(call).body.rstrip())


def test_a_last_row_of_too_few_cells_is_bad_alone_where_the_length_was_told(desk):
    with serve(Unended(*GOOD, "a")) as served:
        source(desk, served.url)
        result = desk.run("load", now=NIGHT)
    assert [one.code for one in held(desk)] == ["malformed_row"]
    assert (result["rejected"], len(desk.stored())) == (1, len(GOOD))


def test_rows_that_contradict_each_other_are_both_held_and_told(desk):
    with serve(Csv(*GOOD, row(40, 1.0), row(40, 2.0))) as served:
        source(desk, served.url)
        desk.run("load", now=NIGHT)
    found = held(desk)
    assert {one.code for one in found} == {"conflicting_duplicate"}
    at = (START + timedelta(hours=40)).isoformat()
    assert {one.row for one in found} == {
        f"load.a at {at}: 1.0",
        f"load.a at {at}: 2.0",
    }
    assert len(desk.stored()) == len(GOOD)


def test_a_run_that_is_repeated_counts_a_row_once_and_another_run_once_more(desk):
    with serve(Csv(*GOOD, row(40, "broken"))) as served:
        source(desk, served.url)
        context = desk.attempt(now=NIGHT)
        for _ in range(3):
            stored(desk, context)
        assert [one.seen for one in held(desk)] == [1]
        desk.run("load", now=NIGHT + DAY)
    (one,) = held(desk)
    assert (one.seen, one.last_seen, one.first_seen) == (2, NIGHT + DAY, NIGHT)


def stored(desk, context):
    one = opened(context, name="load")
    (partition,) = one.connector.plan(START, NIGHT)
    outcome = pull.pull(one, partition, context, pull.Wanted())
    with desk.database.tenant(desk.tenant_id) as connection:
        return outcome.store(connection)


def test_the_same_bad_row_in_another_line_is_the_same_row(desk):
    behaviour = Csv(*GOOD, row(40, "broken"))
    with serve(behaviour) as served:
        source(desk, served.url)
        desk.run("load", now=NIGHT)
        behaviour.lines = (row(40, "broken"), *GOOD)
        desk.run("load", now=NIGHT + DAY)
    assert [(one.seen, one.row_no) for one in held(desk)] == [(2, 1)]


def test_a_value_that_is_gone_is_withdrawn_if_the_answer_is_whole(desk):
    behaviour = Csv(*GOOD)
    with serve(behaviour) as served:
        source(desk, served.url, whole=True)
        desk.run("load", now=NIGHT)
        behaviour.lines = GOOD[:5] + GOOD[6:]
        result = desk.run("load", now=NIGHT)
    assert result["withdrawn"] == 1
    assert len(desk.stored()) == len(GOOD) - 1


@pytest.mark.parametrize(
    "bad",
    [(row(5, "broken"),), (row(50, "broken"),), (row(5, 1.0), row(5, 2.0))],
    ids=["of the value", "of another time", "in conflict"],
)
def test_nothing_is_withdrawn_where_a_row_was_held_back(desk, bad):
    behaviour = Csv(*GOOD)
    with serve(behaviour) as served:
        source(desk, served.url, whole=True)
        desk.run("load", now=NIGHT)
        behaviour.lines = (*GOOD[:5], *bad, *GOOD[6:])
        result = desk.run("load", now=NIGHT)
    assert (result["state"], result["withdrawn"]) == ("succeeded", 0)
    assert len(desk.stored()) == len(GOOD)


def test_a_replay_holds_again_what_is_still_bad(desk):
    with serve(Csv(*GOOD, row(40, "one"))) as served:
        source(desk, served.url)
        desk.run("load", now=NIGHT)
    assert [one.state for one in held(desk)] == ["held"]
    replayed(desk, now=NIGHT + DAY, quarantined=True)
    assert [(one.state, one.seen) for one in held(desk)] == [("held", 2)]
    assert len(desk.stored()) == len(GOOD)


def replayed(desk, *, now, **wanted):
    params = ingest_replay.ReplayParams(source="load", **wanted)
    outcome = ingest_replay.replay(params, desk.attempt(now=now))
    with desk.database.tenant(desk.tenant_id) as connection:
        outcome.store(connection)


def test_a_row_that_comes_corrected_later_is_superseded_by_the_run_that_brings_it(desk):
    behaviour = Csv(*GOOD, row(40, "broken"), row(41, "lost"))
    with serve(behaviour) as served:
        source(desk, served.url)
        desk.run("load", now=NIGHT)
        behaviour.lines = (*GOOD, row(40, 7.0))
        result = desk.run("load", now=NIGHT + DAY)
    found = {one.ts: (one.state, one.resolved_by) for one in held(desk)}
    assert found == {
        START + timedelta(hours=40): ("superseded", result["run_id"]),
        START + timedelta(hours=41): ("superseded", result["run_id"]),
    }
    assert {one.series_key for one in held(desk)} == {"load.a"}
    assert [one["superseded"] for one in result["windows"]] == [2]


UNREADABLE = ("a,b,c,d,e", "a,soon,1", "a,2026-01-02T05:00:00,1", row(40, "broken"))
CODES = {"malformed_row", "bad_time", "time_without_offset", "bad_value"}


@pytest.mark.parametrize("mode", ["incremental", "full"])
@pytest.mark.parametrize("windowed", [False, True])
def test_a_later_read_of_more_settles_what_it_no_longer_refuses(desk, mode, windowed):
    behaviour = Csv(*GOOD, *UNREADABLE)
    with serve(behaviour) as served:
        window = {"start_param": "from", "end_param": "to", "span_days": 3_660}
        source(desk, served.url, **(window if windowed else {}))
        desk.run("load", now=NIGHT)
        assert {one.code for one in held(desk)} == CODES
        behaviour.lines = (*GOOD, *(row(hour, 7.0) for hour in range(40, 44)))
        result = desk.run("load", mode=mode, now=NIGHT + timedelta(hours=3))
    assert {one.state for one in held(desk)} == {"superseded"}
    assert {one.resolved_by for one in held(desk)} == {result["run_id"]}
    assert [one["superseded"] for one in result["windows"]] == [4]


def test_a_later_read_of_less_settles_only_the_times_that_it_brings(desk):
    behaviour = Csv(*GOOD, *UNREADABLE)
    with serve(behaviour) as served:
        source(desk, served.url, start_param="from", end_param="to")
        desk.run("load", now=NIGHT)
        behaviour.lines = (*GOOD, row(40, 7.0))
        later = {"start": START + timedelta(hours=1), "end": NIGHT + DAY}
        desk.run("load", mode="backfill", now=NIGHT + DAY, **later)
    assert {one.code for one in held(desk) if one.state == "held"} == CODES - {
        "bad_value"
    }


def test_a_table_that_no_longer_goes_back_so_far_settles_nothing_of_then(desk):
    behaviour = Csv(row(0, "broken"), *GOOD[1:])
    with serve(behaviour) as served:
        source(desk, served.url)
        desk.run("load", now=NIGHT)
        behaviour.lines = GOOD[5:]
        result = desk.run("load", now=NIGHT + DAY)
    assert [one.state for one in held(desk)] == ["held"]
    assert [one["superseded"] for one in result["windows"]] == [0]


@pytest.mark.parametrize("given_up", [True, False])
def test_a_replay_leaves_what_was_superseded_or_discarded(desk, given_up):
    behaviour = Csv(*GOOD, *UNREADABLE)
    with serve(behaviour) as served:
        source(desk, served.url)
        desk.run("load", now=NIGHT)
        if given_up:
            desk.rows("UPDATE quarantine SET state = 'discarded' RETURNING id")
        else:
            behaviour.lines = (*GOOD, row(40, 7.0))
            desk.run("load", now=NIGHT + DAY)
    before = held(desk)
    assert {one.state for one in before} == {"discarded" if given_up else "superseded"}
    replayed(desk, now=NIGHT + 2 * DAY)
    assert held(desk) == before


def test_rows_that_agree_later_supersede_those_that_contradicted_each_other(desk):
    behaviour = Csv(*GOOD, row(40, 1.0), row(40, 2.0))
    with serve(behaviour) as served:
        source(desk, served.url)
        desk.run("load", now=NIGHT)
        behaviour.lines = (*GOOD, row(40, 2.0))
        desk.run("load", now=NIGHT + DAY)
    assert [one.state for one in held(desk)] == ["superseded", "superseded"]


def test_what_a_partition_that_is_read_again_no_longer_refuses_is_superseded(desk):
    behaviour = Csv(*GOOD, "a,b,c,d,e", row(40, "broken"))
    with serve(behaviour) as served:
        source(desk, served.url)
        desk.run("load", now=NIGHT)
        behaviour.lines = (*GOOD, row(40, "broken"))
        result = desk.run("load", mode="full", now=NIGHT)
    found = {one.code: (one.state, one.resolved_by) for one in held(desk)}
    assert found == {
        "malformed_row": ("superseded", result["run_id"]),
        "bad_value": ("held", None),
    }


def test_a_run_that_publishes_nothing_settles_nothing(desk):
    behaviour = Csv(*GOOD, "a,b,c,d,e")
    with serve(behaviour) as served:
        source(desk, served.url)
        desk.run("load", now=NIGHT)
        behaviour.lines = tuple(row(hour, "x") for hour in range(30))
        with pytest.raises(SourceRefused, match="not one of 30 rows is good"):
            desk.run("load", mode="full", now=NIGHT)
        behaviour.lines = ()
        desk.run("load", mode="full", now=NIGHT)
    states = {one.code: one.state for one in held(desk)}
    assert states == {"malformed_row": "held", "bad_value": "held"}
    assert len(held(desk)) == 31


def test_what_is_not_listed_is_not_taken_for_good(desk, monkeypatch):
    monkeypatch.setattr("tasks.pull_reading.LISTED", 1)
    behaviour = Csv(*GOOD, "a,b,c,d,e")
    with serve(behaviour) as served:
        source(desk, served.url)
        desk.run("load", now=NIGHT)
        behaviour.lines = (*GOOD, "a,b,c", "a,b,c,d,e")
        desk.run("load", mode="full", now=NIGHT)
    assert [one.state for one in held(desk)] == ["held", "held"]


def test_what_lies_outside_a_backfill_stays_held(desk):
    with serve(Csv(*GOOD, row(-5, "broken"), row(60, "broken"))) as served:
        source(desk, served.url)
        desk.run("load", now=NIGHT)
        desk.run("load", mode="backfill", start=START, end=NIGHT)
    assert [one.state for one in held(desk)] == ["held", "held"]


class Halves:
    """Two answers, of which the second holds a bad row, or is still being made."""

    made = True

    def answer(self, call):
        if "half" not in dict(call.query):
            return Csv(*GOOD).answer(call)
        return Csv("a,b,c,d,e").answer(call) if self.made else Reply(202, b"")


def test_what_is_not_available_now_is_not_taken_for_good(desk, monkeypatch):
    asked = HttpTable.requests

    def both(table, partition):
        (first,) = asked(table, partition)
        return first, replace(first, params=(("half", "2"),))

    monkeypatch.setattr(HttpTable, "requests", both)
    behaviour = Halves()
    with serve(behaviour) as served:
        source(desk, served.url)
        desk.run("load", now=NIGHT)
        behaviour.made = False
        result = desk.run("load", mode="full", now=NIGHT)
    assert (result["unchanged"], [one.state for one in held(desk)]) == (30, ["held"])
