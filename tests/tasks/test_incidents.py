"""Anomalies become incidents in one transaction, whoever stores them and how often."""

import threading

import pytest

from db import incident_cases
from tasks.grouping import Grouping
from tasks.incidents import Settled, settle
from tests.db import rows
from tests.db.patience import until
from tests.db.rows import AT
from tests.tasks.sightings import HOUR, HOURLY, anomaly, listed, load, store

__all__ = ["listed", "load", "store"]

pytestmark = pytest.mark.servers


@pytest.fixture
def told(database, tenant_id):
    """The kinds of the tenant's events of incidents, in order."""

    def read() -> list[str]:
        query = (
            "SELECT array_agg(kind ORDER BY id) FROM job_events "
            "WHERE tenant_id = :tenant AND job_id IS NULL"
        )
        return rows.value(database, query, tenant=tenant_id) or []

    return read


def test_an_anomaly_opens_an_incident_and_the_same_again_changes_nothing(
    database, load, store, listed, told
):
    east = load("load.east", "load")
    first = store({east: [anomaly(0)]}, seen={east: 1})
    before = listed()
    assert [one.id for one in before] == first.opened
    (one,) = before
    assert (one.state, one.severity, one.anomalies, one.version) == (
        "open",
        "high",
        1,
        1,
    )
    assert one.dedup_key == "load.east|spike|2026-03-01T12:00:00Z"
    assert (one.scope, one.kinds, one.headline) == (
        "tag:load",
        ["spike"],
        "spike in load.east",
    )
    again = store({east: [anomaly(0)]}, seen={east: 1}, now=AT + HOUR)
    assert again == Settled([], [], [])
    assert listed() == before
    assert told() == ["incident.opened"]
    assert rows.value(database, "SELECT count(*) FROM incident_anomalies") == 1
    assert rows.value(database, "SELECT count(*) FROM incident_events") == 1


def test_what_shares_a_tag_and_lies_near_joins_what_does_not_opens_another(
    load, store, listed, told
):
    east, west, price = load("east", "load"), load("west", "load"), load("p", "price")
    (opened,) = store({east: [anomaly(0)]}).opened
    assert store({west: [anomaly(1.5, kind="dip")]}).updated == [opened]
    assert store({price: [anomaly(0)]}).opened != [opened]
    first, other = sorted(listed(), key=lambda one: -one.anomalies)
    assert (first.anomalies, first.kinds) == (2, ["spike", "dip"])
    assert first.last_seen_at == AT + 2.5 * HOUR
    assert (other.anomalies, other.scope) == (1, "tag:price")
    assert told() == ["incident.opened", "incident.updated", "incident.opened"]


def test_a_series_without_tags_is_alone_and_by_series_all_are(load, store, listed):
    bare, bald = load("bare"), load("bald")
    store({bare: [anomaly(0)], bald: [anomaly(0)]})
    assert {one.scope for one in listed()} == {"series:bare", "series:bald"}
    alone = Grouping(by="series")
    east, west = load("east", "load"), load("west", "load")
    store({east: [anomaly(0)], west: [anomaly(0)]}, grouping=alone)
    assert len(listed()) == 4


def test_only_the_tags_that_count_group(load, store, listed):
    east, west = load("east", "load", "pjm"), load("west", "load", "ercot")
    store(
        {east: [anomaly(0)], west: [anomaly(0)]},
        grouping=Grouping(tags=("pjm", "ercot")),
    )
    assert sorted(one.scope for one in listed()) == ["tag:ercot", "tag:pjm"]
    assert [one.scope for one in listed(tag="load", series="east")] == ["tag:pjm"]


def test_an_anomaly_between_two_incidents_makes_one_of_them(
    database, tenant_id, load, store, listed, told
):
    a, b, both = load("a", "x"), load("b", "y"), load("c", "x", "y")
    (first,) = store({a: [anomaly(0)]}).opened
    (second,) = store({b: [anomaly(0.5)]}).opened
    settled = store({both: [anomaly(1)]})
    assert (settled.updated, settled.resolved) == ([first], [second])
    by_id = {one.id: one for one in listed()}
    assert (by_id[first].anomalies, by_id[first].state) == (3, "open")
    assert (by_id[second].reason, by_id[second].merged_into) == ("merged", first)
    with database.tenant(tenant_id) as connection:
        stays = incident_cases.spans(
            connection, tenant_id=tenant_id, ids=[first, second]
        )
    assert [(one.incident_id, one.unique_id) for one in stays] == [
        (first, "a"),
        (first, "b"),
        (first, "c"),
    ]
    assert told()[2:] == ["incident.updated", "incident.resolved"]
    again = store({b: [anomaly(0.5)]})
    assert again == Settled([], [], [])


def test_what_is_bridged_in_one_batch_was_never_two(load, store, listed, told):
    a, b, both = load("a", "x"), load("b", "y"), load("c", "x", "y")
    store({a: [anomaly(0)], b: [anomaly(0.5)], both: [anomaly(1)]})
    (one,) = listed()
    assert one.anomalies == 3
    assert told() == ["incident.opened"]


def test_it_is_over_when_each_series_was_seen_without_an_anomaly_for_long_enough(
    load, store, listed, told
):
    east, west = load("east", "load"), load("west", "load")
    (opened,) = store({east: [anomaly(0)], west: [anomaly(0)]}).opened
    assert store(seen={east: 2.9, west: 9}).resolved == []
    assert listed()[0].version == 1
    assert store(seen={east: 3}).resolved == [opened]
    (one,) = listed()
    assert (one.state, one.reason, one.closed_at) == ("resolved", "recovered", AT)
    assert store(seen={east: 4}).resolved == []
    assert told() == ["incident.opened", "incident.resolved"]


def test_within_the_cooldown_it_is_opened_again_and_later_a_new_one(
    load, store, listed, told
):
    east = load("east", "load")
    (first,) = store({east: [anomaly(0)]}, seen={east: 3}).resolved
    assert store({east: [anomaly(5)]}, seen={east: 6}).updated == [first]
    (one,) = listed()
    assert (one.state, one.reopened, one.closed_at) == ("open", 1, None)
    store(seen={east: 8})
    (second,) = store({east: [anomaly(12.5)]}, seen={east: 14}).opened
    assert second != first
    assert told() == [
        *("incident.opened", "incident.resolved"),
        *("incident.updated", "incident.resolved", "incident.opened"),
    ]


def test_all_at_once_makes_the_same_incidents_as_one_by_one(load, store, listed):
    east, west = load("east", "load"), load("west", "load")
    other, more = load("e2", "gas"), load("w2", "gas")
    hours = [0, 1, 5, 20, 20.5, 21.5, 40, 45]
    pairs = [
        ((east, west)[n % 2], (other, more)[n % 2], at) for n, at in enumerate(hours)
    ]
    for one, _, at in pairs:
        store({one: [anomaly(at)]}, seen={east: at, west: at})
    store(seen={east: 50, west: 50})
    batch: dict[int, list] = {other: [], more: []}
    for _, one, at in pairs:
        batch[one].append(anomaly(at))
    store(batch, seen={other: 50, more: 50})

    def shape(tag: str) -> list[tuple]:
        names = ("state", "start_at", "last_seen_at", "anomalies", "reopened")
        return [tuple(getattr(one, n) for n in names) for one in listed(tag=tag)]

    assert shape("load") == shape("gas")
    assert len(shape("load")) == 3


def test_an_anomaly_that_goes_on_grows_and_nobody_is_told_of_each_step(
    database, load, store, listed, told
):
    east = load("east", "load")
    for hours in (1, 2, 3):
        store({east: [anomaly(0, hours=hours)]}, seen={east: hours})
    (one,) = listed()
    assert (one.anomalies, one.last_seen_at) == (1, AT + 3 * HOUR)
    assert told() == ["incident.opened"]
    store({east: [anomaly(1, hours=1)]})
    ends = rows.value(database, "SELECT end_at - start_at FROM incident_anomalies")
    assert ends == 3 * HOUR
    store({east: [anomaly(0, hours=4, severity="critical")]}, seen={east: 4})
    assert listed()[0].severity == "critical"
    assert told() == ["incident.opened", "incident.updated"]


def test_two_workers_that_store_at_once_make_one_incident(
    database, tenant_id, load, store, listed, told
):
    series = [load(f"s{n}", "load") for n in range(6)]
    barrier = threading.Barrier(len(series))
    faults: list[BaseException] = []

    def work(number: int) -> None:
        try:
            barrier.wait(10)
            store({number: [anomaly(0.1 * series.index(number))]})
        except BaseException as error:  # noqa: BLE001 - told by the test itself
            faults.append(error)

    threads = [threading.Thread(target=work, args=(one,)) for one in series]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    (one,) = listed()
    assert (one.anomalies, one.version) == (6, 6)
    assert sorted(told()) == ["incident.opened"] + ["incident.updated"] * 5


def test_the_same_anomaly_stored_by_two_workers_at_once_is_one(
    database, tenant_id, load, store, listed, told
):
    east = load("east", "load")
    second: list[Settled] = []
    with database.tenant(tenant_id) as connection:
        settle(
            connection,
            tenant_id=tenant_id,
            found={east: [anomaly(0)]},
            seen={},
            grouping=HOURLY,
            now=AT,
        )
        thread = threading.Thread(
            target=lambda: second.append(store({east: [anomaly(0)]}))
        )
        thread.start()
        until(
            lambda: rows.owners_value(
                database,
                "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event = "
                "'advisory' AND datname = current_database()",
            )
        )
        assert second == []
    thread.join()
    assert second == [Settled([], [], [])]
    assert len(listed()) == 1
    assert told() == ["incident.opened"]


def test_what_is_rolled_back_leaves_no_trace(database, tenant_id, load, listed, told):
    east = load("east", "load")

    def fail() -> None:
        with database.tenant(tenant_id) as connection:
            settle(
                connection,
                tenant_id=tenant_id,
                found={east: [anomaly(0)]},
                seen={},
                grouping=HOURLY,
                now=AT,
            )
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    assert (listed(), told()) == ([], [])


def test_another_tenant_s_series_of_the_same_tag_is_another_matter(
    database, tenant_id, other_tenant_id, load, store, listed
):
    store({load("east", "load"): [anomaly(0)]})
    theirs = rows.series(database, other_tenant_id, "east")
    with database.tenant(other_tenant_id) as connection:
        settle(
            connection,
            tenant_id=other_tenant_id,
            found={theirs: [anomaly(0)]},
            seen={},
            grouping=HOURLY,
            now=AT,
        )
    assert [one.anomalies for one in listed()] == [1]


def test_an_unknown_severity_counts_as_the_lowest(load, store, listed):
    store({load("east"): [anomaly(0, severity="odd")]})
    assert listed()[0].severity == "low"


def test_a_grouping_in_which_the_over_could_be_joined_is_refused():
    with pytest.raises(ValueError, match="over before"):
        Grouping(join_s=10, recover_s=5)
    with pytest.raises(ValueError, match="by tag or by series"):
        Grouping(by="colour")
