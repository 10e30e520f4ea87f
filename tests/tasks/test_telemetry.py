"""Logs: one JSON object a line, with the job's ids and without secrets."""

import io
import json
import logging
from collections.abc import Callable, Iterator

import pytest
import structlog

from tasks import telemetry

QUIET = ("celery.worker.strategy", "celery.app.trace")


@pytest.fixture
def lines(monkeypatch) -> Iterator[Callable[[], list[dict]]]:
    """Configure the logs, and give back all that was logged; undone after."""
    stderr = io.StringIO()
    monkeypatch.setattr("sys.stderr", stderr)
    root = logging.getLogger()
    kept = (root.handlers, root.level)
    quiet = [logging.getLogger(name) for name in QUIET]
    levels = [logger.level for logger in quiet]
    telemetry.configure("INFO")
    yield lambda: [json.loads(line) for line in stderr.getvalue().splitlines()]
    root.handlers = kept[0]
    root.setLevel(kept[1])
    for logger, level in zip(quiet, levels, strict=True):
        logger.setLevel(level)


def test_a_line_is_one_json_object_with_time_level_and_logger(lines):
    logging.getLogger("workers.runner").warning("ran %d times", 2)
    (line,) = lines()
    assert line["event"] == "ran 2 times"
    assert (line["level"], line["logger"]) == ("warning", "workers.runner")
    assert line["timestamp"].endswith("Z")


def test_what_a_caller_adds_is_in_the_line(lines):
    logging.getLogger("a").info("x", extra={"queue": "system", "depth": 3})
    (line,) = lines()
    assert (line["queue"], line["depth"]) == ("system", 3)


def test_the_ids_of_the_job_at_hand_are_in_each_of_its_lines(lines):
    log = logging.getLogger("a")
    with structlog.contextvars.bound_contextvars(job_id="job_1", attempt=2):
        log.info("within")
    log.info("after")
    within, after = lines()
    assert (within["job_id"], within["attempt"]) == ("job_1", 2)
    assert "job_id" not in after


@pytest.mark.parametrize(
    "name", ["password", "secret_key", "API_KEY", "Authorization", "access_token"]
)
def test_a_secret_is_masked_by_its_name(lines, name):
    logging.getLogger("a").info("x", extra={name: "hush", "tenant": "t"})
    with structlog.contextvars.bound_contextvars(**{name: "hush"}):
        logging.getLogger("a").info("y")
    first, second = lines()
    assert (first[name], second[name], first["tenant"]) == ("***", "***", "t")


def test_a_traceback_stays_in_its_line(lines):
    try:
        {}["two\nlines"]
    except KeyError:
        logging.getLogger("a").exception("failed")
    (line,) = lines()
    assert "KeyError" in line["exception"]
    assert "Traceback" in line["exception"]


def test_a_value_that_is_no_json_is_shown_all_the_same(lines):
    logging.getLogger("a").info("x", extra={"odd": {1, 2}, "text": "a\nb"})
    (line,) = lines()
    assert line["odd"] == repr({1, 2})
    assert line["text"] == "a\nb"


def test_lower_levels_are_left_out(lines):
    logging.getLogger("a").debug("too fine")
    logging.getLogger("celery.app.trace").info("task succeeded")
    assert lines() == []


@pytest.mark.usefixtures("lines")
def test_configuring_twice_does_not_log_twice():
    telemetry.configure("INFO")
    assert len(logging.getLogger().handlers) == 1
