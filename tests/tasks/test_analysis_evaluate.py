"""``analysis.evaluate``: detectors beside the labels that a user has."""

import json
from datetime import UTC, datetime, timedelta

import orjson
import pytest
from pydantic import ValidationError

from db import feedback, series
from tasks.analysis_evaluate import EvaluateParams, analysis_evaluate, as_table
from tasks.errors import InvalidData
from tests.fakes import FakeContext
from tests.tasks.series import START, daily, data, store

SPIKES = (150, 190)


def spiked() -> list[float]:
    values = daily(10)
    for at in SPIKES:
        values[at] = 99.0
    return values


def stretch(at: int, *, steps: int = 1) -> dict[str, str]:
    start = START + timedelta(hours=at)
    end = start + timedelta(hours=steps)
    return {"from": start.isoformat(), "to": end.isoformat()}


def run(context=None, **given) -> dict:
    params = EvaluateParams.model_validate(given)
    outcome = analysis_evaluate(params, context or FakeContext())
    return json.loads(orjson.dumps(outcome.result))


def labelled(*places: int, name: str = "a") -> list[dict[str, str]]:
    return [{"unique_id": name, **stretch(at)} for at in places]


def by_name(rows: list[dict]) -> dict[str, dict]:
    return {row["contender"]: row for row in rows}


def test_every_detector_is_held_against_the_labels_beside_a_naive():
    result = run(data=data(spiked()), labels=labelled(*SPIKES))
    (found,) = result["series"]
    rows = by_name(found["contenders"])
    assert set(rows) >= {"seasonal", "zscore", "as it came", "largest steps"}
    seasonal = rows["seasonal"]
    assert (seasonal["labelled"], seasonal["found"], seasonal["recall"]) == (2, 2, 1.0)
    assert seasonal["points"] == 240
    assert seasonal["share"] == pytest.approx(2 / 240)
    assert by_name(result["overall"])["seasonal"]["f1"] == seasonal["f1"]


def test_each_detector_is_ranked_by_what_surprised_it():
    # A spike against the daily cycle is no large value: only one detector sees it.
    values = daily(20)
    values[304] += 6.0
    (found,) = run(data=data(values), labels=labelled(304))["series"]
    rows = by_name(found["contenders"])
    assert rows["seasonal"]["recall"] == rows["seasonal"]["average_precision"] == 1.0
    assert rows["zscore"]["average_precision"] < 0.5


def test_a_label_where_nothing_is_costs_recall_and_what_is_unlabelled_precision():
    result = run(data=data(spiked()), labels=labelled(SPIKES[0], 60))
    seasonal = by_name(result["overall"])["seasonal"]
    assert (seasonal["labelled"], seasonal["found"]) == (2, 1)
    assert seasonal["true_alarms"] < seasonal["alarms"]
    assert seasonal["false_alarms_per_1000"] > 0


def test_overall_pools_the_counts_of_all_series():
    rows = data(spiked()) + data(spiked(), unique_id="b")
    labels = labelled(*SPIKES) + labelled(SPIKES[0], name="b")
    overall = by_name(run(data=rows, labels=labels)["overall"])["seasonal"]
    assert (overall["series"], overall["labelled"], overall["points"]) == (2, 3, 480)


def test_inline_data_needs_labels():
    with pytest.raises(ValidationError, match="inline data has no feedback"):
        EvaluateParams.model_validate({"data": data(spiked())})


def test_whoever_is_judged_never_sees_the_labels():
    with pytest.raises(ValidationError, match="Input should be False"):
        EvaluateParams.model_validate({"series": ["a"], "use_feedback": True})


@pytest.mark.servers
def test_feedback_on_stored_series_serves_as_labels(database, tenant_id):
    context = FakeContext(tenant_id=tenant_id, database=database)
    store(database, tenant_id, "a", spiked())
    with pytest.raises(InvalidData, match="nobody has labelled this series"):
        run(context, series=["a"])
    said = [(SPIKES[0], "true"), (SPIKES[1], "expected"), (40, "false")]
    with database.tenant(tenant_id) as connection:
        found = series.find(connection, tenant_id=tenant_id, key="a")
        assert found is not None
        for at, label in said:
            start = START + timedelta(hours=at)
            feedback.add(
                connection,
                tenant_id=tenant_id,
                new=feedback.NewLabel(
                    series_id=found.id,
                    start_at=start,
                    end_at=start + timedelta(hours=1),
                    label=label,
                ),
                now=datetime(2026, 3, 1, tzinfo=UTC),
            )
    seasonal = by_name(run(context, series=["a"])["overall"])["seasonal"]
    assert (seasonal["labelled"], seasonal["found"], seasonal["points"]) == (1, 1, 239)
    assert seasonal["precision"] == 1.0


def test_the_result_reads_as_a_table():
    columns, rows = as_table(run(data=data(spiked()), labels=labelled(*SPIKES)))
    assert columns[:2] == ["unique_id", "contender"]
    assert {len(row) for row in rows} == {len(columns)}
