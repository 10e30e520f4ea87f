"""Runs of sources and of uploads as a worker makes them, and the files of uploads."""

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import psutil
import psycopg

from bench.clock import peak_mb
from bench.ingest_sources import KINDS, NOW, START, filled
from bench.loading import Panel, Run, batches, copy
from db import uploads
from db.ids import new_id
from db.session import Database
from tasks.errors import JobCancelled
from tasks.ingest import IngestParams, run
from tests.tasks.source_runs import Desk, SourceAttempt

if TYPE_CHECKING:
    import pyarrow as pa

_SERIES = 10  # of a bare copy; how many makes no difference to it
_BAD = "bench.bad,2014-13-01T00:00:00Z,1\n"


@dataclass(frozen=True)
class Where:
    """The database, the tenant, and the folder of archive and uploads."""

    url: str
    tenant_id: int
    folder: str


@dataclass(frozen=True)
class Done:
    """What a run took, the most memory its process had, and what it stored."""

    seconds: float
    cpu_s: float
    peak_mb: float
    rows: int
    written: int
    told: dict[str, Any]


def rehearse(where: Where, name: str, address: str, sizes: tuple[int, ...]) -> None:
    """Read a source in some sizes, so that its server has all answers ready."""
    for steps in sizes:
        pull(where, name, address, steps, f"rehearsal-{steps}")


def twice(act: Callable[..., Done], warm: tuple[Any, ...], *asked: Any) -> list[Done]:
    """Do something small, as a worker has before, and then something twice."""
    act(*warm)
    return [act(*asked) for _ in range(2)]


def bare(url: str, rows: int) -> Run:
    """Copy as many rows in text; the median of three, since a small copy is short."""
    panel = Panel(rows, rows // _SERIES)
    copies = [copy(url, panel, "text") for _ in range(3)]
    return sorted(copies, key=lambda one: one.seconds)[1]


def pull(where: Where, name: str, address: str, steps: int, source: str) -> Done:
    """Read so many steps of a source; it is made if it is not there yet."""
    kind = KINDS[name]
    with _desk(where) as desk, _unhindered(kind.secrets):
        if not desk.rows("SELECT id FROM sources WHERE name = :name", name=source):
            desk.source(source, kind.connector, filled(kind.config, address))
        window = {"start": START, "end": START + steps * kind.step, "now": NOW}
        used, began = _used(where.url), time.perf_counter()
        result = desk.run(source, mode="backfill", **window)
        seconds, cpu_s = time.perf_counter() - began, _used(where.url) - used
    if result["failed"]:
        raise RuntimeError(str(result["failed"][0]))
    stored = sum(result[count] for count in ("written", "revised", "unchanged"))
    told = {"partitions": result["windows_total"], "rejected": result["rejected"]}
    written = result["written"] + result["revised"]
    return Done(seconds, cpu_s, peak_mb(), stored, written, told)


def upload(where: Where, upload_id: str) -> Done:
    """Load an uploaded file."""
    with _desk(where) as desk:
        context = desk.attempt(now=NOW)
        used, began = _used(where.url), time.perf_counter()
        result = _loaded(context, upload_id)
        seconds, cpu_s = time.perf_counter() - began, _used(where.url) - used
    stored = sum(result[count] for count in ("written", "revised", "unchanged"))
    told = {
        "rejected_total": result["rejected_total"],
        "first_rejected": [one["row"] for one in result["rejected"][:3]],
        "listed": len(result["rejected"]),
    }
    written = result["written"] + result["revised"]
    return Done(seconds, cpu_s, peak_mb(), stored, written, told)


def cancelled(where: Where, upload_id: str) -> Done:
    """Load half of an uploaded file, until the job is cancelled."""
    began = time.perf_counter()
    with _desk(where) as desk:
        context = _Cancelled(**vars(desk.attempt(now=NOW)))
        try:
            _loaded(context, upload_id)
        except JobCancelled:
            counted = "SELECT (SELECT count(*) FROM {}) + (SELECT count(*) FROM {})"
            tables = ("obs_version", "series")
            left = desk.rows(counted.format(*tables))[0][0]
            return Done(time.perf_counter() - began, 0.0, peak_mb(), 0, left, {})
    raise RuntimeError("the job was not cancelled")


class _Cancelled(SourceAttempt):
    """An attempt of a job that is cancelled once half of its file is read."""

    def progress(self, done: int, total: int, *_: str) -> None:
        """See JobContext."""
        if 2 * done >= total:
            raise JobCancelled


def put(where: Where, panel: Panel, *, bad_every: int = 0) -> tuple[str, int]:
    """Write a panel as an uploaded CSV file; return its id and its size.

    Args:
        where: the folder and the database.
        panel: the rows.
        bad_every: after how many rows comes a bad one; 0 for never.
    """
    upload_id = new_id("upl")
    folder = Path(where.folder) / "uploads" / str(where.tenant_id)
    folder.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with (folder / upload_id).open("wb") as file:
        for piece in _pieces(panel, bad_every):
            digest.update(piece)
            file.write(piece)
    size = (folder / upload_id).stat().st_size
    with _desk(where) as desk, desk.database.tenant(where.tenant_id) as connection:
        uploads.create(
            connection,
            tenant_id=where.tenant_id,
            upload_id=upload_id,
            filename="bench.csv",
            content_type="text/csv",
            size=size,
            sha256=digest.hexdigest(),
        )
    return upload_id, size


def _pieces(panel: Panel, bad_every: int) -> Iterator[bytes]:
    yield b"series,ts,value\n"
    number = 0
    for batch in batches(panel):
        lines = _lines(batch)
        if bad_every:
            at = range(bad_every - number % bad_every, len(lines) + 1, bad_every)
            for place in reversed(at):
                lines.insert(place, _BAD)
        number += len(batch)
        yield "".join(lines).encode()


def _lines(batch: "pa.RecordBatch") -> list[str]:
    import pyarrow as pa  # noqa: PLC0415 - only where a file is written
    import pyarrow.compute as pc  # noqa: PLC0415 - only where a file is written

    ts = pc.strftime(
        batch["ts"].cast(pa.timestamp("s", "UTC")), format="%Y-%m-%dT%H:%M:%SZ"
    )
    columns = (batch["series_key"], ts, batch["value"])
    cells = (column.to_pylist() for column in columns)
    return [f"{key},{at},{value!r}\n" for key, at, value in zip(*cells, strict=True)]


def _loaded(context: SourceAttempt, upload_id: str) -> dict[str, Any]:
    outcome = run(IngestParams(upload=upload_id), context)
    if outcome.store is None:
        raise RuntimeError("the job stores nothing")
    with context.read() as connection:
        return {**outcome.result, **outcome.store(connection)}


def _used(url: str) -> float:
    """Return the processor's time of this process, and of its side of the server."""
    used = time.process_time()
    with psycopg.connect(url) as connection:
        query = "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
        for (pid,) in connection.execute(query):
            if pid != connection.info.backend_pid:
                times = psutil.Process(pid).cpu_times()
                used += times.user + times.system
    return used


@contextmanager
def _desk(where: Where) -> Iterator[Desk]:
    database = Database(where.url, pool_size=2, name="bench")
    try:
        yield Desk(database, where.tenant_id, Path(where.folder))
    finally:
        database.close()


@contextmanager
def _unhindered(secrets: Any) -> Iterator[None]:
    """Leave out what depends on the publisher: its pace, and a stored credential."""
    with (
        patch("tasks.outside._secrets", lambda *_: dict(secrets)),
        patch("db.rate_limits.take", lambda *_, **__: 0.0),
        patch("tasks.outside.pausing", _no_pause),
    ):
        yield


def _no_pause(*_: Any) -> None:
    raise RuntimeError("a request failed, and would be tried again")
