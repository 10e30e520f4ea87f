"""Promotion and rollback as transactions: compared before set, told, and repeatable."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import settings as sometimes
from hypothesis import strategies as st
from sqlalchemy import text

from db import audit, registry
from tasks import champions
from tasks.champions import NO_CHAMPION, Wish, judge, previous
from tasks.errors import InvalidData
from tasks.gate import Rules
from tests.db import trained
from tests.db.hooks import waits_for_a_lock
from tests.db.patience import until

NAME = "load-day-ahead"
ANYTHING = Rules(same_evaluation=False, tolerance_percent=100)


@pytest.fixture
def promote(database, tenant_id):
    def run(number: int, *, rules=ANYTHING, force=False, **wish) -> dict:
        given = {"name": NAME, "job_id": f"job_{number}", **wish}
        with database.tenant(tenant_id) as connection:
            return champions.promote(
                connection,
                tenant_id=tenant_id,
                wish=Wish(**given),
                number=number,
                rules=rules,
                force=force,
            )

    return run


@pytest.fixture
def roll_back(database, tenant_id):
    def run(**wish) -> dict:
        given = {"name": NAME, "job_id": "job_back", **wish}
        with database.tenant(tenant_id) as connection:
            return champions.roll_back(
                connection, tenant_id=tenant_id, wish=Wish(**given)
            )

    return run


@pytest.fixture
def history(database, tenant_id):
    def read() -> list[tuple]:
        with database.tenant(tenant_id) as connection:
            entry = registry.find(connection, tenant_id=tenant_id, name=NAME)
            found = registry.moves(
                connection,
                tenant_id=tenant_id,
                entry_id=entry.id,
                before=None,
                limit=99,
            )
        return [(one.act, one.from_version, one.to_version, one.done) for one in found]

    return read


@pytest.fixture
def acts(database, tenant_id):
    def read() -> list[audit.Entry]:
        with database.tenant(tenant_id) as connection:
            return audit.page(connection, tenant_id=tenant_id, before=None, limit=99)

    return read


@pytest.fixture
def three(database, tenant_id) -> None:
    for _ in range(3):
        trained.add(database, tenant_id)


def champion(database, tenant_id) -> int | None:
    with database.tenant(tenant_id) as connection:
        return registry.find(connection, tenant_id=tenant_id, name=NAME).champion


@pytest.mark.servers
def test_a_first_version_becomes_the_champion_by_its_skill(
    three, promote, history, acts
):
    told = promote(2, rules=Rules(), reason="the first")
    assert told == {
        "name": NAME,
        "version": 2,
        "changed": True,
        "refused": False,
        "champion": 2,
        "former": None,
        "forced": False,
        "gate": told["gate"],
    }
    assert told["gate"]["passed"]
    assert history() == [("promote", None, 2, True)]
    (act,) = acts()
    assert (act.action, act.target, act.key_id) == ("model.promote", NAME, None)
    assert act.detail == {
        "job_id": "job_2",
        "from": None,
        "to": 2,
        "forced": False,
        "reason": "the first",
    }


@pytest.mark.servers
def test_promoting_the_champion_again_changes_and_notes_nothing(
    three, promote, history, acts
):
    promote(2)
    again = promote(2, expected=NO_CHAMPION)
    assert (again["changed"], again["refused"], again["champion"]) == (False, False, 2)
    assert len(history()) == len(acts()) == 1


@pytest.mark.servers
def test_a_refusal_changes_nothing_and_is_noted(
    database, tenant_id, promote, history, acts
):
    trained.add(database, tenant_id)
    trained.add(database, tenant_id, metrics={"mase": None})
    promote(1)
    told = promote(2, reason="hope")
    assert (told["changed"], told["refused"], told["champion"]) == (False, True, 1)
    assert told["former"] is None
    assert [one["detail"] for one in told["gate"]["checks"] if not one["passed"]] == [
        "mase is missing"
    ]
    assert champion(database, tenant_id) == 1
    assert history()[0] == ("promote", 1, 2, False)
    assert acts()[0].action == "model.promote.refused"


@pytest.mark.servers
def test_force_promotes_what_the_gate_refuses_and_says_that_it_did(
    database, tenant_id, promote, acts
):
    trained.add(database, tenant_id, metrics={"skill_vs_naive": -0.5})
    assert promote(1, rules=Rules())["refused"]
    told = promote(1, rules=Rules(), force=True, reason="the only one there is")
    assert (told["changed"], told["forced"]) == (True, True)
    assert told["gate"]["passed"] is False
    assert acts()[0].detail["forced"] is True
    assert acts()[0].detail["reason"] == "the only one there is"
    trained.add(database, tenant_id)
    assert promote(2, force=True)["forced"] is False


@pytest.mark.servers
@pytest.mark.parametrize("expected", [NO_CHAMPION, 2, 9])
def test_another_champion_than_expected_stops_a_promotion(
    three, promote, roll_back, history, expected
):
    promote(1)
    with pytest.raises(InvalidData, match="is version 1, not") as caught:
        promote(3, expected=expected, force=True)
    assert caught.value.errors[0].pointer == "/params/expected"
    with pytest.raises(InvalidData, match="is version 1, not"):
        roll_back(expected=9)
    assert len(history()) == 1
    assert promote(3, expected=1)["former"] == 1


@pytest.mark.servers
def test_of_two_promotions_that_expect_the_same_one_wins(
    database, tenant_id, three, promote
):
    promote(1)
    with ThreadPoolExecutor() as pool:
        with database.tenant(tenant_id) as connection:
            champions.promote(
                connection,
                tenant_id=tenant_id,
                wish=Wish(name=NAME, job_id="job_2", expected=1),
                number=2,
                rules=ANYTHING,
            )
            other = pool.submit(promote, 3, expected=1)
            until(lambda: waits_for_a_lock(database))
        with pytest.raises(InvalidData, match="is version 2, not version 1"):
            other.result()
    assert champion(database, tenant_id) == 2


@pytest.mark.servers
def test_rolling_back_goes_one_reign_back_each_time(
    database, tenant_id, promote, roll_back, history, acts
):
    for _ in range(3):
        trained.add(database, tenant_id)
    for number in (1, 2, 3):
        promote(number)
    told = roll_back(expected=3, reason="it drifts")
    assert (told["version"], told["former"], told["changed"]) == (2, 3, True)
    assert told["gate"] is None
    again = roll_back(expected=3)
    assert (again["version"], again["changed"]) == (2, False)
    assert roll_back()["champion"] == 1
    with pytest.raises(InvalidData, match="no champion before version 1"):
        roll_back()
    assert history()[:2] == [("rollback", 2, 1, True), ("rollback", 3, 2, True)]
    assert [act.action for act in acts()][:2] == ["model.rollback"] * 2
    assert trained.stages(database, tenant_id) == {
        1: "champion",
        2: "archived",
        3: "archived",
    }


@pytest.mark.servers
def test_a_champion_that_came_back_by_promotion_is_rolled_back_to_who_was_before(
    three, promote, roll_back
):
    for number in (1, 2, 1):
        promote(number)
    assert [roll_back()["champion"] for _ in range(2)] == [2, 1]


@pytest.mark.servers
def test_a_refused_promotion_is_no_reign(database, tenant_id, promote, roll_back):
    trained.add(database, tenant_id)
    trained.add(database, tenant_id)
    trained.add(database, tenant_id, metrics={"coverage": None})
    for number in (1, 2, 3):
        promote(number)
    assert roll_back(expected=2)["champion"] == 1
    assert promote(3)["refused"]
    assert roll_back(expected=2)["changed"] is False


@pytest.mark.servers
def test_what_is_not_there_is_said_with_its_field(promote, roll_back, three):
    for call, pointer in (
        (lambda: promote(9), "/params/version"),
        (lambda: promote(1, name="nobody"), "/params/name"),
        (lambda: roll_back(name="nobody"), "/params/name"),
        (roll_back, "/params/name"),
    ):
        with pytest.raises(InvalidData) as caught:
            call()
        assert caught.value.errors[0].pointer == pointer


@pytest.mark.servers
def test_the_key_that_asked_for_the_job_is_in_history_and_audit(
    database, tenant_id, three, promote, acts
):
    with database.tenant(tenant_id) as connection:
        audit.record(
            connection,
            tenant_id=tenant_id,
            key_id="key_of_ada",
            action="model.promote.ask",
            target=NAME,
            detail={"job_id": "job_1"},
        )
    promote(1)
    assert acts()[0].key_id == "key_of_ada"
    with database.tenant(tenant_id) as connection:
        found = connection.scalar(text("SELECT key_id FROM registry_moves"))
    assert found == "key_of_ada"


def version(number: int, **changes) -> registry.Version:
    new = trained.new(**changes)
    return registry.Version(
        **vars(new), entry=NAME, number=number, stage="x", created_at=new.window_end
    )


def test_versions_of_the_same_evaluation_are_compared_by_their_own_metrics():
    worse, better = version(2, metrics={"mase": 1.5}), version(1)
    assert not judge(worse, better, Rules()).passed
    assert judge(better, worse, Rules()).passed


def test_a_champion_measured_anew_is_compared_by_that():
    champion = version(1, metrics={"mase": 0.1}, evaluation={"end": "long ago"})
    seen = {"version": 1, "metrics": {"mase": 1.2}}
    assert judge(version(2, compared=seen), champion, Rules()).passed
    worse = version(2, compared=seen, metrics={"mase": 1.3})
    assert "the champion's 1.2" in judge(worse, champion, Rules()).faults()


@pytest.mark.parametrize(
    ("evaluation", "compared"),
    [
        ({"end": "now"}, None),
        ({}, None),
        ({"end": "now"}, {"version": 3, "metrics": {"mase": 9.0}}),
    ],
)
def test_metrics_of_different_windows_are_not_compared_unless_allowed(
    evaluation, compared
):
    candidate = version(2, evaluation=evaluation, compared=compared)
    champion = version(1, evaluation=evaluation and {"end": "long ago"})
    verdict = judge(candidate, champion, Rules())
    assert verdict.faults() == (
        "version 2 and champion 1 were not measured on the same windows"
    )
    assert judge(candidate, champion, Rules(same_evaluation=False)).passed


@sometimes(deadline=None, max_examples=200)
@given(
    st.lists(st.integers(1, 5)).map(
        lambda found: [
            one for at, one in enumerate(found) if found[at - 1 : at] != [one]
        ]
    )
)
def test_rollbacks_retrace_the_promotions_in_reverse(promoted):
    reigns = [("promote", number) for number in promoted]
    for expected in promoted[-2::-1] if len(promoted) > 1 else []:
        assert previous(reigns) == expected
        reigns.append(("rollback", expected))
    assert previous(reigns) == NO_CHAMPION
