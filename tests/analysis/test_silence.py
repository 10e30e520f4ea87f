import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.runs import find_flatlines, find_gaps
from analysis.silence import Silence

pieces = st.lists(
    st.tuples(st.sampled_from(["rise", "flat", "gap"]), st.integers(1, 25)),
    min_size=1,
    max_size=25,
)


def series(drawn):
    values, level = [], 0.0
    for kind, length in drawn:
        for _ in range(length):
            level += kind == "rise"
            values.append(math.nan if kind == "gap" else level)
    return np.array(values)


@settings(deadline=None, max_examples=60)
@given(drawn=pieces)
def test_runs_counted_as_they_come_are_those_found_in_the_whole(drawn):
    values = series(drawn)
    kept = Silence()
    for value in values:
        kept.add(value)
    gaps, _ = find_gaps(values)
    last = [run for run in gaps if run.stop == len(values)]
    length, _ = kept.gap()
    assert length == (last[0].stop - last[0].start if last else 0)
    if last:
        np.testing.assert_allclose(kept.missing.surprise(), last[0].surprise)
    flat = [run for run in find_flatlines(values) if run.stop == len(values)]
    length, least = kept.flatline()
    assert length == (flat[0].stop - flat[0].start if flat else 0)
    assert not flat or length >= least
    if flat:
        np.testing.assert_allclose(kept.equal.surprise(), flat[0].surprise)
