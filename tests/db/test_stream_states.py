"""States of streams: one for each series and name, held by one at a time."""

import threading

import pytest

from db import stream_states
from db.stream_states import NewState
from tests.db import rows
from tests.db.patience import until
from tests.db.rows import AT

pytestmark = pytest.mark.servers


def state(series_id: int, packed=b"\x00\xff", **changes) -> NewState:
    given = {"format": 1, "settings": {"alpha": 0.1}, "points": 7, "upto": AT}
    return NewState(series_id=series_id, packed=packed, **{**given, **changes})


@pytest.fixture
def save(database, tenant_id):
    def run(*states: NewState, name="watch") -> None:
        with database.tenant(tenant_id) as connection:
            stream_states.save(
                connection, tenant_id=tenant_id, name=name, states=states, now=AT
            )

    return run


def load(database, tenant_id, *ids, name="watch") -> dict:
    with database.tenant(tenant_id) as connection:
        return stream_states.load(
            connection, tenant_id=tenant_id, series_ids=ids, name=name
        )


def test_what_was_saved_comes_back_and_a_second_write_replaces_it(
    database, tenant_id, save
):
    east = rows.series(database, tenant_id, "east")
    save(state(east))
    save(state(east, b"more", format=2, points=8, upto=AT.replace(hour=13)))
    found = load(database, tenant_id, east)[east]
    assert (found.packed, found.format, found.points) == (b"more", 2, 8)
    assert (found.version, found.upto.hour, found.settings) == (2, 13, {"alpha": 0.1})


def test_names_and_tenants_keep_states_apart(
    database, tenant_id, other_tenant_id, save
):
    east, west = (rows.series(database, tenant_id, one) for one in "ab")
    save(state(east), state(west, b"w"))
    save(state(east, b"n"), name="nightly")
    assert set(load(database, tenant_id, east, west)) == {east, west}
    assert set(load(database, tenant_id, east, west, name="nightly")) == {east}
    assert load(database, other_tenant_id, east) == {}
    with database.tenant(tenant_id) as connection:
        gone = stream_states.forget(connection, tenant_id=tenant_id, series_ids=[east])
    assert gone == 2
    assert set(load(database, tenant_id, east, west)) == {west}


def test_saving_nothing_is_no_statement(save):
    save()


def test_who_holds_a_state_that_is_not_there_yet_is_alone(database, tenant_id):
    east, west = (rows.series(database, tenant_id, one) for one in "ab")
    done = threading.Event()

    def other() -> None:
        with database.tenant(tenant_id) as connection:
            stream_states.hold(connection, series_ids=[west, east], name="watch")
        done.set()

    with database.tenant(tenant_id) as connection:
        stream_states.hold(connection, series_ids=[east, west], name="watch")
        with database.tenant(tenant_id) as second:
            stream_states.hold(second, series_ids=[east], name="nightly")
        thread = threading.Thread(target=other)
        thread.start()
        until(
            lambda: rows.owners_value(
                database,
                "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event = "
                "'advisory' AND datname = current_database()",
            )
        )
        assert not done.is_set()
    thread.join()
    assert done.is_set()


def test_a_state_and_its_anomalies_are_kept_or_lost_together(database, tenant_id, save):
    east = rows.series(database, tenant_id, "east")

    def fail() -> None:
        with database.tenant(tenant_id) as connection:
            stream_states.save(
                connection,
                tenant_id=tenant_id,
                name="watch",
                states=[state(east)],
                now=AT,
            )
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    assert load(database, tenant_id, east) == {}
