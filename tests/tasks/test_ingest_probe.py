"""What a probe tells: the rows that would be refused, and what cannot be listed."""

import pytest

from tasks import ingest_probe
from tests.sources.server import serve
from tests.tasks.source_runs import at_once, desk
from tests.tasks.test_pull_quarantine import CODES, GOOD, NIGHT, UNREADABLE, Csv, source

__all__ = ["at_once", "desk"]

pytestmark = [pytest.mark.servers, pytest.mark.usefixtures("at_once")]


def probed(desk, *lines, **wanted):
    with serve(Csv(*lines)) as served:
        source(desk, served.url)
        params = ingest_probe.ProbeParams(source="load", **wanted)
        return ingest_probe.probe(params, desk.attempt(now=NIGHT)).result


def test_bad_rows_are_listed_even_where_no_rows_are_wanted(desk):
    told = probed(desk, *GOOD, *UNREADABLE, rows=0)
    assert (told["verdict"], told["rows"]) == ("ok", [])
    assert {one["code"] for one in told["rejected"]} == CODES
    assert told["discovered"] is None


def test_of_many_bad_rows_the_first_twenty_are_listed(desk):
    told = probed(desk, *GOOD, *(f"a,never,{number}" for number in range(50)), rows=5)
    assert len(told["rows"]) == 5
    assert [one["row"] for one in told["rejected"]] == list(range(31, 51))


def test_a_connector_that_cannot_list_its_series_says_so(desk):
    told = probed(desk, *GOOD, discover=True)
    assert told["discovered"] == []
    assert told["message"] == "http_table has no list of its series to ask for"


def test_the_unit_that_the_owner_gave_is_shown_with_the_rows(desk):
    with serve(Csv(*GOOD)) as served:
        source(desk, served.url)
        desk.rows(
            'UPDATE sources SET options = options || \'{"mapping": {"unit": "MW"}}\''
            " RETURNING id"
        )
        params = ingest_probe.ProbeParams(source="load", rows=1)
        told = ingest_probe.probe(params, desk.attempt(now=NIGHT)).result
    assert [one["unit"] for one in told["rows"]] == ["MW"]
