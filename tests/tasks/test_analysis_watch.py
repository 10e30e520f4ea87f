"""``analysis.watch``: new observations are scored once, and incidents follow."""

import json
import threading
from datetime import UTC, datetime, timedelta

import numpy as np
import orjson
import pytest
from pydantic import ValidationError
from sqlalchemy import text

from db import analyses, feedback, incidents, series, sources, stream_states
from tasks.analysis_watch import WatchParams, analysis_watch, as_table
from tasks.errors import InvalidData
from tests.db import rows
from tests.fakes import FakeContext
from tests.tasks.series import HOUR, START, store

pytestmark = pytest.mark.servers
HISTORY = 600


def usual(count: int) -> list[float]:
    noise = np.random.default_rng(7).normal(size=count)
    cycle = 10 * np.sin(np.arange(count) * np.pi / 12)
    return (cycle + noise).tolist()


@pytest.fixture
def watch(database, tenant_id):
    """Run a watch as a worker does: the handler, then the transaction at its end."""

    def run(*, lost: bool = False, **given) -> dict:
        given.setdefault("series", ["a"])
        params = WatchParams.model_validate(given)
        context = FakeContext(tenant_id=tenant_id, database=database, job_id=job())
        outcome = analysis_watch(params, context)
        assert outcome.store is not None
        with database.tenant(tenant_id) as connection:
            added = outcome.store(connection)
            if lost:
                message = "gone before the commit"
                raise RuntimeError(message)
        return json.loads(orjson.dumps({**outcome.result, **added}))

    def job() -> str:
        return rows.queued(database, tenant_id)

    return run


@pytest.fixture
def observed(database, tenant_id):
    """Store hourly values of a series from a place on."""

    def put(values: list[float], *, at: int = 0, key: str = "a") -> None:
        store(database, tenant_id, key, values, first=at)

    return put


def one(result: dict) -> dict:
    (found,) = result["series"]
    return found


def test_the_first_look_learns_and_reports_nothing(watch, observed):
    values = usual(HISTORY)
    values[300] = 99.0
    observed(values)
    found = one(watch())
    assert (found["points"], found["anomalies"]) == (0, [])
    assert found["remark"] == "learnt from its history"
    upto = (START + HISTORY * HOUR).isoformat().replace("+00:00", "Z")
    assert found["upto"] == upto


def test_what_is_new_is_scored_once_and_opens_an_incident(
    watch, observed, database, tenant_id
):
    observed(usual(HISTORY))
    watch()
    observed([99.0], at=HISTORY)
    result = watch()
    (anomaly,) = one(result)["anomalies"]
    assert (anomaly["kind"], anomaly["direction"], anomaly["value"]) == (
        "spike",
        "up",
        99.0,
    )
    assert anomaly["evidence"]["threshold"] < 99
    (opened,) = result["incidents"]["opened"]
    assert watch()["series"] == []
    with database.tenant(tenant_id) as connection:
        found = incidents.find(connection, tenant_id=tenant_id, incident_id=opened)
        kept = series.find(connection, tenant_id=tenant_id, key="a")
        assert found is not None
        assert kept is not None
        stored = analyses.of_series(
            connection, tenant_id=tenant_id, series_id=kept.id, before=None, limit=9
        )
    assert found.state == "open"
    assert [one["kind"] for one in stored] == ["spike"]


def test_an_incident_ends_when_the_series_has_been_usual_for_long_enough(
    watch, observed
):
    values = usual(HISTORY + 48)
    observed(values[:HISTORY])
    watch()
    observed([99.0], at=HISTORY)
    (opened,) = watch()["incidents"]["opened"]
    observed(values[HISTORY + 1 :], at=HISTORY + 1)
    assert watch()["incidents"]["resolved"] == [opened]


def test_points_that_come_one_by_one_are_judged_as_those_that_come_at_once(
    watch, observed
):
    values = usual(HISTORY + 8)
    values[HISTORY + 3] = 60.0
    for key in ("a", "b"):
        observed(values[:HISTORY], key=key)
    watch(series=["a", "b"])
    singly = []
    for at in range(HISTORY, HISTORY + 8):
        observed([values[at]], at=at, key="a")
        singly += one(watch(series=["a"]))["anomalies"]
    observed(values[HISTORY:], at=HISTORY, key="b")
    together = one(watch(series=["b"]))["anomalies"]
    assert singly == together
    assert singly


def test_two_watches_at_once_report_an_anomaly_once(
    watch, observed, database, tenant_id
):
    observed(usual(HISTORY))
    watch()
    observed([99.0], at=HISTORY)
    barrier = threading.Barrier(2)
    results: list[dict] = []

    def race() -> None:
        barrier.wait()
        results.append(watch())

    racers = [threading.Thread(target=race) for _ in range(2)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    told = [
        anomaly
        for result in results
        for item in result["series"]
        for anomaly in item["anomalies"]
    ]
    assert len(told) == 1
    with database.tenant(tenant_id) as connection:
        assert connection.scalar(text("SELECT count(*) FROM anomalies")) == 1
        assert connection.scalar(text("SELECT count(*) FROM incidents")) == 1


def test_a_rolled_back_look_leaves_nothing_and_can_be_repeated(watch, observed):
    observed(usual(HISTORY))
    watch()
    observed([99.0], at=HISTORY)
    with pytest.raises(RuntimeError, match="gone before the commit"):
        watch(lost=True)
    assert len(one(watch())["anomalies"]) == 1


def test_a_state_that_cannot_be_read_is_learnt_anew_and_misses_nothing(
    watch, observed, database, tenant_id
):
    observed(usual(HISTORY))
    watch()
    with database.tenant(tenant_id) as connection:
        connection.execute(text("UPDATE stream_states SET format = 0"))
    observed([99.0], at=HISTORY)
    found = one(watch())
    assert found["remark"] == "learnt from its history"
    assert [anomaly["kind"] for anomaly in found["anomalies"]] == ["spike"]


def test_a_level_that_stays_is_told_once_with_its_begin(watch, observed):
    values = usual(HISTORY + 48)
    observed(values[:HISTORY])
    watch()
    moved = [value + 15.0 for value in values[HISTORY:]]
    found = []
    for at, value in enumerate(moved):
        observed([value], at=HISTORY + at)
        found += one(watch())["anomalies"]
    (shift,) = [each for each in found if each["kind"] == "level_shift"]
    begun = datetime.fromisoformat(shift["start"]) - START
    assert abs(begun / HOUR - HISTORY) <= 6
    assert shift["direction"] == "up"
    assert shift["evidence"]["rule"] == "lasting_change"
    assert shift["explanation"].startswith("Since 2026-01-2")


def test_what_people_say_of_a_series_counts_from_then_on(
    watch, observed, database, tenant_id
):
    observed(usual(HISTORY))
    watch()
    observed([99.0], at=HISTORY)
    assert one(watch())["anomalies"]
    with database.tenant(tenant_id) as connection:
        kept = series.find(connection, tenant_id=tenant_id, key="a")
        assert kept is not None
        feedback.add(
            connection,
            tenant_id=tenant_id,
            new=feedback.NewLabel(
                series_id=kept.id,
                start_at=START + HISTORY * HOUR,
                end_at=START + (HISTORY + 1) * HOUR,
                label="false",
            ),
            now=datetime(2026, 3, 1, tzinfo=UTC),
        )
    observed([98.0], at=HISTORY + 1)
    assert one(watch(name="deaf", use_feedback=False))["anomalies"] == []
    assert one(watch())["anomalies"] == []


def test_a_row_of_a_far_year_does_not_blind_the_watch(watch, observed):
    observed(usual(HISTORY))
    watch()
    observed([1.0], at=10 * 8_760)
    watch()
    observed([99.0], at=HISTORY)
    assert [found["kind"] for found in one(watch())["anomalies"]] == ["spike"]


@pytest.mark.parametrize("frequency", [None, "1h"])
def test_a_row_between_the_steps_is_left_out_and_said(
    watch, observed, database, tenant_id, frequency
):
    observed(usual(HISTORY))
    if frequency:
        observe_as(database, tenant_id, frequency)
    # The first of all, and one in the middle.
    observed([5.0], at=-0.9)
    observed([5.0], at=200.5)
    said = one(watch())
    assert said["remark"].startswith("learnt from its history; 2 observations that")
    assert said["remark"].endswith("the latest at 2026-01-09T08:30:00Z")
    observed([50.0], at=HISTORY + 0.2)
    assert watch()["series"] == []
    observed([1.0, 99.0], at=HISTORY + 1)
    said = one(watch())
    assert (said["points"], said["remark"].split(" ")[0]) == (2, "1")
    assert [found["kind"] for found in said["anomalies"]] == ["spike"]
    observed([1.0], at=HISTORY + 3)
    assert one(watch())["remark"] == ""


def observe_as(database, tenant_id, frequency):
    with database.tenant(tenant_id) as connection:
        connection.execute(
            text("UPDATE series SET frequency = :frequency"), {"frequency": frequency}
        )


def test_a_series_that_moves_to_another_grid_is_no_silent_one(watch, observed):
    observed(usual(HISTORY))
    watch()
    observed(usual(2), at=HISTORY + 0.5)
    assert watch() == {"watch": "watch", "series": [], "failed": [], **NOTHING}
    observed([1.0], at=HISTORY + 2.5)
    (failed,) = watch()["failed"]
    assert "3 of 603 observations are no steps of '3600s'" in failed["detail"]
    assert "the latest at 2026-01-26T02:30:00Z" in failed["detail"]
    # Where it stays there, it is learnt anew as soon as it has a grid again.
    observed(usual(400), at=HISTORY + 3.5)
    said = one(watch(history=300))
    assert said["remark"] == "learnt from its history"


NOTHING = {"incidents": {"opened": [], "updated": [], "resolved": []}}


def test_a_series_without_a_grid_is_named(watch, observed):
    for place in range(120):
        observed([float(place)], at=place + (place * 7 % 11) / 60)
    (failed,) = watch()["failed"]
    assert "observations are no steps of" in failed["detail"]


def test_a_series_that_is_too_short_is_named_and_the_others_are_watched(
    watch, observed
):
    observed(usual(HISTORY))
    observed(usual(5), key="b")
    result = watch(series=["a", "b"])
    assert one(result)["unique_id"] == "a"
    (failed,) = result["failed"]
    assert failed["unique_id"] == "b"
    assert "5 observations are too few" in failed["detail"]


def test_watches_of_other_names_remember_apart(watch, observed, database, tenant_id):
    observed(usual(HISTORY))
    watch()
    assert one(watch(name="night"))["remark"] == "learnt from its history"
    with database.tenant(tenant_id) as connection:
        kept = series.find(connection, tenant_id=tenant_id, key="a")
        assert kept is not None
        state = stream_states.load(
            connection, tenant_id=tenant_id, series_ids=[kept.id], name="night"
        )
    assert len(state[kept.id].packed) < 200_000


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"data": [{"ds": "2026-01-01T00:00:00Z", "y": 1.0}]}, "over stored series"),
        ({"series": ["a"], "as_of": "2026-01-01T00:00:00Z"}, "over stored series"),
        ({"series": ["a"], "impute": "linear"}, "Input should be 'none'"),
        (
            {"series": ["a"], "grouping": {"join_s": 7200.0}},
            "recover_s must not be less",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(given, words):
    with pytest.raises(ValidationError, match=words):
        WatchParams.model_validate(given)


def test_all_series_of_a_source_are_watched_by_its_name(
    watch, observed, database, tenant_id
):
    observed(usual(HISTORY))
    observed(usual(HISTORY), key="b")
    with database.tenant(tenant_id) as connection:
        made = sources.create(
            connection,
            tenant_id=tenant_id,
            setup=sources.Setup(name="grid", connector="eia", config={}, options={}),
            now=START,
        )
        assert made is not None
        kept = series.find(connection, tenant_id=tenant_id, key="a")
        assert kept is not None
        connection.execute(
            text(
                "INSERT INTO source_series (source_id, local_key, tenant_id, series_id)"
                " VALUES (:source, 'A', :tenant, :series)"
            ),
            {"source": made.id, "tenant": tenant_id, "series": kept.id},
        )
    assert one(watch(series={"source": "grid"}))["unique_id"] == "a"
    with pytest.raises(InvalidData, match="no source 'other' has filled a series"):
        watch(series={"source": "other"})


def test_the_result_reads_as_a_table(watch, observed):
    observed(usual(HISTORY))
    watch()
    observed([99.0], at=HISTORY)
    columns, rows = as_table(watch())
    assert columns[:2] == ["unique_id", "start"]
    assert [row[0] for row in rows] == ["a"]
    assert timedelta(hours=1) == datetime.fromisoformat(
        rows[0][2]
    ) - datetime.fromisoformat(rows[0][1])


def test_a_unit_is_in_the_words_and_telling_it_later_begins_nothing_anew(
    watch, database, tenant_id
):
    values = usual(HISTORY + 2)
    store(database, tenant_id, "a", values[:HISTORY])
    watch()
    store(database, tenant_id, "a", [90.0], first=HISTORY, unit="MW")
    seen = one(watch())
    assert not seen["remark"]
    assert seen["anomalies"][0]["evidence"]["unit"] == "MW"
    assert " MW " in seen["anomalies"][0]["explanation"]
