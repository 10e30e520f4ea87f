"""``python -m bench.loading``: observations into versions, beside a bare COPY.

The bare side copies the same rows, rendered beforehand, into a table without an index,
as text and in binary; making the rows of a load is not counted either. Each load runs
in a process of its own, whose memory is measured.
"""

import json
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg

from bench.clock import Clock, Given, alone, peak_mb
from bench.drawn import draw, told, verdict
from bench.plans import asked
from bench.servers import running_servers
from db import copy_binary, keys, loads, migrate, observation_export, observations
from db.session import Database

if TYPE_CHECKING:
    import pyarrow as pa

AIMS = {"all new": 0.10, "unchanged": 0.40, "5 % revised": 0.30}
_MOST_MB = 300
_EXPORT_MB = 200
_READ_MS = 100
_REPEATS = 9
_BATCH = 50_000
_DAYS = {"all new": 0, "unchanged": 1, "5 % revised": 2}
_NOW = datetime(2026, 3, 1, tzinfo=UTC)
_RAW = "CREATE TABLE raw (series integer, ts timestamptz, value double precision)"
_BACKEND = "SELECT pg_backend_pid()"
_WAL = "SELECT pg_current_wal_lsn() - '0/0'::pg_lsn"


@dataclass(frozen=True)
class Plan:
    """How many rows there are, each series with as many hours."""

    rows: int = 1_000_000
    hours: int = 2_000
    big: int = 5_000_000
    rounds: int = 3


@dataclass(frozen=True)
class Panel:
    """Series of hourly observations, some of which are one more than they were."""

    rows: int
    hours: int
    revised: float = 0.0


@dataclass(frozen=True)
class Run:
    """What one step took, the most memory its process had, and what it wrote.

    The processor's time is that of the process and of its connection in the server: it
    holds beside other work, which the seconds do not.
    """

    seconds: float
    cpu_s: float = 0.0
    peak_mb: float = 0.0
    changed: int = 0
    wal_mb: float = 0.0


@dataclass(frozen=True)
class Line:
    """A step beside both bare copies of its round: medians."""

    name: str
    rows_per_s: float
    of_text: float
    of_binary: float
    of_text_cpu: float
    peak_mb: float
    wal_mb: float
    aim: float | None = None


def batches(panel: Panel) -> Iterator["pa.RecordBatch"]:
    """Yield the rows of a panel, by series and time."""
    import numpy as np  # noqa: PLC0415 - only where a load is measured
    import pyarrow as pa  # noqa: PLC0415 - same

    names = [f"bench.{at:06d}.hourly" for at in range(panel.rows // panel.hours)]
    keys_of = pa.array(names, pa.string())
    start = np.datetime64("2014-01-01", "us")
    for first in range(0, panel.rows, _BATCH):
        at = np.arange(first, min(first + _BATCH, panel.rows))
        values = 100 * np.sin(at * 0.37) + at % 17
        values += at * 7919 % 1000 < 1000 * panel.revised
        ts = pa.array(start + (at % panel.hours).astype("m8[h]"))
        columns = [
            keys_of.take(pa.array(at // panel.hours)),
            ts.cast(pa.timestamp("us", "UTC")),
            pa.array(values),
            pa.array(at + 1),
        ]
        yield pa.RecordBatch.from_arrays(
            columns, names=["series_key", "ts", "value", "row_no"]
        )


def load(url: str, tenant_id: int, panel: Panel, day: int) -> Run:
    """Load a panel as a worker does, in one transaction."""
    database = Database(url, pool_size=1, name="bench")
    wal = _number(url, _WAL)
    with database.tenant(tenant_id) as connection:
        backend = connection.exec_driver_sql(_BACKEND).scalar_one()
    given, clock = Given(batches(panel)), Clock(backend)
    with database.tenant(tenant_id) as connection:
        staged = loads.stage(connection, given)
        loaded = loads.merge(
            connection,
            staged=staged,
            tenant_id=tenant_id,
            run_id="run_" + "0" * 32,
            now=_NOW + timedelta(days=day),
        )
    seconds, cpu_s = clock.read()
    database.close()
    changed = loaded.written + loaded.revised
    wal_mb = (_number(url, _WAL) - wal) / 2**20
    seconds, cpu_s = seconds - given.seconds, cpu_s - given.cpu_s
    return Run(seconds, cpu_s, peak_mb(), changed, wal_mb)


def copy(url: str, panel: Panel, form: str) -> Run:
    """Copy the rows of a panel, rendered beforehand, into a bare table."""
    pieces = [*(_text(panel) if form == "text" else _binary(panel))]
    with psycopg.connect(url, options="-c timezone=UTC") as connection:
        connection.execute("DROP TABLE IF EXISTS raw")
        connection.execute(_RAW)
        connection.commit()
        clock = Clock(connection.info.backend_pid)
        into = f"COPY raw FROM STDIN (FORMAT {form})"
        with connection.cursor().copy(into) as copied:
            for piece in pieces:
                copied.write(piece)
        connection.commit()
        seconds, cpu_s = clock.read()
        connection.execute("DROP TABLE raw")
    return Run(seconds, cpu_s)


def export(url: str, tenant_id: int) -> Run:
    """Stream all that is current as Arrow batches."""
    with psycopg.connect(url) as connection:
        named = dict(connection.execute("SELECT id, key FROM series ORDER BY id"))
    database = Database(url, pool_size=1, name="bench")
    began = time.perf_counter()
    with database.tenant(tenant_id) as connection:
        rows = sum(
            batch.num_rows
            for batch in observation_export.stream_many(connection, series=named)
        )
    return Run(time.perf_counter() - began, 0.0, peak_mb(), rows)


def read(url: str, tenant_id: int, stretch: dict[str, Any]) -> Run:
    """Read one series; the median of some warm calls."""
    database = Database(url, pool_size=1, name="bench")
    series_id = int(_number(url, "SELECT min(id) FROM series"))
    times = []
    with database.tenant(tenant_id) as connection:
        backend = connection.exec_driver_sql(_BACKEND).scalar_one()
        for _ in range(_REPEATS + 2):
            clock = Clock(backend)
            found = observations.read(connection, series_id=series_id, **stretch)
            times.append(clock.read())
    seconds, cpu_s = zip(*times[2:], strict=True)
    return Run(
        statistics.median(seconds), statistics.mean(cpu_s), peak_mb(), len(found[0])
    )


def _text(panel: Panel) -> Iterator[bytes]:
    import pyarrow as pa  # noqa: PLC0415 - only where a load is measured
    from pyarrow import csv  # noqa: PLC0415 - same

    how = csv.WriteOptions(include_header=False, delimiter="\t", quoting_style="none")
    for batch in batches(panel):
        sink = pa.BufferOutputStream()
        columns = [
            _numbers(batch, panel),
            batch["ts"].cast(pa.string()),
            batch["value"],
        ]
        csv.write_csv(pa.table(columns, names=["s", "t", "v"]), sink, how)
        yield sink.getvalue().to_pybytes()


def _binary(panel: Panel) -> Iterator[bytes]:
    import pyarrow as pa  # noqa: PLC0415 - only where a load is measured
    import pyarrow.compute as pc  # noqa: PLC0415 - same

    yield copy_binary.HEADER
    for batch in batches(panel):
        ts = pc.subtract(batch["ts"].cast(pa.int64()), copy_binary.EPOCH_US)
        columns = ((4, _numbers(batch, panel)), (8, ts), (8, batch["value"]))
        yield bytes(
            copy_binary.weave(
                [(width, memoryview(column.buffers()[1])) for width, column in columns]
            )
        )
    yield copy_binary.TRAILER


def _numbers(batch: "pa.RecordBatch", panel: Panel) -> "pa.Array":
    import pyarrow as pa  # noqa: PLC0415 - only where a load is measured

    return pa.array(batch["row_no"].to_numpy() // panel.hours, pa.int32())


def _number(url: str, query: str) -> float:
    with psycopg.connect(url) as connection:
        row = connection.execute(query).fetchone()  # type: ignore[call-overload]
    return float(row[0])


def compare(
    name: str, rows: int, runs: Sequence[Run], bare: Sequence[tuple[Run, Run]]
) -> Line:
    """Return a step's medians, and those of its ratios to the copies of its round."""
    pairs = [*zip(runs, bare, strict=True)]
    return Line(
        name,
        statistics.median(rows / run.seconds for run in runs),
        statistics.median(text.seconds / run.seconds for run, (text, _) in pairs),
        statistics.median(binary.seconds / run.seconds for run, (_, binary) in pairs),
        statistics.median(text.cpu_s / run.cpu_s for run, (text, _) in pairs),
        max(run.peak_mb for run in runs),
        statistics.median(run.wal_mb for run in runs),
        AIMS.get(name),
    )


def measure(postgres: Any, plan: Plan) -> list[Line]:
    """Load beside bare copies, a database for each round."""
    bare: list[tuple[Run, Run]] = []
    runs: dict[str, list[Run]] = {name: [] for name in AIMS}
    for number in range(plan.rounds):
        url, tenant_id = new_database(postgres, f"loading_{number}")
        for name in AIMS:
            revised = 0.05 if "revised" in name else 0.0
            panel = Panel(plan.rows, plan.hours, revised)
            runs[name].append(alone(load, url, tenant_id, panel, _DAYS[name]))
        panel = Panel(plan.rows, plan.hours)
        bare.append(
            (alone(copy, url, panel, "text"), alone(copy, url, panel, "binary"))
        )
        postgres.drop_database(f"loading_{number}")
    lines = [compare(name, plan.rows, runs[name], bare) for name in AIMS]
    for at, form in enumerate(("text", "binary")):
        copies = [pair[at] for pair in bare]
        lines.append(compare(f"bare COPY, {form}", plan.rows, copies, bare))
    return lines


def large(postgres: Any, plan: Plan) -> list[Line]:
    """Load many rows once and once more, beside bare copies of as many."""
    url, tenant_id = new_database(postgres, "loading_big")
    panel = Panel(plan.big, plan.hours)
    runs = [alone(load, url, tenant_id, panel, day) for day in range(2)]
    bare = [(alone(copy, url, panel, "text"), alone(copy, url, panel, "binary"))]
    postgres.drop_database("loading_big")
    return [
        compare(f"{plan.big:,} rows, {name}", plan.big, [run], bare)
        for name, run in zip(("all new", "unchanged"), runs, strict=True)
    ]


def reads(postgres: Any, plan: Plan) -> list[tuple[str, Run, float, float]]:
    """Read 100,000 points out of nearly two versions each; export all series.

    Returns:
        Of each: its name, the run, and the aims in ms and in MB; 0 for none.
    """
    url, tenant_id = new_database(postgres, "loading_reads")
    points = plan.rows // 10
    for day, revised in enumerate((0.0, 0.83)):
        alone(load, url, tenant_id, Panel(plan.rows, points, revised), day)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE obs_version, obs_current")
    then, now = _NOW + timedelta(hours=1), _NOW + timedelta(days=9)
    asked: dict[str, dict[str, Any]] = {
        "read, current": {},
        "read, as of before the revisions": {"as_of": then},
        "read, as of after them": {"as_of": now},
        "read, received by then": {"as_of": then, "known_by": "received"},
    }
    found = [
        (name, alone(read, url, tenant_id, stretch), float(_READ_MS), 0.0)
        for name, stretch in asked.items()
    ]
    found.append(("export", alone(export, url, tenant_id), 0.0, float(_EXPORT_MB)))
    postgres.drop_database("loading_reads")
    return found


def new_database(postgres: Any, name: str) -> tuple[str, int]:
    """Make a database with all tables; return its address and a tenant."""
    url = postgres.create_database(name)
    migrate.upgrade(url)
    database = Database(url, pool_size=0, name="bench")
    with database.system() as connection:
        return url, keys.ensure_tenant(connection, name="bench")


def table(lines: Sequence[Line]) -> str:
    """Return the loads as a table."""
    head = (
        *("", "rows/s", "of text", "aim", "", "of text, CPU", "of binary", "MB"),
        "WAL MB",
    )
    return draw(
        head,
        [
            (
                line.name,
                f"{line.rows_per_s:,.0f}",
                f"{line.of_text:.1%}",
                f">= {line.aim:.0%}" if line.aim else "",
                verdict(line.of_text >= line.aim if line.aim else None),
                f"{line.of_text_cpu:.1%}",
                f"{line.of_binary:.1%}",
                f"{line.peak_mb:.0f}",
                f"{line.wal_mb:,.1f}",
            )
            for line in lines
        ],
    )


def reads_table(found: Sequence[tuple[str, Run, float, float]]) -> str:
    """Return the reads as a table."""
    rows = []
    for name, run, most_ms, most_mb in found:
        ms = run.seconds * 1_000
        aim = f"< {most_ms:.0f} ms" if most_ms else f"< {most_mb:.0f} MB"
        met = ms < most_ms if most_ms else run.peak_mb < most_mb
        cpu = f"{run.cpu_s * 1_000:,.0f}" if run.cpu_s else ""
        numbers = (f"{run.changed:,}", f"{ms:,.1f}", cpu, f"{run.peak_mb:.0f}")
        rows.append((name, *numbers, aim, verdict(met)))
    return draw(("", "points", "ms", "CPU ms", "MB", "aim", ""), rows)


def main(words: list[str]) -> None:
    """Measure and print."""
    given = asked(Plan, words, name="loading", about=__doc__)
    plan = given.plan
    with running_servers(broker=False) as servers:
        lines = measure(servers.postgres, plan)
        lines += large(servers.postgres, plan) if plan.big else []
        found = reads(servers.postgres, plan)
        about = servers.about
    if given.json:
        shown = [asdict(line) for line in lines]
        shown += [{"name": name, **asdict(run)} for name, run, _, _ in found]
        print(json.dumps({"plan": asdict(plan), "machine": about, "lines": shown}))
        return
    done = (
        f"Medians of {plan.rounds} rounds of {plan.rows:,} rows, {plan.hours:,} hours "
        "of each series; a ratio is that of a round,\nand the verdict that to text. "
        f"A load stays below {_MOST_MB} MB whatever its size.\n\n{reads_table(found)}"
    )
    print(told(table(lines), done, about))


if __name__ == "__main__":
    main(sys.argv[1:])
