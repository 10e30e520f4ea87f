"""A trained version goes to bytes and back without losing a bit."""

import io
import json
import pickle
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasting.covariates import Covariate, Holidays
from forecasting.errors import InvalidSeries
from forecasting.fill import FillRules
from forecasting.forecast import (
    ForecastOptions,
    PanelSeries,
    forecast_by_recipe,
    forecast_panel,
    learned_recipe,
)
from forecasting.recipe import from_bytes, to_bytes
from tests.forecasting.synthetic import days, hours, wave

NAN = np.nan
WEEK = ForecastOptions(horizon=5, frequency="D", model="seasonal_naive")


def weekly(count, *, points=60):
    return [
        PanelSeries(
            f"s{seed}", wave(points, season=7, noise=1.0, seed=seed), days(points)
        )
        for seed in range(count)
    ]


def train(series, options):
    found = forecast_panel(series, options=options)
    return found, learned_recipe(series, found=found, options=options)


def bits(found):
    return {
        one.unique_id: (
            one.model,
            one.weights,
            one.mean.tobytes(),
            {level: row.tobytes() for level, row in one.quantiles.items()},
            one.times.tolist(),
        )
        for one in found.series
    }


def assert_repeats(series, options, *, free=None):
    """Forecast, keep, read again, forecast: every bit is the same."""
    found, recipe = train(series, options)
    again = from_bytes(to_bytes(recipe))
    assert to_bytes(again) == to_bytes(recipe)
    asked = free or replace(options, season=None)
    repeated = forecast_by_recipe(again.panel, recipe=again, options=asked)
    assert bits(repeated) == bits(found)
    return again


def with_covariates(one, *, horizon):
    """Add a known one with vintages, and one of the past only."""
    times = days(one.times.size + horizon)
    rng = np.random.default_rng(3)
    warm = Covariate(
        name="warm",
        times=np.concatenate([times, times[-horizon:]]),
        values=rng.normal(size=times.size + horizon),
        issued=np.concatenate(
            [times - np.timedelta64(horizon + 1, "D"), np.full(horizon, one.times[-1])]
        ),
        notes=("a guess",),
    )
    past = Covariate(
        name="past",
        times=one.times,
        values=np.where(np.arange(one.times.size) % 9, one.values, NAN),
        future=False,
        past_fill="previous",
    )
    return replace(
        one,
        values=one.values + 3 * warm.values[: one.values.size],
        covariates=(warm, past, Holidays("DE", "BE", "Europe/Berlin")),
        attributes=(("region", one.unique_id[-1]), ("kind", "load")),
    )


def test_a_panel_of_several_models_is_forecast_again_bit_for_bit():
    series = weekly(4)
    again = assert_repeats(
        series, replace(WEEK, model=("theta", "lightgbm", "seasonal_naive"), seed=5)
    )
    assert set(again.learned.fitted) == {"lightgbm"}


def test_global_models_with_covariates_are_forecast_again_bit_for_bit():
    series = [with_covariates(one, horizon=5) for one in weekly(3)]
    again = assert_repeats(series, replace(WEEK, model=("lightgbm", "linear")))
    assert set(again.learned.fitted) == {"lightgbm", "linear"}
    for kept, one in zip(again.panel, series, strict=True):
        assert kept.attributes == one.attributes
        assert kept.covariates[2] == one.covariates[2]
        for mine, theirs in zip(kept.covariates[:2], one.covariates, strict=False):
            assert (mine.name, mine.future, mine.notes) == (
                theirs.name,
                theirs.future,
                theirs.notes,
            )
            assert mine.values.tobytes() == theirs.values.tobytes()


def test_bounds_of_the_training_hold_unless_others_are_asked_for():
    options = replace(WEEK, lower=99.0, upper=101.0)
    again = assert_repeats(weekly(3), options, free=WEEK)
    asked = replace(WEEK, upper=100.0)
    tight = forecast_by_recipe(again.panel, recipe=again, options=asked)
    for one in tight.series:
        rows = np.array([one.mean, *one.quantiles.values()])
        assert rows.max() <= 100
        assert rows.min() >= 99


def test_gaps_of_a_series_too_short_for_its_season_are_filled_alike():
    values = wave(30, season=24, noise=1.0)
    values[3:9] = NAN
    series = [PanelSeries("a", values, hours(30))]
    options = ForecastOptions(horizon=2, frequency="1h", model=("naive", "theta"))
    again = assert_repeats(series, options)
    assert again.seasons[0] == 1


def test_an_open_day_calendar_and_a_zone_are_kept():
    local = np.datetime64("2024-01-01T05", "us") + np.arange(200) * np.timedelta64(
        86_400_000_000, "us"
    )
    summer = (local >= np.datetime64("2024-03-10T07")) & (
        local < np.datetime64("2024-11-03T06")
    )
    times = np.where(summer, local - np.timedelta64(1, "h"), local)
    weekday = (np.arange(200) % 7) < 5
    values = wave(200, season=7, noise=0.5)
    options = ForecastOptions(
        horizon=5,
        frequency="B",
        calendar="XNYS",
        timezone="America/New_York",
        model="naive",
    )
    series = [PanelSeries("a", values[weekday], times[weekday].astype("M8[us]"))]
    again = assert_repeats(
        series, options, free=ForecastOptions(horizon=5, frequency="B")
    )
    assert (again.calendar, again.timezone) == ("XNYS", "America/New_York")


def test_fill_rules_are_kept():
    one, other = weekly(2)
    rules = FillRules(front=1.5, middle="zero", back="mean", duplicates="sum")
    short = replace(
        other,
        values=np.delete(other.values, [20, 21])[5:-6],
        times=np.delete(other.times, [20, 21])[5:-6],
    )
    short = replace(
        short,
        values=np.append(short.values, short.values[:1]),
        times=np.append(short.times, short.times[:1]),
    )
    options = replace(WEEK, rules=rules)
    assert assert_repeats([one, short], options, free=WEEK).rules == rules


def test_a_series_that_never_changes_is_forecast_as_in_its_training():
    flat = PanelSeries("flat", np.full(60, 5.0), days(60))
    again = assert_repeats([*weekly(3), flat], replace(WEEK, model=("drift", "theta")))
    found = forecast_by_recipe(again.panel, recipe=again, options=WEEK).series[-1]
    assert found.mean.tolist() == [5.0] * 5
    assert found.model == "seasonal_naive"


def test_a_new_series_takes_the_weights_of_the_group():
    _, recipe = train(weekly(3), replace(WEEK, model=("theta", "naive")))
    new = replace(weekly(4)[3], unique_id="new")
    (found,) = forecast_by_recipe([new], recipe=recipe, options=WEEK).series
    shares = dict(zip(recipe.learned.names, recipe.learned.weights, strict=True))
    assert found.weights == pytest.approx(shares)
    assert found.evaluation is None


def test_later_observations_are_forecast_from_their_own_end():
    _, recipe = train(weekly(3), replace(WEEK, model="linear"))
    later = [
        replace(one, unique_id=f"s{n}") for n, one in enumerate(weekly(3, points=67))
    ]
    found = forecast_by_recipe(later, recipe=recipe, options=WEEK)
    assert [one.cutoff for one in found.series] == [days(67)[-1]] * 3


def test_equal_recipes_give_equal_bytes_and_others_do_not():
    series = [with_covariates(one, horizon=5) for one in weekly(2)]
    options = replace(WEEK, model=("lightgbm", "naive"))
    one, two = (to_bytes(train(series, options)[1]) for _ in range(2))
    assert one == two
    plain = replace(options, model="naive")
    seeds = {to_bytes(train(series, replace(plain, seed=n))[1]) for n in range(2)}
    assert len(seeds) == 2


def test_the_archive_is_packed():
    body = to_bytes(train(weekly(2, points=500), WEEK)[1])
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        times = archive.getinfo("times/0.npy")
    assert times.compress_size < 0.75 * times.file_size


def test_nothing_is_learned_of_a_panel_that_never_changes():
    flat = [PanelSeries("flat", np.full(90, 5.0), days(90))]
    found = forecast_panel(flat, options=WEEK)
    with pytest.raises(InvalidSeries, match="nothing to learn"):
        learned_recipe(flat, found=found, options=WEEK)


@pytest.mark.parametrize(
    ("frequency", "horizon", "fits"),
    [
        ("1h", 3, True),
        ("PT1H", 3, True),
        ("60min", 3, True),
        ("3600s", 3, True),
        ("2h", 3, False),
        ("1h", 4, False),
    ],
)
def test_steps_are_compared_by_what_they_mean(frequency, horizon, fits):
    series = [PanelSeries("a", wave(90, season=24), hours(90))]
    options = ForecastOptions(horizon=3, frequency="1h", model="naive")
    _, recipe = train(series, options)
    assert recipe.fits(replace(options, frequency=frequency, horizon=horizon)) is fits


@pytest.fixture(scope="module")
def kept():
    return to_bytes(train(weekly(1), WEEK)[1])


def rewritten(body, name, content):
    """The archive with one entry replaced."""
    whole = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(body)) as old, zipfile.ZipFile(whole, "w") as new:
        for entry in old.namelist():
            new.writestr(entry, content if entry == name else old.read(entry))
    return whole.getvalue()


def head_of(body):
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        return json.loads(archive.read("recipe.json"))


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300))
def test_garbage_is_refused(body):
    with pytest.raises(InvalidSeries, match="not a trained version"):
        from_bytes(body)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_damaged_version_is_refused_or_whole(kept, data):
    place = data.draw(st.integers(0, len(kept) - 1))
    value = data.draw(st.integers(1, 255))
    body = bytearray(kept)
    body[place] ^= value
    try:
        again = from_bytes(bytes(body))
    except InvalidSeries:
        return
    assert to_bytes(again) == kept


def test_a_cut_version_is_refused(kept):
    for length in (0, 10, len(kept) // 2, len(kept) - 1):
        with pytest.raises(InvalidSeries, match="not a trained version"):
            from_bytes(kept[:length])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": 2}, "has format 2 and this release reads 1: train it again"),
        ({"names": ["oracle"]}, r"needs the models \['oracle'\]"),
        ({"fitted": ["naive"]}, "naive is no longer a model that can be kept"),
        ({"seasons": []}, "not a trained version"),
        ({"rules": {"colour": "red"}}, "not a trained version"),
        ({"series": [{}]}, "not a trained version"),
        ({"weights": {"a": 1}}, "not a trained version"),
    ],
)
def test_what_this_release_cannot_read_is_refused(kept, change, words):
    content = json.dumps({**head_of(kept), **change})
    with pytest.raises(InvalidSeries, match=words):
        from_bytes(rewritten(kept, "recipe.json", content))


@pytest.mark.parametrize("content", ["", "[]", "3", "{", "\xff"])
def test_a_head_that_is_none_is_refused(kept, content):
    with pytest.raises(InvalidSeries, match="not a trained version"):
        from_bytes(rewritten(kept, "recipe.json", content.encode("latin-1")))


class Bomb:
    """What a pickle would run."""

    def __reduce__(self):
        return (exec, ("raise SystemExit('a pickle was loaded')",))


def test_a_pickle_inside_is_never_loaded(kept):
    array = io.BytesIO()
    np.save(array, np.array([Bomb()], dtype=object), allow_pickle=True)
    for content in (array.getvalue(), pickle.dumps(Bomb())):
        for name in ("rows.npy", "values/0.npy", "times/0.npy"):
            with pytest.raises(InvalidSeries, match="not a trained version"):
                from_bytes(rewritten(kept, name, content))
