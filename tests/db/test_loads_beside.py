"""Two loads at the same time: what they leave is what one after the other leaves."""

import threading
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.db import loading
from tests.db.loading import DAY, NOW, effect
from tests.db.naive_observations import NaiveStore

pytestmark = pytest.mark.servers

HOURS = st.integers(0, 3)
VALUES = st.sampled_from([1.0, 2.0, 3.0])
PUBLISHED = st.sampled_from([NOW - DAY, NOW + DAY, NOW + 2 * DAY])
PLAIN = st.tuples(st.sampled_from("abc"), HOURS, VALUES, st.none(), st.none())
SAID = st.tuples(st.sampled_from("abc"), HOURS, VALUES, PUBLISHED, st.none())
ROWS = st.lists(PLAIN, max_size=8) | st.lists(PLAIN | SAID, max_size=8)


@given(before=ROWS, one=ROWS, other=ROWS)
@settings(
    deadline=None,
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_two_loads_beside_each_other_end_as_some_order_of_them(
    database, tenant_id, before, one, other
):
    loading.emptied(database)
    loading.load(database, tenant_id, before, said=True)
    nows = (NOW + 5 * DAY, NOW + 5 * DAY + timedelta(hours=1))
    found = _at_once(database, tenant_id, [*zip((one, other), nows, strict=True)])
    left = loading.versions(database), loading.current(database)
    orders = [_in_turn(before, one, other, nows, order) for order in ((0, 1), (1, 0))]
    assert (*found, *left) in orders


def _at_once(database, tenant_id, loads) -> list:
    """Load in two threads that start together; return the counts of both."""
    ready = threading.Barrier(len(loads))
    found: list = [None] * len(loads)

    def run(number, rows, now):
        ready.wait()
        loaded = loading.load(database, tenant_id, rows, said=True, now=now)
        found[number] = effect(loaded)

    threads = [
        threading.Thread(target=run, args=(number, *load))
        for number, load in enumerate(loads)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def _in_turn(before, one, other, nows, order) -> tuple:
    """What the dictionaries hold after one order of the loads, and their counts."""
    store = NaiveStore()
    store.load(before, now=NOW)
    counts = {
        number: store.load((one, other)[number], now=nows[number]).all()
        for number in order
    }
    return counts[0], counts[1], store.versions(), store.current()
