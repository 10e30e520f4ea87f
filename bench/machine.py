"""What the numbers were measured on: processor, disk, versions."""

import importlib.metadata
import os
import platform
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import psutil
import psycopg

_DISTRIBUTIONS = ("celery", "gunicorn", "Flask", "psycopg")
_SYNCS = 200


def describe(database_url: str) -> dict[str, str]:
    """Return what a reader needs to judge the numbers, by name."""
    with psycopg.connect(database_url) as connection:
        postgres = connection.info.parameter_status("server_version")
        fsync = connection.execute("SHOW fsync").fetchone()
    versions = [f"{name} {importlib.metadata.version(name)}" for name in _DISTRIBUTIONS]
    return {
        "processor": f"{os.cpu_count()} x {_processor()}",
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": platform.platform(aliased=True),
        "one flush to disk": f"{_flush_ms():.1f} ms (median of {_SYNCS})",
        "load average before": f"{os.getloadavg()[0]:.1f}",
        "PostgreSQL": f"{postgres}, fsync {fsync[0] if fsync else 'unknown'}",
        "RabbitMQ": _version("rabbitmq-server"),
        "Redis": _version("redis-server"),
        "Python": f"{platform.python_version()}; {', '.join(versions)}",
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _flush_ms() -> float:
    """Return how long it takes until 8 KiB are on the disk, as PostgreSQL's log is."""
    times = []
    # A file with a name: the kernel need not write one that nobody can find again.
    with tempfile.NamedTemporaryFile(buffering=0) as file:
        for _ in range(_SYNCS):
            file.seek(0)
            file.write(b"x" * 8192)
            began = time.perf_counter()
            os.fsync(file.fileno())
            times.append(time.perf_counter() - began)
    return statistics.median(times) * 1_000


def _version(package: str) -> str:
    """Return the version of a Debian package."""
    command = ["dpkg-query", "--show", "--showformat=${Version}", package]
    try:
        return subprocess.check_output(command, text=True)  # noqa: S603 - our own words
    except (OSError, subprocess.CalledProcessError):
        return "in a container"
