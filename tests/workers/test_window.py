"""How many messages a queue may hold unclaimed."""

from hypothesis import given, settings
from hypothesis import strategies as st

from workers.window import Window


def _window(slots: int, most: int = 100) -> Window:
    window = Window(most=most)
    window.slots = slots
    return window


def test_a_queue_without_workers_holds_two():
    assert _window(0).room(unclaimed=0, now=0.0) == 2


def test_a_quiet_queue_holds_one_beside_each_slot():
    assert _window(8).room(unclaimed=0, now=0.0) == 9
    assert _window(8).room(unclaimed=5, now=0.0) == 4
    assert _window(8).room(unclaimed=20, now=0.0) == 0


def test_what_is_claimed_fast_widens_the_window_for_a_second():
    window = _window(2)
    window.room(unclaimed=0, now=0.0)
    window.sent(22)
    assert window.room(unclaimed=0, now=0.1) == 3 + 10
    assert window.size(1.0) == 13
    assert window.size(1.11) == 3


def test_slots_that_were_idle_and_took_a_message_each_do_not_widen_it():
    window = _window(10)
    window.room(unclaimed=0, now=0.0)
    window.sent(10)
    assert window.room(unclaimed=0, now=0.1) == 11


def test_more_than_was_sent_is_no_claim():
    window = _window(1)
    window.room(unclaimed=0, now=0.0)
    assert window.room(unclaimed=50, now=0.1) == 0
    assert window.size(0.1) == 2


@settings(deadline=None)
@given(
    slots=st.integers(0, 50),
    most=st.integers(1, 60),
    steps=st.lists(
        st.tuples(st.integers(0, 200), st.floats(0, 0.7), st.integers(0, 100)),
        max_size=20,
    ),
)
def test_the_window_stays_between_its_least_and_its_most(slots, most, steps):
    window = _window(slots, most)
    now = 0.0
    for unclaimed, passed, sent in steps:
        now += passed
        room = window.room(unclaimed=unclaimed, now=now)
        assert min(most, max(2, slots + 1)) <= window.size(now) <= most
        assert room == max(0, window.size(now) - unclaimed)
        window.sent(min(sent, room))
