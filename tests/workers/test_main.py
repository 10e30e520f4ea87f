"""The processes of the door, as their commands start them."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from db import processes
from tests.db import rows
from tests.db.patience import until
from tests.workers.beat import environ_of

ROOT = Path(__file__).parents[2]
ROLES = {"worker", "dispatcher", "beat"}


def _environ(**more: str) -> dict[str, str]:
    kept = {
        name: text
        for name, text in os.environ.items()
        if not name.startswith("FOREBAY")
    }
    return {**kept, **more}


def _refused(*words: str, **environ: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "workers", *words],
        cwd=ROOT,
        env=_environ(**environ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    return done.stderr


def test_an_unknown_role_is_refused_with_the_known_ones():
    told = _refused("manager")
    assert "invalid choice: 'manager'" in told
    assert "beat" in told
    assert "flower" in told


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({}, "FOREBAY_DATABASE_URL is not set"),
        (
            {"FOREBAY_DATABASE_URL": "postgresql://h/d", "FOREBAY_LEAS_S": "1"},
            "unknown settings: FOREBAY_LEAS_S",
        ),
    ],
)
def test_a_process_with_unusable_settings_says_which(environ, words):
    assert words in _refused("dispatcher", **environ)


@pytest.mark.servers
@pytest.mark.slow
def test_worker_dispatcher_and_beat_run_a_job_and_end_when_told(
    settings, database, tenant_id
):
    started = {
        role: subprocess.Popen(
            [sys.executable, "-m", "workers", role],
            cwd=ROOT,
            env=_environ(**environ_of(settings)),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        for role in ROLES
    }

    def roles() -> set[str]:
        with database.system() as connection:
            return {one.role for one in processes.alive(connection)}

    try:
        job_id = rows.queued(database, tenant_id, params={"payload": {"a": 1}})
        until(lambda: rows.job(database, tenant_id, job_id).state == "succeeded")
        until(lambda: roles() == ROLES)
        for process in started.values():
            process.send_signal(signal.SIGTERM)
        codes = {role: process.wait(90) for role, process in started.items()}
    finally:
        for process in started.values():
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    assert codes == dict.fromkeys(ROLES, 0)
    assert roles() == set()
    result = rows.value(database, "SELECT body FROM job_results")
    assert result == {"payload": {"a": 1}}
