import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.anomaly import __main__ as bench
from bench.anomaly import nab
from bench.anomaly.loaders import runs
from bench.anomaly.nab_section import quiet, transferred
from bench.anomaly.opponents import OPPONENTS
from bench.anomaly.profile import matrix_profile
from bench.anomaly.trees import half_space_trees
from bench.anomaly.vus import vus_pr

WINDOWS = ((200, 240), (300, 340))
COUNT = 400


def judged(alarms, windows=WINDOWS):
    scores = np.zeros(COUNT)
    scores[list(alarms)] = 1.0
    return nab.Judged(scores, windows)


@pytest.mark.parametrize("profile", nab.PROFILES, ids=lambda one: one.name)
def test_no_alarm_scores_nothing_and_the_first_row_of_each_window_all(profile):
    assert nab.at([judged([])], profile, threshold=0.5) == 0
    assert nab.at([judged([200, 300])], profile, threshold=0.5) == pytest.approx(100)


def naive_score(alarms, windows, profile):
    """Walk through the rows as the published rules say it."""
    total, best = 0.0, [-profile.miss for _ in windows]
    for row in alarms:
        if row < nab.probation(COUNT):
            continue
        inside = [at for at, (a, b) in enumerate(windows) if a <= row < b]
        for at in inside:
            start, stop = windows[at]
            place = -(stop - row) / (stop - start)
            value = 2 / (1 + np.exp(5 * place)) - 1
            value *= profile.hit / (2 / (1 + np.exp(-5)) - 1)
            best[at] = max(best[at], value)
        if inside:
            continue
        before = [(a, b) for a, b in windows if b <= row]
        value = -1.0
        if before:
            start, stop = before[-1]
            place = (row - (stop - 1)) / (stop - start - 1)
            value = 2 / (1 + np.exp(5 * place)) - 1 if place < 3 else -1.0
        total += profile.false * value
    total += sum(best)
    null, perfect = -profile.miss * len(windows), profile.hit * len(windows)
    return 100 * (total - null) / (perfect - null)


@settings(deadline=None, max_examples=40)
@given(
    alarms=st.sets(st.integers(0, COUNT - 1), max_size=12),
    profile=st.sampled_from(nab.PROFILES),
)
def test_alarms_are_worth_what_the_rules_say(alarms, profile):
    expected = naive_score(sorted(alarms), WINDOWS, profile)
    found = nab.at([judged(alarms)], profile, threshold=0.5)
    assert found == pytest.approx(expected, abs=1e-9)


def test_a_threshold_of_other_files_is_no_better_than_the_oracle():
    rng = np.random.default_rng(0)
    files = [nab.Judged(rng.random(COUNT), WINDOWS) for _ in range(6)]
    oracle = [nab.best(files, profile)[1] for profile in nab.PROFILES]
    assert all(x <= y + 5 for x, y in zip(transferred(files), oracle, strict=True))


def test_an_alarm_that_goes_on_is_one_alarm():
    scores = np.r_[np.zeros(100), [5.0, 4.0, 5.0, 6.0], np.zeros(20)]
    kept = np.flatnonzero(np.isfinite(quiet(scores)))
    assert {100, 103} <= set(kept.tolist())
    assert not {101, 102} & set(kept.tolist())


def test_a_perfect_ranking_has_nearly_all_of_the_area_and_noise_little():
    labels = np.zeros(2000, dtype=np.bool_)
    labels[1000:1100] = True
    noise = np.random.default_rng(0).random(2000)
    assert vus_pr(labels, labels + noise / 10, width=20) > 0.9
    assert vus_pr(labels, noise, width=20) < 0.15
    assert runs(labels) == [(1000, 1100)]


METHODS = [one.score for one in OPPONENTS] + [half_space_trees, matrix_profile]


@pytest.mark.parametrize("score", METHODS, ids=lambda one: one.__name__)
def test_an_opponent_gives_every_point_a_finite_score(score):
    values = np.sin(np.arange(900) * np.pi / 12)
    values[700] += 5
    for series in (values, np.full(900, 3.0)):
        found = score(series, 24)
        assert found.shape == (900,)
        assert np.isfinite(found).all()


def test_parts_of_the_page_are_replaced_and_the_rest_stays(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"# Words\n\n{bench._MARK}\n")
    bench.write(page, {"nab": "## A\n\ntable", "alarms": "## B"})
    assert bench.parts_of(page) == {"nab": "## A\n\ntable", "alarms": "## B"}
    bench.write(page, {**bench.parts_of(page), "nab": "## C"})
    assert page.read_text().startswith("# Words\n\n")
    assert "## C" in page.read_text()
    assert "## A" not in page.read_text()
    assert {"nab", "alarms", "ranking", "speed"} <= set(bench.sections())
