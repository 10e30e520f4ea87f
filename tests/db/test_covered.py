"""Held rows of windows that a later load has read again, and refuses no more."""

from dataclasses import replace
from datetime import timedelta

import pytest

from db import covered, source_ledger
from db.covered import Reach
from tests.db import kept
from tests.db.loading import HOUR, NOW
from tests.db.test_superseded import BAD, Shelf

pytestmark = pytest.mark.servers

LOST = replace(BAD, key=None, ts=None, row="lost")
READ = Reach({}, NOW - HOUR, NOW + 2 * HOUR)


class Windows(Shelf):
    """A quarantine with the ledger that says what window each partition was of."""

    def window(self, start=NOW, end=NOW + HOUR, *, partition="p1", **part):
        window = source_ledger.Window(
            partition_id=partition,
            start_at=start,
            end_at=end,
            part=part,
            state="done",
            run_id="run_1",
            counts={},
            finished_at=NOW,
        )
        with self._database.tenant(self._tenant_id) as connection:
            source_ledger.record(
                connection,
                tenant_id=self._tenant_id,
                source_id=self._source_id,
                window=window,
            )

    def cover(self, reach=READ, *, partition="p2", known_at=NOW + HOUR):
        with self._database.tenant(self._tenant_id) as connection:
            return covered.cover(
                connection,
                tenant_id=self._tenant_id,
                load=self.load("run_2", partition),
                reach=reach,
                known_at=known_at,
            )


@pytest.fixture
def windows(database, tenant_id):
    with database.tenant(tenant_id) as connection:
        owner = kept.source(connection, tenant_id)
    shelf = Windows(database, tenant_id, owner.id)
    shelf.hold(BAD, LOST)
    return shelf


def test_a_window_that_was_read_again_within_a_larger_one_is_settled(windows):
    windows.window()
    assert windows.cover() == 2
    assert {row[2:] for row in windows.rows()} == {("superseded", "run_2")}


@pytest.mark.parametrize(
    ("start", "end"),
    [(NOW - 2 * HOUR, NOW + HOUR), (NOW, NOW + 3 * HOUR), (None, NOW), (NOW, None)],
)
def test_a_window_that_reaches_out_of_what_was_read_stays(windows, start, end):
    windows.window(start, end)
    assert windows.cover() == 0
    assert windows.cover(Reach({}, None, None)) == 2


@pytest.mark.parametrize(
    ("start", "end"), [(NOW - HOUR, NOW + HOUR), (NOW, NOW + 2 * HOUR)]
)
def test_both_ends_of_what_was_read_belong_to_it(windows, start, end):
    windows.window(start, end)
    assert windows.cover() == 2


def test_all_that_a_source_has_is_every_window_but_not_what_it_no_longer_holds(windows):
    windows.window(None, None)
    whole = Reach({}, NOW + timedelta(seconds=1), None, whole=True)
    assert windows.cover(whole) == 1
    assert {row[1:3] for row in windows.rows()} == {(None, "superseded"), (NOW, "held")}
    assert windows.cover(replace(whole, start=NOW)) == 1


def test_other_series_of_the_source_were_not_read_again(windows):
    windows.window(station="a")
    assert windows.cover(replace(READ, part={"station": "b"})) == 0
    assert windows.cover() == 0
    assert windows.cover(replace(READ, part={"station": "a", "etag": "1"})) == 2


def test_a_partition_of_another_group_is_another_one(windows):
    windows.window()
    assert windows.cover(partition="pjm:p2") == 0
    assert windows.cover(partition="p2/a") == 2


def test_an_answer_from_before_a_row_was_held_settles_nothing(windows):
    windows.window()
    assert windows.cover(known_at=NOW - timedelta(seconds=1)) == 0


def test_a_window_that_the_ledger_does_not_know_is_left(windows):
    assert windows.cover(Reach({}, None, None, whole=True)) == 0
