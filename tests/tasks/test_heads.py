"""Results of large panels: heads, and what becomes of them when parts are joined."""

import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks import heads
from tasks.errors import InvalidData
from tasks.forecast import ForecastParams
from tests.fakes import FakeContext

PARAMS = ForecastParams.model_validate(
    {"horizon": 2, "model": "naive", "series": {"tag": "all"}}
)
METRICS = ("smape", "mase", "rmsse", "wql", "coverage", "skill_vs_naive")


def _panel(series, by_step, *, frequency="h", tried=("naive",)) -> dict:
    return {
        "frequency": frequency,
        "series": series,
        "tried": list(tried),
        "beyond_budget": [],
        "windows": 3,
        "estimated_cpu_s": 0.5,
        "coverage": {"nominal": 0.8, "windows": 3, "by_step": by_step},
    }


def _head(series, *, failed=(), panels=(), mase=None) -> dict:
    known = {"mean": mase, "series": 0 if mase is None else series}
    return {
        "horizon": 2,
        "quantiles": [0.5],
        "series_total": series,
        "points_total": 2 * series,
        "failed": [{"unique_id": one, "detail": "bad"} for one in failed][:100],
        "failed_total": len(failed),
        "panels": list(panels),
        "metrics": {name: {"mean": None, "series": 0} for name in METRICS}
        | {"mase": known},
        "points_url": "/v1/jobs/job_fake/forecasts",
    }


def _merged(*results) -> dict:
    outcome = heads.merge(PARAMS, iter(results), FakeContext())
    assert outcome.store is None
    return json.loads(orjson.dumps(outcome.result))


def test_totals_are_sums_and_the_rest_is_that_of_all_parts():
    whole = _merged(_head(3, failed=["a"]), _head(0, failed=["b", "c"]), _head(2))
    assert (whole["series_total"], whole["points_total"]) == (5, 10)
    assert [one["unique_id"] for one in whole["failed"]] == ["a", "b", "c"]
    assert (whole["failed_total"], whole["parts"]) == (3, 3)
    assert whole["points_url"] == "/v1/jobs/job_fake/forecasts"
    assert (whole["horizon"], whole["quantiles"]) == (2, [0.5])


def test_a_hundred_failures_are_named_and_all_are_counted():
    names = [str(number) for number in range(70)]
    whole = _merged(_head(1, failed=names), _head(1, failed=names))
    assert (len(whole["failed"]), whole["failed_total"]) == (100, 140)


@given(st.lists(st.tuples(st.integers(1, 9), st.floats(0, 9)), min_size=1, max_size=9))
def test_a_pooled_metric_is_the_mean_over_all_series(parts):
    whole = _merged(*(_head(series, mase=mase) for series, mase in parts))
    each = [mase for series, mase in parts for _ in range(series)]
    assert whole["metrics"]["mase"]["mean"] == pytest.approx(sum(each) / len(each))
    assert whole["metrics"]["mase"]["series"] == len(each)
    assert whole["metrics"]["wql"] == {"mean": None, "series": 0}


def test_panels_of_a_frequency_are_one_weighted_by_their_series():
    whole = _merged(
        _head(3, panels=[_panel(3, [0.9, None], tried=("naive", "ets"))]),
        _head(2, panels=[_panel(1, [0.5, 0.7]), _panel(1, [1, 1], frequency="D")]),
    )
    hourly, daily = whole["panels"]
    assert (hourly["frequency"], hourly["series"]) == ("h", 4)
    assert hourly["tried"] == ["naive", "ets"]
    assert hourly["estimated_cpu_s"] == 1.0
    assert hourly["coverage"]["by_step"] == [0.8, 0.7]
    assert daily == _panel(1, [1.0, 1.0], frequency="D")


def test_a_panel_alone_stays_as_it_is():
    panels = [_panel(3, [0.9, None]), _panel(2, [0.1, 0.2], frequency="D")]
    assert _merged(_head(5, panels=panels))["panels"] == panels


def test_parts_without_a_single_answer_fail_the_job_and_say_why():
    with pytest.raises(InvalidData, match="a: bad; b: bad"):
        _merged(_head(0, failed=["a"]), _head(0, failed=["b"]))


def test_one_head_at_a_time_is_in_memory():
    alive = []

    def results():
        for _ in range(5):
            one = _Counted(_head(1))
            alive.append(one.count)
            yield one
            del one

    heads.merge(PARAMS, results(), FakeContext())
    assert max(alive) <= 3  # the first, the last, and the one that is coming


class _Counted(dict):
    living = 0

    def __init__(self, given):
        super().__init__(given)
        _Counted.living += 1
        self.count = _Counted.living

    def __del__(self):
        _Counted.living -= 1
