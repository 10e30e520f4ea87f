"""Fewer rows than the source declared: asked for again, and at last a failed part."""

import json
from datetime import datetime, timedelta

import pytest

from tasks.errors import SourceRefused
from tests.sources.server import Reply, serve
from tests.sources.truth import DAY, HOUR, START
from tests.tasks.source_runs import at_once, desk

__all__ = ["at_once", "desk"]

pytestmark = [pytest.mark.servers, pytest.mark.usefixtures("at_once")]

NIGHT = START + 2 * DAY


class Lossy:
    """Declares a row more than it has; windows that begin at ``good`` are whole."""

    def __init__(self, rows, good=None):
        self.rows = rows
        self.good = good

    def answer(self, call):
        query = dict(call.query)
        first = datetime.fromisoformat(str(query["from"]))
        rows = [
            {"zone": "a", "t": (first + hour * HOUR).isoformat(), "v": float(hour)}
            for hour in range(self.rows)
        ]
        total = self.rows + (first != self.good)
        return Reply(200, json.dumps({"total": total, "data": rows}).encode())


def source(desk, url, **config):
    layout = {"series_columns": ["zone"], "ts_column": "t", "value_columns": ["v"]}
    desk.source(
        "load",
        "http_table",
        {
            "base_url": f"{url}/x.json",
            "layout": layout,
            "rows_path": "data",
            "paging": {"style": "cursor", "next_path": "next", "total_path": "total"},
            "start_param": "from",
            **config,
        },
        since=START.isoformat(),
    )


def states(desk):
    return desk.rows("SELECT state, reason FROM source_windows ORDER BY start_at")


@pytest.mark.parametrize("rows", [0, 3])
def test_rows_that_never_come_fail_the_partition_in_the_last_attempt(desk, rows):
    with serve(Lossy(rows)) as served:
        source(desk, served.url)
        with pytest.raises(SourceRefused, match=r"incomplete: \d distinct rows of \d"):
            desk.run("load", now=NIGHT, tries=3)
        assert len(served.calls) == 3
    assert states(desk) == [("failed", "incomplete")]
    assert desk.rows("SELECT state FROM ingest_runs") == [("failed",)]
    assert desk.stored() == {}


def test_a_run_with_one_such_partition_is_partial_and_keeps_the_others(desk):
    with serve(Lossy(3, good=START)) as served:
        source(desk, served.url, span_days=1)
        result = desk.run("load", now=START + timedelta(hours=30), tries=2)
    assert (result["state"], len(result["failed"])) == ("partial", 1)
    assert states(desk) == [("done", None), ("failed", "incomplete")]
    assert len(desk.stored()) == 3
