"""Trees in the children of a process that has used them."""

import os
import subprocess
import sys

import pytest

PARENT = """
import os, signal, sys
import numpy as np
from forecasting.models import registered_models
from tests.forecasting.test_trees import panel_of
from tests.forecasting.synthetic import wave

model = registered_models()[sys.argv[1]]
cases = panel_of([wave(60, season=7, noise=1.0, seed=s) for s in range(2)])
kept = model.fit(cases)
before = kept.predict(cases)
child = os.fork()
if not child:
    signal.alarm(10)
    again = model.fit(cases).predict(cases)
    restored = model.restore(kept.state()).predict(cases)
    same = all(
        a.tobytes() == b.tobytes() == c.tobytes()
        for a, b, c in zip(before, again, restored, strict=True)
    )
    os._exit(0 if same else 1)
assert os.waitpid(child, 0)[1] == 0
"""


@pytest.mark.parametrize("name", ["lightgbm", "xgboost"])
def test_a_forked_child_trains_predicts_and_restores_after_its_parent(name):
    environ = os.environ | {"OMP_NUM_THREADS": "1"}
    # The alarm ends a child that hangs: OpenMP does not survive the fork of a parent
    # that ever used more than one thread.
    subprocess.run(
        [sys.executable, "-c", PARENT, name], check=True, timeout=60, env=environ
    )
