import numpy as np
import pytest

from forecasting.intervals import conformal_offsets
from forecasting.samples import sampler


def walks(count=400, steps=5, seed=0):
    return np.random.default_rng(seed).normal(size=(count, steps)).cumsum(axis=1)


def test_the_paths_spread_as_the_quantiles_do():
    rows = walks()
    drawn = sampler(rows, count=500).draw(seed=1, name="a")
    low, high = conformal_offsets(rows, levels=(0.1, 0.9))
    inside = ((drawn >= low) & (drawn <= high)).mean(axis=0)
    assert inside == pytest.approx(np.full(5, 0.8), abs=0.01)


def test_the_steps_of_a_path_move_together_as_errors_did():
    rows = walks()
    drawn = sampler(rows, count=500).draw(seed=1, name="a")
    together = [np.corrcoef(one[:, 0], one[:, 1])[0, 1] for one in (rows, drawn)]
    assert together[1] == pytest.approx(together[0], abs=0.1)


def test_a_draw_can_be_made_again_and_differs_between_series():
    paths = sampler(walks(), count=20)
    one, again, other = (
        paths.draw(seed=3, name=name).tolist() for name in ("a", "a", "b")
    )
    assert one == again
    assert one != other


def test_without_two_whole_windows_nothing_can_be_drawn():
    rows = np.array([[1.0, np.nan], [2.0, 3.0]])
    assert not sampler(rows, count=3).draw(seed=0, name="a").any()
