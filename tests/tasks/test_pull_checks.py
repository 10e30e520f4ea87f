"""What is odd about stored rows is told in the run's result; nothing is held back."""

from datetime import timedelta

import pytest

from tests.sources.server import Reply, serve
from tests.sources.truth import DAY, START
from tests.tasks.source_runs import at_once, desk

__all__ = ["at_once", "desk"]

pytestmark = [pytest.mark.servers, pytest.mark.usefixtures("at_once")]

USUAL = [10.0, 11.0, 12.0, 11.0]
NIGHT = START + 10 * DAY


class Rows:
    """Answers with a value for each hour."""

    def __init__(self, values):
        self.values = values

    def answer(self, call):
        assert call.method == "GET"
        lines = [
            f"a,{START + timedelta(hours=n):%Y-%m-%dT%H:%M:%SZ},{value}"
            for n, value in enumerate(self.values)
        ]
        return Reply(200, "\n".join(["zone,t,v", *lines, ""]).encode())


@pytest.fixture
def world(desk):
    """A source that told 200 usual hours in its first night."""
    behaviour = Rows(USUAL * 50)
    with serve(behaviour) as served:
        layout = {"series_columns": ["zone"], "ts_column": "t", "value_columns": ["v"]}
        config = {"base_url": f"{served.url}/x.csv", "format": "csv", "layout": layout}
        desk.source("load", "http_table", config, since=START.isoformat())
        first = desk.run("load", now=NIGHT)
        assert first["notes"] == []
        yield desk, behaviour


def noted(desk, values, behaviour, now=NIGHT + DAY):
    behaviour.values = values
    result = desk.run("load", now=now)
    assert result["state"] == "succeeded"
    told = desk.rows("SELECT detail -> 'notes' FROM ingest_runs ORDER BY created_at")
    assert [one["code"] for one in told[-1][0]] == [
        one["code"] for one in result["notes"]
    ]
    return result["notes"]


def test_a_usual_night_has_no_notes(world):
    desk, behaviour = world
    assert noted(desk, USUAL * 56, behaviour) == []


def test_a_spike_is_stored_and_told(world):
    desk, behaviour = world
    (note,) = noted(desk, [*USUAL * 50, 11.0, 400.0, 11.0], behaviour)
    at = START + timedelta(hours=201)
    assert (note["code"], note["series"], note["ts"]) == ("spike", "load.a", at)
    assert (note["value"], note["against"]) == (400.0, 11.0)
    assert desk.stored()["load.a", at] == 400.0


def test_a_line_that_went_flat_is_told(world):
    desk, behaviour = world
    (note,) = noted(desk, [*USUAL * 50, *[9.0] * 20], behaviour)
    assert (note["code"], note["value"], note["against"]) == ("flatline", 9.0, 11.0)


def test_a_large_revision_is_told_with_both_values(world):
    desk, behaviour = world
    changed = [*USUAL * 50]
    changed[150] = 99.0
    notes = noted(desk, changed, behaviour)
    (note,) = [one for one in notes if one["code"] == "large_revision"]
    assert (note["value"], note["against"]) == (99.0, USUAL[150 % 4])
    assert note["ts"] == START + timedelta(hours=150)


def test_revisions_at_the_far_end_of_the_lookback_are_told(world):
    desk, behaviour = world
    changed = [*USUAL * 50]
    changed[2] += 0.1  # two months are read back the first time that there is a mark
    changed[190] += 0.1
    notes = noted(desk, changed, behaviour)
    assert [one["code"] for one in notes] == ["short_lookback"]
    assert (notes[0]["value"], notes[0]["against"]) == (1, 2)


def test_revisions_elsewhere_say_nothing_about_the_lookback(world):
    desk, behaviour = world
    changed = [*USUAL * 50]
    changed[190] += 0.1
    assert noted(desk, changed, behaviour) == []
