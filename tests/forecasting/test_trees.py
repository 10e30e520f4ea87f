import json
from functools import cache

import numpy as np
import pytest

from forecasting.errors import ModelUnfit
from forecasting.layout import lay_out
from forecasting.models import Case, ModelContext, Regime, registered_models
from forecasting.sampling import sample_pairs, suits_trees
from tests.forecasting.synthetic import hours, wave

NAMES = ["lightgbm", "xgboost"]
each_library = pytest.mark.parametrize("name", NAMES)


def case_of(history, *, horizon=7, season=7, covariates=None, attributes=()):
    """A case; the covariates cover the history and the horizon."""
    points = len(history)
    times = hours(points + horizon)
    table = np.empty((0, 0)) if covariates is None else np.asarray(covariates, float)
    return Case(
        np.asarray(history, dtype=np.float64),
        ModelContext(
            horizon=horizon,
            season=season,
            long_season=None,
            times=times[:points],
            future_times=times[points:],
            seed=3,
            names=tuple(f"c{i}" for i in range(table.shape[1])),
            covariates=table[:points],
            future_covariates=table[points:],
            attributes=attributes,
        ),
    )


def panel_of(histories, **wish):
    return [case_of(history, **wish) for history in histories]


def waves(count=4, points=120):
    return [wave(points, season=7, noise=1.0, seed=seed) for seed in range(count)]


def mixed_panel():
    """Positive and signed series, one attribute and one known covariate."""
    rng = np.random.default_rng(0)
    cases = []
    for index, history in enumerate(waves()):
        driver = rng.normal(size=(history.size + 7, 1))
        values = history + 5 * driver[:-7, 0] - (300 if index % 2 else 0)
        kind = (("kind", "ab"[index % 2]),)
        cases.append(case_of(values, covariates=driver, attributes=kind))
    return cases


@cache
def fitted_to_mixed(name):
    return registered_models()[name].fit(mixed_panel())


@each_library
def test_the_parts_of_an_explanation_sum_to_the_forecast(name):
    cases = mixed_panel()
    fitted = fitted_to_mixed(name)
    for mean, parts in zip(fitted.predict(cases), fitted.explain(cases), strict=True):
        assert parts.names[0] == "base"
        assert {"c0", "kind", "hour", "season"} <= set(parts.names)
        assert parts.values.shape == (len(parts.names), 7)
        assert parts.values.sum(axis=0) == pytest.approx(mean, rel=1e-6)


@each_library
def test_a_restored_model_forecasts_the_same_bits(name):
    cases = mixed_panel()
    fitted = fitted_to_mixed(name)
    state = fitted.state()
    restored = registered_models()[name].restore(state)
    assert "layout" in json.loads(state.split(b"\n", 1)[0])
    assert restored.state() == state
    for one, other in zip(fitted.predict(cases), restored.predict(cases), strict=True):
        assert one.tobytes() == other.tobytes()


@each_library
def test_a_forecast_does_not_depend_on_its_company(name):
    cases = mixed_panel()
    fitted = fitted_to_mixed(name)
    together = fitted.predict(cases)
    alone = [fitted.predict([case])[0] for case in cases]
    for one, other in zip(together, alone, strict=True):
        assert one.tobytes() == other.tobytes()


@each_library
def test_a_known_covariate_moves_the_forecast_the_way_it_moved_the_past(name):
    rng = np.random.default_rng(1)
    driver = rng.choice([0.0, 1.0], size=(407, 1))
    history = 50 + 10 * driver[:400, 0] + rng.normal(scale=0.1, size=400)
    future = driver.copy()
    future[400:] = [[0.0], [1.0], [0.0], [1.0], [0.0], [1.0], [0.0]]
    fitted = registered_models()[name].fit([case_of(history, covariates=driver)])
    mean = fitted.predict([case_of(history, covariates=future)])[0]
    assert mean == pytest.approx(50 + 10 * future[400:, 0], abs=2)


@each_library
def test_a_new_series_is_forecast_from_its_group(name):
    def level(kind, points, seed):
        noise = np.random.default_rng(seed).normal(scale=0.3, size=points)
        growth = {"grows": 1.0, "shrinks": -1.0}[kind]
        values = 400 + growth * np.arange(points) + noise
        return case_of(values, season=1, attributes=(("kind", kind),))

    kinds = ["grows", "shrinks"]
    panel = [level(kind, 100, seed) for seed in range(5) for kind in kinds]
    young = [level(kind, 2, 99) for kind in kinds]
    means = registered_models()[name].fit(panel + young).predict(young)
    for kind, mean in zip(kinds, means, strict=True):
        moved = mean - 400
        assert (moved > 0).all() if kind == "grows" else (moved < 0).all()


@each_library
def test_any_length_and_an_unknown_attribute_are_forecast(name):
    fitted = fitted_to_mixed(name)
    for points in (1, 2, 6, 7, 8, 15):
        strange = case_of(wave(points, season=7), attributes=(("kind", "new"),))
        assert np.isfinite(fitted.predict([strange])[0]).all()


@each_library
def test_series_that_never_change_stay_where_they_are(name):
    cases = [*panel_of(waves()), case_of(np.full(120, 5.0)), case_of([-3.0])]
    means = registered_models()[name].fit(cases).predict(cases)
    assert means[4] == pytest.approx(np.full(7, 5.0))
    fitted = registered_models()[name].fit([case_of(np.zeros(120))])
    assert fitted.predict([case_of(np.zeros(9))])[0].tolist() == [0.0] * 7
    assert (fitted.explain([case_of(np.zeros(9))])[0].values == 0).all()


@each_library
def test_a_panel_too_short_is_refused_with_its_numbers(name):
    with pytest.raises(ModelUnfit, match=f"{name} needs 62 points and got 20"):
        registered_models()[name].fit(panel_of(waves(2, points=10)))


def test_no_cases_give_no_forecasts():
    assert registered_models()["lightgbm"].fit(panel_of(waves())).predict([]) == []


def test_pairs_have_a_known_target_and_no_series_is_left_out():
    _, tracks = lay_out(panel_of([*waves(3, points=400), wave(50, season=7)]))
    pairs = sample_pairs(tracks, horizon=30, seed=1)
    assert (pairs.cutoffs + pairs.steps < tracks.lengths[pairs.series]).all()
    assert set(pairs.series) == {0, 1, 2, 3}
    assert set(pairs.steps) == set(range(1, 31))


def test_a_long_series_is_sampled_within_its_budget_the_same_way_twice():
    _, tracks = lay_out([case_of(wave(3_000, season=7), horizon=14)])
    one, same, other = (sample_pairs(tracks, horizon=14, seed=s) for s in (1, 1, 2))
    assert 8_000 < one.series.size <= 20_000
    assert one.cutoffs.tolist() == same.cutoffs.tolist()
    assert one.cutoffs.tolist() != other.cutoffs.tolist()
    # By chance it would be a seventh.
    assert ((2_999 - one.cutoffs) % 7 == 0).mean() > 0.5


def test_trees_suit_panels_with_points_to_learn_from_and_cost_less_in_company():
    def regime(series):
        return Regime(
            series=series,
            points=100,
            season=7,
            horizon=7,
            zeros=0.0,
            positive=True,
            covariates=0,
        )

    assert suits_trees(regime(50))
    assert not suits_trees(regime(10))
    for name in NAMES:
        cost = registered_models()[name].cost
        assert cost(regime(1)) > cost(regime(1_000)) > 0
