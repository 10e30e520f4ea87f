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


def raise_error(text: str) -> None:
    raise ConnectionError(text)


PASSWORD = "pa55word-of-9"
KEY = "fbk_" + "Ab3-_" * 8


@pytest.mark.parametrize(
    "text",
    [
        f"could not connect to postgresql://forebay:{PASSWORD}@db:5432/forebay",
        f"amqp://user:{PASSWORD}@x/%2F and amqp://user:with@{PASSWORD}@x/",
        f"Authorization: Bearer {PASSWORD}",
        f'{{"authorization": "Basic {PASSWORD}"}}',
        f"the key {KEY} is unknown",
        f"password={PASSWORD}&user=x",
        f'{{"api_key": "{PASSWORD}"}}',
        f"X-Api-Key: {PASSWORD}",
    ],
)
def test_a_secret_is_masked_in_a_text(lines, text):
    log = logging.getLogger("a")
    log.info(text)
    log.info("x", extra={"detail": text, "inner": {"more": [text]}})
    log.info("y", extra={"error": ValueError(text)})
    try:
        raise_error(text)
    except ConnectionError:
        log.exception("failed")
    told = lines()
    assert len(told) == 4
    assert PASSWORD not in json.dumps(told)
    assert KEY not in json.dumps(told)
    assert "***" in told[0]["event"]
    assert "***" in told[1]["inner"]["more"][0]
    assert "***" in told[3]["exception"]
    assert "ConnectionError" in told[3]["exception"]


def test_headers_that_are_logged_whole_lose_their_secrets(lines):
    headers = {"Authorization": f"Bearer {KEY}", "Cookie": PASSWORD, "Accept": "*/*"}
    logging.getLogger("a").info("x", extra={"headers": headers})
    (line,) = lines()
    assert line["headers"] == {"Authorization": "***", "Cookie": "***", "Accept": "*/*"}


@pytest.mark.parametrize(
    "text",
    [
        "GET http://127.0.0.1:8080/v1/jobs took 12 ms",
        "job_01a1fc1c874a775aaf38adc354132cfc: attempt ended: timeout",
        "worker node-17-ab12cd@host lost 3:4@5",
        "ratio a:b, 12:30:01, x=1",
    ],
)
def test_a_text_without_a_secret_is_left_as_it_is(lines, text):
    logging.getLogger("a").info(text, extra={"count": 3, "share": 0.5, "on": True})
    (line,) = lines()
    assert (line["event"], line["count"], line["share"]) == (text, 3, 0.5)
    assert line["on"] is True
