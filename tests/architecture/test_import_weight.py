"""The web door stays light: it reads the catalogue without the numeric stack."""

import json
import subprocess
import sys

import pytest

from tests.architecture import tree

HEAVY = {
    "numpy",
    "pandas",
    "scipy",
    "statsmodels",
    "lightgbm",
    "celery",
    "kombu",
    "pyarrow",
    "vl_convert",
    "forecasting",
    "analysis",
}


def loaded_by(statement: str) -> set[str]:
    """Return the packages that a fresh interpreter has loaded after a statement."""
    script = f"{statement}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    ended = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tree.ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return {
        name.partition(".")[0] for name in json.loads(ended.stdout.splitlines()[-1])
    }


CATALOGUE = "from tasks.catalog import job_types; job_types()"
DOCUMENT = """
from tasks.settings import Settings
from web.app import create_app
app = create_app(Settings(database_url="postgresql://x/y"))
assert app.test_client().get("/openapi.json").status_code == 200
"""


@pytest.mark.parametrize(
    "statement",
    ["import web.app", CATALOGUE, DOCUMENT],
    ids=["web", "catalogue", "document"],
)
def test_the_door_opens_without_the_numeric_stack(statement):
    loaded = loaded_by(statement)
    assert "tasks" in loaded
    assert loaded & HEAVY == set()


def test_the_measure_sees_a_heavy_import():
    assert "numpy" in loaded_by("import forecasting.losses")
