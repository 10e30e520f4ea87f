"""A leaderboard of models on a panel."""

import numpy as np
import pytest

from forecasting.comparison import compare
from forecasting.errors import InvalidSeries, ModelUnfit
from forecasting.forecast import ForecastOptions, PanelSeries
from tests.forecasting import shelf
from tests.forecasting.synthetic import hours, wave

NAN = np.nan


def panel(*rows):
    return [
        PanelSeries(f"s{number}", np.asarray(row, float), hours(len(row)))
        for number, row in enumerate(rows)
    ]


def waves(count, *, points=150):
    return panel(
        *(wave(points, season=24, noise=1.0, seed=seed) for seed in range(count))
    )


def run(series, **wish):
    given = {"horizon": 6, "frequency": "1h", "windows": 4, **wish}
    return compare(series, options=ForecastOptions(**given))


def rows_of(found):
    return {one.name: one for one in found.contenders}


def constant(size):
    return lambda _, context: np.full(context.horizon, size)


def test_the_best_comes_first_and_the_baseline_is_always_there():
    found = run(waves(5), model=("theta", "naive"))
    names = [one.name for one in found.contenders]
    errors = [one.relative for one in found.contenders]
    assert set(names) == {"theta", "naive", "seasonal_naive", "blend"}
    assert errors == sorted(errors)
    assert rows_of(found)["seasonal_naive"].relative == pytest.approx(1)
    assert names[-1] == "naive"


def test_the_baseline_alone_has_nobody_to_beat():
    found = run(waves(2), model="seasonal_naive")
    (one,) = found.contenders
    assert (one.name, one.p_value) == ("seasonal_naive", None)


def test_one_named_model_has_no_blend():
    assert set(rows_of(run(waves(2), model="theta"))) == {"theta", "seasonal_naive"}


def test_auto_stands_beside_the_models_it_blends(monkeypatch):
    shelf.put(monkeypatch, only=True, mean=constant(100.0))
    found = run(waves(3))
    assert set(rows_of(found)) == {"auto", "mean", "naive", "seasonal_naive"}


def test_a_window_s_blend_knows_only_the_windows_before_it(monkeypatch):
    shelf.put(monkeypatch, only=True, low=constant(60.0), high=constant(130.0))
    series = waves(4)
    before = rows_of_windows(run(series))
    changed = []
    for one in series:
        values = one.values.copy()
        # The latest window turns out otherwise: earlier ones cannot have known it.
        values[-6:] = 130.0
        changed.append(PanelSeries(one.unique_id, values, one.times))
    after = rows_of_windows(run(changed))
    assert after[0] != before[0]
    assert after[1:] == before[1:]


def rows_of_windows(found):
    return [window.relative["auto"] for window in found.windows]


def test_every_window_is_listed_with_every_contender():
    found = run(waves(3), model=("theta", "naive"))
    assert len(found.windows) == 4
    assert [window.cutoff for window in found.windows] == [
        hours(150)[149 - 6 * back] for back in range(1, 5)
    ]
    for window in found.windows:
        assert set(window.relative) == set(rows_of(found))
        assert window.series == 3


def test_a_model_that_fails_is_counted_and_stood_in_for(monkeypatch):
    def moody(history, context):
        if history.size > 135:
            raise ModelUnfit("tired")
        return np.full(context.horizon, history[-1])

    def never(history, context):
        raise ModelUnfit("no")

    shelf.put(monkeypatch, moody=moody, hopeless=never)
    found = rows_of(run(waves(3), model=("moody", "hopeless")))
    assert (found["moody"].failed, found["hopeless"].failed) == (6, 12)
    assert found["hopeless"].relative == pytest.approx(1)
    assert found["hopeless"].p_value is None


def test_what_cannot_be_used_is_named_and_disturbs_nobody():
    good = waves(3)
    bad = panel(*[[1.0]] * 3, [NAN] * 9, np.full(150, 5.0))[3:]
    found = run([*good, *bad], model="theta")
    assert [name for name, _ in found.failed] == ["s3", "s4"]
    assert "never changes" in found.failed[1][1]
    alone = run(good, model="theta")
    assert rows_of(found)["theta"].evaluation == rows_of(alone)["theta"].evaluation


def test_a_panel_that_never_changes_cannot_be_compared():
    with pytest.raises(InvalidSeries, match="s0: the series never changes"):
        run(panel(np.full(150, 5.0)))


def test_a_panel_without_a_window_is_refused():
    with pytest.raises(InvalidSeries, match="no series is long enough"):
        run(panel([1.0, 2.0, 3.0, 5.0, 4.0]), model="naive")


def test_options_that_make_no_sense_are_refused():
    with pytest.raises(InvalidSeries, match="horizon"):
        run(waves(1), horizon=0)


def test_a_budget_leaves_out_models_and_names_them():
    found = run(waves(2), budget_s=0.001)
    assert found.left_out
    assert not set(found.left_out) & set(rows_of(found))


def test_twice_the_same_is_the_same():
    one, two = (run(waves(3, points=100), model=("theta", "linear")) for _ in range(2))
    for first, second in zip(one.contenders, two.contenders, strict=True):
        assert first.evaluation == second.evaluation
        assert (first.p_value, first.relative) == (second.p_value, second.relative)
