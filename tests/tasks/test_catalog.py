"""The catalogue finds every job type, and refuses what could never run."""

import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import tasks
from tasks.catalog import QUEUES, Limits, Params, Retry, filled_in, job_types
from tasks.context import Outcome

ROOT = Path(tasks.__file__).parents[1]


def _another(params, context) -> Outcome:
    return Outcome({})


def _handler(params, context) -> Outcome:
    """Return nothing much.

    This line is not part of the summary.
    """
    return Outcome({})


def test_the_catalogue_holds_the_job_types_of_this_folder():
    assert set(job_types()) >= {
        "analysis.run",
        "forecast.run",
        "ingest.run",
        "system.echo",
    }
    assert list(job_types()) == sorted(job_types())


@pytest.mark.parametrize("kind", job_types().values(), ids=lambda kind: kind.name)
def test_every_job_type_is_complete(kind):
    assert kind.queue in QUEUES
    assert kind.summary.endswith(".")
    assert issubclass(kind.params, Params)
    assert kind.timeout_s > 0
    assert kind.max_attempts > 0
    assert kind.handler.__module__.startswith("tasks.")


def test_the_schema_says_which_fields_only_the_platform_fills_in():
    kind = job_types()["ingest.run"].params
    assert filled_in(kind) == ["partition", "tier"]
    said = kind.model_json_schema()["properties"]
    assert {name for name, one in said.items() if one.get("readOnly")} == {
        "partition",
        "tier",
    }


@pytest.mark.parametrize("kind", job_types().values(), ids=lambda kind: kind.name)
def test_every_field_of_every_job_type_that_a_client_sends_is_closed(kind):
    schema = kind.params.model_json_schema()
    assert schema["additionalProperties"] is False
    assert kind.params.model_config["frozen"]


def test_the_catalogue_cannot_be_changed_by_a_reader():
    with pytest.raises(TypeError):
        job_types()["mine"] = None


def test_a_registered_handler_stays_a_plain_function(register):
    limits = Limits(timeout_s=7, max_attempts=1, retry=Retry(factor=3.0))
    register(_handler, name="test.job", queue="ingest", limits=limits)
    kind = job_types()["test.job"]
    assert kind.handler is _handler
    assert kind.summary == "Return nothing much."
    assert (kind.queue, kind.timeout_s, kind.max_attempts) == ("ingest", 7, 1)
    assert kind.retry.factor == 3.0
    assert (kind.table, kind.parts) == (None, None)


def test_the_platform_decides_what_a_job_type_leaves_open(register):
    register(_handler, name="test.job")
    kind = job_types()["test.job"]
    assert (kind.timeout_s, kind.max_attempts, kind.retry) == (600, 3, Retry())


@pytest.mark.parametrize("name", ["forecast.run", "analysis.run"])
def test_job_types_over_series_can_be_split(name):
    assert job_types()[name].parts is not None


def test_two_handlers_cannot_have_one_name(register):
    register(_handler, name="test.job")
    register(_handler, name="test.job")
    with pytest.raises(ValueError, match=r"job type test\.job is registered twice"):
        register(_another, name="test.job")
    assert job_types()["test.job"].handler is _handler


def test_a_queue_that_no_worker_consumes_is_refused(register):
    with pytest.raises(ValueError, match="no worker consumes the queue 'fast'"):
        register(_handler, name="test.job", queue="fast")
    assert "test.job" not in job_types()


def test_every_file_of_the_folder_can_be_imported():
    assert {module.name for module in pkgutil.iter_modules(tasks.__path__)} >= {
        "catalog",
        "echo",
        "forecast",
    }


def test_reading_the_catalogue_imports_no_science():
    """The web door reads it at each start, and must not pay for numpy."""
    code = (
        "import sys; from tasks.catalog import job_types; "
        "assert job_types(); "
        "print(sorted({'numpy', 'pandas', 'pyarrow', 'celery', 'flask', 'lightgbm'}"
        " & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"
