"""Backfills: low, few at once, resumed, and out of the way of the nightly read."""

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from db import dependencies, jobs, line, parts
from db.sources import find_by_name
from ingest.contract import Tier
from tasks import sources
from tasks.catalog import job_types
from tasks.ingest import BACKFILL_IN_FLIGHT, IngestParams
from tasks.ingest_replay import ReplayParams, replay
from tasks.pull_run import split
from tasks.source_plan import due_tier
from tasks.submit import submit
from tests.sources.eia import KEY, ROUTE, Eia
from tests.sources.server import Reply, serve
from tests.sources.truth import DAY, START, Truth, grid
from tests.tasks.source_runs import Desk, at_once, desk
from workers.runner import Runtime, run

__all__ = ["at_once", "desk"]

pytestmark = [pytest.mark.servers, pytest.mark.usefixtures("at_once")]

END = START + 150 * DAY


@dataclass
class Backfill:
    """A backfill as a job in the database, and a worker that runs its pieces."""

    desk: Desk
    runtime: Runtime
    job_id: str

    def run(self, job_id=None):
        attempt = self.value("SELECT attempt FROM jobs WHERE id = :id", job_id)
        return run(self.runtime, job_id=job_id or self.job_id, attempt=attempt)

    def value(self, query, job_id=None):
        return self.desk.rows(query, id=job_id or self.job_id)[0][0]

    def parts(self):
        found = self.desk.rows(
            "SELECT id FROM jobs WHERE parent_id = :id AND step = 'part' ORDER BY part",
            id=self.job_id,
        )
        return [one for (one,) in found]

    def settle(self):
        with self.desk.database.system() as connection:
            dependencies.release(connection)
            parts.settle(connection)

    def finish(self):
        query = "SELECT id FROM jobs WHERE parent_id = :id AND step = 'finish'"
        return self.run(self.value(query))

    def progress(self):
        self.settle()
        return self.value("SELECT progress FROM jobs WHERE id = :id")


@pytest.fixture
def served():
    truth = Truth(5, series=("PJM:D",), starts=grid(START, 24 * 150, DAY / 24))
    with serve(Eia(truth)) as found:
        yield found


@pytest.fixture
def backfill(desk, served, tmp_path):
    """Submit a backfill of ``load``: ``backfill(retry_of=None)``."""
    settings = replace(desk.settings, artifacts=str(tmp_path), retry_delay_s=0.01)
    desk.credential("keys", api_key=KEY)
    config = {"route": ROUTE, "frequency": "hourly", "base_url": f"{served.url}/v2"}
    desk.source("load", "eia", config, credential="keys", since=START.isoformat())
    runtime = Runtime(desk.database, settings, "here/1")

    def make(**more):
        with desk.database.tenant(desk.tenant_id) as connection:
            source = find_by_name(connection, tenant_id=desk.tenant_id, name="load")
            wanted = sources.run(source, mode="backfill", start=START, end=END)
            job, _ = submit(
                connection,
                tenant_id=desk.tenant_id,
                submission=replace(wanted, **more),
            )
        return Backfill(desk, runtime, job.id)

    return make


def test_parts_inherit_lane_and_priority_and_few_run_at_once(desk, backfill):
    made = backfill()
    assert made.run() == "parts"
    pieces = desk.rows(
        "SELECT lane, priority, concurrency_key, concurrency_limit FROM jobs "
        "WHERE parent_id = :id AND step = 'part'",
        id=made.job_id,
    )
    assert len(pieces) > 4
    assert set(pieces) == {("backfill", 2, "backfill:load", BACKFILL_IN_FLIGHT)}
    with desk.database.system() as connection:
        line.admit(connection)
        admitted = connection.scalar(
            text(
                "SELECT count(*) FROM outbox WHERE admitted "
                "AND concurrency_key = 'backfill:load'"
            )
        )
    assert admitted == BACKFILL_IN_FLIGHT


def test_a_nightly_read_has_no_share_to_keep_to():
    share = job_types()["ingest.run"].parts.share
    assert share(IngestParams(source="load")) is None
    assert share(IngestParams(source="load", mode="full")) is None


def test_progress_is_told_in_parts_and_a_crash_redoes_no_other_part(
    backfill, served, monkeypatch
):
    made = backfill()
    made.run()
    first, second, *rest = made.parts()
    assert made.run(first) == "succeeded"
    told = made.progress()
    assert (told["done"], told["total"], told["unit"]) == (1, len(rest) + 2, "parts")

    with monkeypatch.context() as patch:
        patch.setattr("tasks.pull_store.store", _dies)
        assert made.run(second) == "queued"
    asked = len(served.calls)
    assert made.run(second) == "succeeded"
    assert len(served.calls) == asked  # what was read before the crash is kept
    for one in rest:
        assert made.run(one) == "succeeded"
    assert made.progress()["done"] == len(rest) + 2
    asked = len(served.calls)
    assert made.finish() == "succeeded"
    assert len(served.calls) == asked == len({call.query for call in served.calls})
    assert made.value("SELECT state FROM jobs WHERE id = :id") == "succeeded"


def _dies(*_args, **_more):
    raise MemoryError("the worker dies")


def test_a_backfill_moves_no_watermark(desk, backfill):
    made = backfill()
    made.run()
    for one in made.parts():
        made.run(one)
    made.settle()
    made.finish()
    assert len(desk.stored()) > 3_000
    marks = desk.rows("SELECT DISTINCT watermark FROM source_series")
    assert marks == [(None,)]


def test_a_retry_runs_the_rest(desk, backfill):
    made = backfill()
    made.run()
    done = made.parts()[:3]
    for one in done:
        made.run(one)
    with desk.database.tenant(desk.tenant_id) as connection:
        jobs.cancel(connection, tenant_id=desk.tenant_id, job_id=made.job_id)
    made.settle()
    again = backfill(retry_of=made.job_id)
    again.run()
    left = len(made.parts()) - len(done)
    assert len(again.parts()) == left
    anew = backfill()
    anew.run()
    assert len(anew.parts()) == len(made.parts())


TIERS = (
    Tier("hot", timedelta(days=3), timedelta(days=1)),
    Tier("warm", timedelta(days=30), timedelta(days=7)),
    Tier("cold", timedelta(days=365), timedelta(days=30)),
)
NOON = datetime(2026, 3, 1, 2, tzinfo=UTC)


def nights(count, tiers=TIERS):
    """Return which tier is read in each night."""
    latest, found = {}, []
    for night in range(count):
        # Beat is never late by the same minutes.
        now = NOON + timedelta(days=night, minutes=(7 * night) % 5)
        tier = due_tier(tiers, latest, now=now)
        latest[tier.name] = now
        found.append(tier.name)
    return found


def test_each_night_the_hot_tier_each_week_the_warm_each_month_the_cold():
    found = nights(61)
    cold = [night for night, name in enumerate(found) if name == "cold"]
    warm = [night for night, name in enumerate(found) if name == "warm"]
    assert cold == [0, 30, 60]
    assert warm == [7, 14, 21, 28, 37, 44, 51, 58]
    assert found.count("hot") == 61 - len(cold) - len(warm)


def test_a_source_of_one_tier_reads_it_each_night():
    assert nights(5, TIERS[:1]) == ["hot"] * 5


def test_a_run_in_parts_remembers_its_tier(desk, backfill, served):
    backfill()
    desk.run("load", now=START + 20 * DAY)
    widths = []
    for night in range(3):
        now = START + (40 + 2 * night) * DAY
        partitions = split(IngestParams(source="load"), desk.attempt(now=now))
        first = min(one.partition.start for one in partitions)
        mark = max(at for (at,) in desk.rows("SELECT watermark FROM source_series"))
        widths.append((partitions[0].tier, (mark - first).days))
        desk.run("load", now=now)
    assert widths[0][0] != widths[1][0] == widths[2][0] == "hot"
    assert widths[0][1] > widths[1][1] == widths[2][1]


class Table:
    """Answers with hourly rows of 30 days, whatever it is asked for."""

    def __init__(self, hours=range(24 * 30)):
        self.calls = 0
        self.hours = hours

    def answer(self, _call):
        self.calls += 1
        rows = [
            {"ts": (START + hour * DAY / 24).isoformat(), "value": hour}
            for hour in self.hours
        ]
        return Reply(200, json.dumps({"rows": rows, "total": len(rows)}).encode())


def table_config(served, **more) -> dict:
    """The config of a table that takes no window."""
    return {
        "base_url": f"{served.url}/x.json",
        "format": "json",
        "rows_path": "rows",
        "layout": {"series_columns": [], "series_key": "load"},
        **more,
    }


def test_a_table_that_takes_no_window_is_read_once_and_cut_to_it(desk):
    table = Table()
    with serve(table) as served:
        paging = {"style": "none", "total_path": "total"}
        config = table_config(served, paging=paging, whole=True, span_days=2)
        desk.source("load", "http_table", config, since=START.isoformat())
        asked = {"mode": "backfill", "start": START + 5 * DAY, "end": START + 9 * DAY}
        result = desk.run("load", **asked)
        (window,) = result["windows"]
        assert table.calls == 1
        assert (result["written"], window["outside"]) == (96, 24 * 26)
        assert "read once and whole: 624 rows outside the window" in result["message"]
        assert min(at for _, at in desk.stored()) == START + 5 * DAY
        assert max(at for _, at in desk.stored()) == START + 9 * DAY - DAY / 24
        again = desk.run("load", **asked)
        assert (again["unchanged"], again["withdrawn"]) == (96, 0)


def test_a_row_outside_the_window_that_came_twice_stands_for_none_within(desk):
    table = Table(range(12))
    with serve(table) as served:
        paging = {"style": "cursor", "total_path": "total"}
        config = table_config(served, paging=paging)
        desk.source("load", "http_table", config, since=START.isoformat())
        desk.run("load", mode="full")
        table.hours = (*range(9), 10, 11, 11)
        end = START + timedelta(hours=10)
        result = desk.run("load", mode="backfill", start=START, end=end)
    assert (result["withdrawn"], len(desk.stored())) == (0, 12)


def test_a_replay_of_such_a_backfill_keeps_to_its_window(desk):
    with serve(Table()) as served:
        config = table_config(served)
        desk.source("load", "http_table", config, since=START.isoformat())
        desk.run("load", mode="backfill", start=START, end=START + DAY)
    context = desk.attempt()
    outcome = replay(ReplayParams(source="load"), context)
    with context.read() as connection:
        (window,) = outcome.store(connection)["windows"]
    assert (window["unchanged"], window["written"], window["outside"]) == (24, 0, 696)
    assert len(desk.stored()) == 24


def test_a_source_that_takes_a_window_is_read_window_by_window(desk, backfill):
    made = backfill()
    assert made.run() == "parts"
    (first,) = desk.rows(
        "SELECT params -> 'partition' -> 'part' FROM jobs WHERE id = :id",
        id=made.parts()[0],
    )
    assert "within" not in first[0]
