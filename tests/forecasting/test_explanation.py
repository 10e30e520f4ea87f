"""Contributions sum to the forecast, whatever made it."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasting.cases import Contributions
from forecasting.covariates import Covariate
from forecasting.explanation import BOUNDS, explain_panel
from forecasting.forecast import ForecastOptions, PanelSeries, forecast_panel
from forecasting.models import Model, always, milliseconds
from tests.forecasting import shelf
from tests.forecasting.synthetic import days, wave

OPTIONS = ForecastOptions(horizon=4, frequency="D")


def series_of(name="a", *, points=80, seed=0, steep=0.0):
    """A weekly wave; with ``steep`` it follows a covariate that is known ahead."""
    rng = np.random.default_rng(seed)
    warm = rng.normal(size=points + 4)
    values = wave(points, season=7, noise=0.5, seed=seed) + steep * warm[:points]
    given = Covariate(name="warm", times=days(points + 4), values=warm)
    return PanelSeries(name, values, days(points), (given,) if steep else ())


def explained(series, options):
    found = forecast_panel(series, options=options)
    return found, explain_panel(series, found=found, options=options)


def assert_sums(found, told):
    assert set(told) == {one.unique_id for one in found.series}
    for one in found.series:
        parts = told[one.unique_id]
        assert parts.mean.tobytes() == one.mean.tobytes()
        total = np.sum(list(parts.parts.values()), axis=0)
        size = sum(np.abs(row).max() for row in parts.parts.values())
        assert total == pytest.approx(one.mean, abs=1e-13 * size)


def test_a_local_model_is_one_part():
    found, told = explained([series_of()], replace(OPTIONS, model="theta"))
    assert set(told["a"].parts) == {"theta"}
    assert_sums(found, told)


def test_a_global_model_is_split_by_what_it_looks_at():
    panel = [series_of(n, seed=s, steep=3.0) for s, n in enumerate("ab")]
    found, told = explained(panel, replace(OPTIONS, model="lightgbm"))
    assert {"base", "warm"} < set(told["a"].parts)
    assert BOUNDS not in told["a"].parts
    assert_sums(found, told)


def test_a_blend_sums_the_parts_of_its_members_by_weight():
    panel = [series_of(n, seed=s, steep=5.0) for s, n in enumerate("abc")]
    wish = replace(OPTIONS, model=("linear", "lightgbm", "theta"))
    found, told = explained(panel, wish)
    assert found.series[0].model == "blend"
    assert {"base", "warm", "theta", "calendar"} < set(told["a"].parts)
    assert_sums(found, told)
    # The covariate moves the series five to one; the linear member has found that.
    alone = explained(panel, replace(OPTIONS, model="linear"))[1]["a"].parts["warm"]
    ahead = panel[0].covariates[0].values[-4:]
    assert np.corrcoef(alone, ahead)[0, 1] > 0.95


def test_what_bounds_take_away_is_a_part_of_its_own():
    for bounds in ({"lower": 104.0}, {"upper": 96.0}):
        wish = replace(OPTIONS, model=("linear", "theta"), **bounds)
        found, told = explained([series_of()], wish)
        taken = told["a"].parts[BOUNDS]
        assert np.abs(taken).max() > 0.1
        assert (taken >= 0).all() if "lower" in bounds else (taken <= 0).all()
        assert_sums(found, told)


def test_bounds_that_take_nothing_are_no_part():
    wish = replace(OPTIONS, model="theta", lower=0.0, upper=1e6)
    assert BOUNDS not in explained([series_of()], wish)[1]["a"].parts


def test_a_series_that_never_changes_has_its_baseline_as_the_only_part():
    flat = PanelSeries("flat", np.full(80, 5.0), days(80))
    found, told = explained([series_of(), flat], replace(OPTIONS, model="linear"))
    assert {name: row.tolist() for name, row in told["flat"].parts.items()} == {
        "seasonal_naive": [5.0] * 4
    }
    assert_sums(found, told)
    assert_sums(*explained([flat], OPTIONS))


def test_a_series_of_one_point_and_one_that_fails_disturb_nobody():
    bad = PanelSeries("bad", np.full(9, np.nan), days(9))
    one = PanelSeries("one", np.ones(1), days(1))
    found, told = explained([bad, series_of(), one], replace(OPTIONS, model="theta"))
    assert set(told) == {"a", "one"}
    assert_sums(found, told)


def test_auto_is_explained_like_any_other():
    panel = [series_of(n, seed=s) for s, n in enumerate("ab")]
    assert_sums(*explained(panel, replace(OPTIONS, budget_s=0.05)))


class Sloppy:
    """A global model whose parts lose some round-off, and share a member's name."""

    def predict(self, cases):
        return [np.full(case.context.horizon, case.history[-1]) for case in cases]

    def explain(self, cases):
        return [
            Contributions(("base", "theta"), np.outer([0.3, 0.7 + 1e-9], mean))
            for mean in self.predict(cases)
        ]

    def state(self):
        return b""


def test_parts_of_one_name_are_added_and_round_off_goes_to_the_base(monkeypatch):
    shelf.put(monkeypatch, theta=lambda h, c: np.full(c.horizon, h.mean()))
    from forecasting.forecast import registered_models

    sloppy = Model(
        name="sloppy", fit=lambda _: Sloppy(), suits=always, cost=milliseconds(1)
    )
    shelf.use(monkeypatch, {**registered_models(), "sloppy": sloppy})
    found, told = explained([series_of()], replace(OPTIONS, model=("theta", "sloppy")))
    assert set(told["a"].parts) == {"base", "theta"}
    assert_sums(found, told)


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=60),
    st.sampled_from([("naive", "drift"), ("linear",), ("linear", "theta", "naive")]),
    st.sampled_from([None, 0.0, 50.0]),
)
def test_parts_always_sum_to_the_mean(values, models, lower):
    series = [PanelSeries("a", np.array(values), days(len(values)))]
    assert_sums(*explained(series, replace(OPTIONS, model=models, lower=lower)))
