"""Entries, versions that stay as they are, and the one champion of each entry."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError, ProgrammingError

from db import audit, registry
from db.registry import Move
from tests.db import rows, trained
from tests.db.hooks import waits_for_a_lock
from tests.db.patience import until

pytestmark = pytest.mark.servers

NAME = "load-day-ahead"
MOVE = Move(
    act="promote",
    done=True,
    forced=False,
    from_version=None,
    to_version=1,
    reason="better",
    verdict={"passed": True, "checks": []},
    job_id="job_x",
    key_id="key_x",
)


@pytest.fixture
def crown(database, tenant_id):
    def run(number: int, name: str = NAME) -> None:
        with database.tenant(tenant_id) as connection:
            entry = registry.hold(connection, tenant_id=tenant_id, name=name)
            registry.crown(
                connection, tenant_id=tenant_id, entry_id=entry.id, to=number
            )

    return run


def find(database, tenant_id, number, name=NAME):
    with database.tenant(tenant_id) as connection:
        return registry.version(
            connection, tenant_id=tenant_id, name=name, number=number
        )


def entry(database, tenant_id, name=NAME):
    with database.tenant(tenant_id) as connection:
        return registry.find(connection, tenant_id=tenant_id, name=name)


def test_versions_are_numbered_from_one_in_each_entry(database, tenant_id):
    assert [trained.add(database, tenant_id) for _ in range(3)] == [1, 2, 3]
    assert trained.add(database, tenant_id, "other") == 1
    found = entry(database, tenant_id)
    assert (found.name, found.latest, found.champion) == (NAME, 3, None)


def test_a_version_is_read_as_it_was_written(database, tenant_id):
    awkward = {"mase": 0.1 + 0.2, "crps": None, "mae": 1e-300}
    compared = {"version": 1, "metrics": {"mase": 1 / 3}}
    new = trained.new(metrics=awkward, compared=compared, quantiles=[0.1, 1 / 3])
    with database.tenant(tenant_id) as connection:
        registry.add(connection, tenant_id=tenant_id, name=NAME, new=new)
    found = find(database, tenant_id, 1)
    assert (found.entry, found.number, found.stage) == (NAME, 1, "challenger")
    assert {name: getattr(found, name) for name in vars(new)} == vars(new)
    assert list(found.params) == list(new.params)


def test_a_number_taken_back_is_given_again(database, tenant_id):
    def fail() -> None:
        with database.tenant(tenant_id) as connection:
            registry.add(connection, tenant_id=tenant_id, name=NAME, new=trained.new())
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert trained.add(database, tenant_id) == 1


def test_two_that_register_at_once_get_two_numbers(database, tenant_id):
    trained.add(database, tenant_id)
    with ThreadPoolExecutor() as pool:
        with database.tenant(tenant_id) as connection:
            first = registry.add(
                connection, tenant_id=tenant_id, name=NAME, new=trained.new()
            )
            other = pool.submit(trained.add, database, tenant_id)
            until(lambda: waits_for_a_lock(database))
        assert (first, other.result()) == (2, 3)


def test_crowning_archives_the_champion_and_the_older_challengers(
    database, tenant_id, crown
):
    for _ in range(5):
        trained.add(database, tenant_id)
    crown(1)
    crown(4)
    assert trained.stages(database, tenant_id) == {
        **dict.fromkeys((1, 2, 3), "archived"),
        4: "champion",
        5: "challenger",
    }
    assert find(database, tenant_id, "champion").number == 4
    assert entry(database, tenant_id).champion == 4
    crown(1)
    assert trained.stages(database, tenant_id) == {
        1: "champion",
        **dict.fromkeys((2, 3, 4), "archived"),
        5: "challenger",
    }


def test_two_champions_of_an_entry_are_impossible(database, tenant_id, crown):
    for _ in range(2):
        trained.add(database, tenant_id)
    crown(1)
    with pytest.raises(IntegrityError, match="uq_registry_versions_champion"):
        rows.change(
            database, "UPDATE registry_versions SET stage = 'champion' WHERE number = 2"
        )
    trained.add(database, tenant_id, "other")
    crown(1, "other")


@pytest.mark.parametrize(
    "change", ["metrics = '{}'", "artifact_sha256 = 'x'", "number = 9", "seed = 1"]
)
def test_nothing_of_a_version_but_its_stage_can_be_changed(database, tenant_id, change):
    trained.add(database, tenant_id)
    refusal = pytest.raises(ProgrammingError, match="permission denied")
    with refusal, database.tenant(tenant_id) as connection:
        connection.execute(sa.text(f"UPDATE registry_versions SET {change}"))


def test_who_holds_an_entry_sees_what_the_one_before_did(database, tenant_id, crown):
    for _ in range(2):
        trained.add(database, tenant_id)

    def look() -> int | None:
        with database.tenant(tenant_id) as connection:
            return registry.hold(connection, tenant_id=tenant_id, name=NAME).champion

    with ThreadPoolExecutor() as pool:
        with database.tenant(tenant_id) as connection:
            held = registry.hold(connection, tenant_id=tenant_id, name=NAME)
            waiting = pool.submit(look)
            until(lambda: waits_for_a_lock(database))
            registry.crown(connection, tenant_id=tenant_id, entry_id=held.id, to=2)
        assert waiting.result() == 2


def test_what_is_not_there_is_none(database, tenant_id):
    assert entry(database, tenant_id) is None
    for number in (1, "champion"):
        assert find(database, tenant_id, number) is None
    with database.tenant(tenant_id) as connection:
        assert registry.hold(connection, tenant_id=tenant_id, name=NAME) is None
        assert list(registry.digests(connection, tenant_id=tenant_id)) == []


def test_entries_come_in_pages_by_name(database, tenant_id, crown):
    names = ["a", "b-1", "b.2", "c"]
    for name in reversed(names):
        trained.add(database, tenant_id, name)
    crown(1, "c")
    seen, after = [], None
    while True:
        with database.tenant(tenant_id) as connection:
            page = registry.page(connection, tenant_id=tenant_id, after=after, limit=2)
        if not page:
            break
        seen += page
        after = page[-1].name
    assert sorted(one.name for one in seen) == names
    assert {one.name: one.champion for one in seen} == {
        **dict.fromkeys(names[:3]),
        "c": 1,
    }


def test_versions_come_in_pages_the_newest_first(database, tenant_id):
    for _ in range(5):
        trained.add(database, tenant_id)
    with database.tenant(tenant_id) as connection:

        def page(before: int | None) -> list[int]:
            found = registry.versions(
                connection, tenant_id=tenant_id, name=NAME, before=before, limit=2
            )
            return [one.number for one in found]

        assert [page(None), page(4), page(2)] == [[5, 4], [3, 2], [1]]


def test_the_history_has_every_move_and_the_reigns_only_what_was_done(
    database, tenant_id
):
    for _ in range(2):
        trained.add(database, tenant_id)
    entry_id = entry(database, tenant_id).id
    given = [
        MOVE,
        replace(MOVE, from_version=1, to_version=2, done=False, key_id=None),
        replace(MOVE, act="rollback", from_version=2, verdict=None, reason=""),
    ]
    with database.tenant(tenant_id) as connection:
        for move in given:
            registry.record(
                connection, tenant_id=tenant_id, entry_id=entry_id, move=move
            )
        found = registry.moves(
            connection, tenant_id=tenant_id, entry_id=entry_id, before=None, limit=9
        )
        assert [replace(one, id=0, at=None) for one in found] == given[::-1]
        older = registry.moves(
            connection,
            tenant_id=tenant_id,
            entry_id=entry_id,
            before=found[1].id,
            limit=9,
        )
        assert older == found[2:]
        reigns = registry.reigns(connection, tenant_id=tenant_id, entry_id=entry_id)
    assert reigns == [("promote", 1), ("rollback", 1)]


def test_the_key_that_asked_is_found_in_the_audit(database, tenant_id):
    with database.tenant(tenant_id) as connection:
        for job_id in ("job_1", "job_2"):
            audit.record(
                connection,
                tenant_id=tenant_id,
                key_id=f"key of {job_id}",
                action="model.promote.ask",
                target=NAME,
                detail={"job_id": job_id},
            )
        given = {"tenant_id": tenant_id, "action": "model.promote.ask", "name": NAME}
        assert registry.asked_by(connection, job_id="job_1", **given) == "key of job_1"
        assert registry.asked_by(connection, job_id="job_3", **given) is None


def test_entries_of_the_same_name_are_one_s_own(
    database, tenant_id, other_tenant_id, crown
):
    trained.add(database, tenant_id)
    trained.add(database, other_tenant_id)
    crown(1)
    assert trained.stages(database, tenant_id) == {1: "champion"}
    assert trained.stages(database, other_tenant_id) == {1: "challenger"}
    assert entry(database, other_tenant_id).champion is None
