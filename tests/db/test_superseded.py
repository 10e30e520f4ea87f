"""Held rows in whose place a later load brings a good one."""

from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from db import loads, quarantine, superseded
from db.quarantine import Load, Refused, Wanted
from tests.db import kept
from tests.db.loading import HOUR, NOW, batch, rows_read

pytestmark = pytest.mark.servers

BAD = Refused(row_no=7, code="bad_value", detail="x", row="a,x", key="a", ts=NOW)


class Shelf:
    """The quarantine of one source, and loads that may make its rows good."""

    def __init__(self, database, tenant_id, source_id):
        self._database = database
        self._tenant_id = tenant_id
        self._source_id = source_id

    def load(self, run, partition="p1"):
        return Load(source_id=self._source_id, partition_id=partition, run_id=run)

    def hold(self, *refused, run="run_1", now=NOW):
        with self._database.tenant(self._tenant_id) as connection:
            quarantine.add(
                connection,
                tenant_id=self._tenant_id,
                load=self.load(run),
                refused=refused,
                now=now,
            )

    def bring(self, rows, *, run="run_2", known_at=NOW + HOUR, said=False, plans=None):
        with self._database.tenant(self._tenant_id) as connection:
            if plans is not None:
                sa.event.listen(connection, "before_cursor_execute", plans)
            return superseded.supersede(
                connection,
                tenant_id=self._tenant_id,
                load=self.load(run, "p2"),
                staged=loads.stage(connection, [batch(rows, said=said)]),
                known_at=known_at,
            )

    def settle(self, run, state):
        with self._database.tenant(self._tenant_id) as connection:
            return quarantine.settle(
                connection,
                tenant_id=self._tenant_id,
                load=self.load(run),
                state=state,
            )

    def rows(self):
        with self._database.tenant(self._tenant_id) as connection:
            found = quarantine.page(
                connection,
                tenant_id=self._tenant_id,
                source_id=self._source_id,
                wanted=Wanted(),
            )
        return [(one.series_key, one.ts, one.state, one.resolved_by) for one in found]


@pytest.fixture
def shelf(database, tenant_id):
    with database.tenant(tenant_id) as connection:
        owner = kept.source(connection, tenant_id)
    return Shelf(database, tenant_id, owner.id)


def test_a_good_row_of_the_same_series_and_time_takes_the_place_of_a_held_one(shelf):
    shelf.hold(BAD)
    assert shelf.rows() == [("a", NOW, "held", None)]
    assert shelf.bring([("b", 0, 1.0), ("a", 1, 1.0)]) == 0
    assert shelf.bring([("b", 0, 1.0), ("a", 0, 1.0)], run="run_3") == 1
    assert shelf.rows() == [("a", NOW, "superseded", "run_3")]


@pytest.mark.parametrize(
    "unlike", [{"key": None}, {"ts": None}, {"key": None, "ts": None}]
)
def test_a_row_whose_series_or_time_is_not_known_stays_held(shelf, unlike):
    shelf.hold(replace(BAD, **unlike))
    assert shelf.bring([("a", 0, 1.0)]) == 0


def test_rows_that_contradict_each_other_make_nothing_good(shelf):
    shelf.hold(BAD)
    assert shelf.bring([("a", 0, 1.0), ("a", 0, 2.0)]) == 0
    assert shelf.bring([("a", 0, 2.0), ("a", 0, 2.0)]) == 1


def test_what_a_run_holds_itself_stays_held_whatever_else_it_brings(shelf):
    shelf.hold(BAD)
    shelf.hold(BAD, run="run_2", now=NOW + HOUR)
    assert shelf.bring([("a", 0, 1.0)], known_at=NOW + 2 * HOUR) == 0


def test_an_answer_from_before_a_row_was_held_makes_it_no_good(shelf):
    shelf.hold(BAD)
    assert shelf.bring([("a", 0, 1.0)], known_at=NOW - timedelta(seconds=1)) == 0


def test_each_publication_of_a_time_counts_by_itself_and_a_forecast_does_not(shelf):
    shelf.hold(BAD)
    issued = [("a", 0, 1.0, None, NOW - HOUR)]
    published = [("a", 0, 1.0, NOW, None), ("a", 0, 2.0, NOW + HOUR, None)]
    assert shelf.bring(issued, said=True) == 0
    assert shelf.bring(published, said=True) == 1


def test_a_row_that_is_bad_again_is_held_again(shelf):
    shelf.hold(BAD)
    shelf.bring([("a", 0, 1.0)])
    shelf.hold(BAD, run="run_3", now=NOW + 2 * HOUR)
    assert shelf.rows() == [("a", NOW, "held", None)]


def test_what_is_staged_is_read_once_and_not_for_each_held_row(shelf):
    held = [replace(BAD, row=f"{at}", ts=NOW + at * HOUR) for at in range(300)]
    shelf.hold(*held)
    found = []

    def explain(_connection, cursor, statement, given, *_more):
        if "FROM obs_stage JOIN" in statement:
            cursor.execute(f"EXPLAIN (ANALYZE, FORMAT json) {statement}", given)
            found.append(rows_read(cursor.fetchone()[0][0]["Plan"], "obs_stage"))

    rows = [("a", hour, 1.0) for hour in range(3_000)]
    assert shelf.bring(rows, plans=explain) == len(held)
    assert found == [len(rows)]


def test_a_discarded_row_stays_discarded(database, tenant_id, shelf):
    shelf.hold(BAD)
    with database.tenant(tenant_id) as connection:
        quarantine.mark(
            connection,
            tenant_id=tenant_id,
            source_id=shelf.load("").source_id,
            state="discarded",
        )
    assert shelf.bring([("a", 0, 1.0)]) == 0
    assert shelf.rows() == [("a", NOW, "discarded", None)]


@pytest.mark.parametrize("state", ["replayed", "superseded"])
def test_what_a_partition_no_longer_refuses_names_the_run_that_found_it_so(
    shelf, state
):
    shelf.hold(BAD, replace(BAD, key=None, ts=None, row="b"))
    shelf.hold(BAD, run="run_2", now=NOW + HOUR)
    assert shelf.settle("run_2", state) == 1
    assert set(shelf.rows()) == {
        (None, None, state, "run_2"),
        ("a", NOW, "held", None),
    }
