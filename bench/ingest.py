"""``python -m bench.ingest``: sources and uploads end to end, beside a bare COPY.

Timed is what a worker does with one run of a source: request over HTTP to a server on
this machine, raw archive, parse, stage, merge, ledger. Left out are the queue, the
publisher's pace, and the making of bodies: each was asked for once before.
"""

import json
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any

from bench import ingest_runs
from bench.clock import alone
from bench.drawn import draw, told, verdict
from bench.ingest_runs import Done, Where
from bench.ingest_sources import KINDS, shown
from bench.loading import Panel, Run, new_database
from bench.plans import asked
from bench.servers import running_servers

_MOST_MB = 300
_LINE = 59  # bytes of a row of an uploaded file, about
_BAD_EVERY = 100_000
_HOURS = 2_000
_TENTH = 10
_ONLY: dict[str, dict[str, Any]] = {
    "only": {"choices": [*KINDS], "nargs": "*", "default": [*KINDS]}
}


@dataclass(frozen=True)
class Plan:
    """How many rows are read: of pages, in one body, and of an upload."""

    rows: int = 100_000
    large: int = 1_000_000
    big_mb: int = 500
    rounds: int = 3


@dataclass(frozen=True)
class Line:
    """What is read, first and again, beside bare copies of as many rows: medians.

    Attributes:
        name: of the format.
        rows: of the large window.
        rows_per_s: of all new rows.
        of_copy: the same as a share of a bare COPY in the same round.
        of_copy_cpu: the same by the processor's time, which holds beside other work.
        again_rows_per_s: of a second run, which writes nothing.
        again_of_copy: the same as a share.
        again_of_copy_cpu: the same by the processor's time.
        small_mb: most memory with a tenth of the window.
        large_mb: most memory with all of it.
    """

    name: str
    rows: int
    rows_per_s: float
    of_copy: float
    of_copy_cpu: float
    again_rows_per_s: float
    again_of_copy: float
    again_of_copy_cpu: float
    small_mb: float
    large_mb: float


def measure(postgres: Any, plan: Plan, names: Sequence[str]) -> list[Line]:
    """Read each source and an upload, a database for each."""
    lines = []
    for name in names:
        lines.append(_source(postgres, plan, name))
        print(table(lines[-1:]), file=sys.stderr, flush=True)
    return [*lines, _upload(postgres, plan)]


def _source(postgres: Any, plan: Plan, name: str) -> Line:
    kind = KINDS[name]
    steps = (plan.large if kind.large else plan.rows) // kind.series
    with ExitStack() as open_:
        where = _where(postgres, open_)
        address = open_.enter_context(shown(name, steps))
        sizes = (steps // _TENTH, steps)
        alone(ingest_runs.rehearse, where, name, address, sizes)
        asked = name, address, steps // _TENTH, "small"
        warm = (where, *asked)
        small = alone(ingest_runs.pull, *warm)
        runs = []
        for number in range(plan.rounds):
            bare = alone(ingest_runs.bare, where.url, steps * kind.series)
            of_round = Where(where.url, where.tenant_id, f"{where.folder}/{number}")
            asked = name, address, steps, f"round-{number}"
            both = alone(ingest_runs.twice, ingest_runs.pull, warm, of_round, *asked)
            runs.append((bare, *both))
    return compared(name, runs, small)


def _upload(postgres: Any, plan: Plan) -> Line:
    with ExitStack() as open_:
        where = _where(postgres, open_)
        runs = []
        small_id, _ = ingest_runs.put(where, Panel(plan.large // _TENTH, _HOURS))
        warm = where, small_id
        small = alone(ingest_runs.upload, *warm)
        for _ in range(plan.rounds):
            here = _where(postgres, open_)
            upload_id, _ = ingest_runs.put(here, Panel(plan.large, _HOURS))
            bare = alone(ingest_runs.bare, here.url, plan.large)
            both = alone(ingest_runs.twice, ingest_runs.upload, warm, here, upload_id)
            runs.append((bare, *both))
    return compared("an upload, CSV", runs, small)


def big(postgres: Any, plan: Plan) -> list[tuple[str, Done, str]]:
    """Load a file far larger than memory may be, and cancel such a load half-way."""
    rows = plan.big_mb * 1_000_000 // _LINE // _HOURS * _HOURS
    with ExitStack() as open_:
        where = _where(postgres, open_)
        panel = Panel(rows, _HOURS)
        upload_id, size = ingest_runs.put(where, panel, bad_every=_BAD_EVERY)
        gone = alone(ingest_runs.cancelled, where, upload_id)
        whole = alone(ingest_runs.upload, where, upload_id)
    name = f"{size / 1e6:,.0f} MB of CSV"
    found = whole.told
    errors = f"{found['rejected_total']} bad rows, first {found['first_rejected']}"
    return [
        (f"{name}, cancelled half-way", gone, f"{gone.written} rows left"),
        (name, whole, f"{whole.written:,} rows; {errors}"),
    ]


def compared(name: str, runs: Sequence[tuple[Run, Done, Done]], small: Done) -> Line:
    """Return the medians of rounds of (bare copy, first run, second run)."""
    rows = runs[0][1].rows
    for _, first, again in runs:
        if first.written != rows or again.written or again.rows != rows:
            raise RuntimeError(f"{name}: not all was new, or not all was there again")
    return Line(
        name,
        rows,
        statistics.median(rows / first.seconds for _, first, _ in runs),
        statistics.median(bare.seconds / first.seconds for bare, first, _ in runs),
        statistics.median(bare.cpu_s / first.cpu_s for bare, first, _ in runs),
        statistics.median(rows / again.seconds for *_, again in runs),
        statistics.median(bare.seconds / again.seconds for bare, _, again in runs),
        statistics.median(bare.cpu_s / again.cpu_s for bare, _, again in runs),
        small.peak_mb,
        max(one.peak_mb for _, *both in runs for one in both),
    )


def _where(postgres: Any, open_: ExitStack) -> Where:
    folder = open_.enter_context(tempfile.TemporaryDirectory(prefix="forebay-bench-"))
    name = f"ingest_{os.path.basename(folder)[-8:].lower()}"  # noqa: PTH119 - a name
    url, tenant_id = new_database(postgres, name)
    open_.callback(postgres.drop_database, name)
    return Where(url, tenant_id, folder)


def table(lines: Sequence[Line]) -> str:
    """Return the runs as a table."""
    head = (
        *("", "rows", "new, rows/s", "of COPY", "CPU"),
        *("again, rows/s", "of COPY", "CPU", "MB, a tenth", "MB, whole", ""),
    )
    rows = [
        (
            line.name,
            f"{line.rows:,}",
            f"{line.rows_per_s:,.0f}",
            f"{line.of_copy:.1%}",
            f"{line.of_copy_cpu:.1%}",
            f"{line.again_rows_per_s:,.0f}",
            f"{line.again_of_copy:.1%}",
            f"{line.again_of_copy_cpu:.1%}",
            f"{line.small_mb:.0f}",
            f"{line.large_mb:.0f}",
            verdict(line.large_mb < _MOST_MB),
        )
        for line in lines
    ]
    return draw(head, rows)


def big_table(found: Sequence[tuple[str, Done, str]]) -> str:
    """Return the loads of the large file as a table."""
    rows = [
        (name, f"{done.seconds:,.0f}", f"{done.peak_mb:.0f}", result)
        for name, done, result in found
    ]
    return draw(("", "s", "MB", "what is stored"), rows)


def main(words: list[str]) -> None:
    """Measure and print."""
    given = asked(Plan, words, name="ingest", about=__doc__, more=_ONLY)
    plan = given.plan
    with running_servers(broker=False) as servers:
        lines = measure(servers.postgres, plan, given.more["only"])
        found = big(servers.postgres, plan) if plan.big_mb else []
        about = servers.about | {"load average after": f"{os.getloadavg()[0]:.1f}"}
    if given.json:
        shown_lines = [asdict(line) for line in lines]
        shown_lines += [{"name": name, **asdict(done)} for name, done, _ in found]
        print(
            json.dumps({"plan": asdict(plan), "machine": about, "lines": shown_lines})
        )
        return
    done = (
        f"Medians of {plan.rounds} rounds; a share is that of a bare COPY of as many "
        f"rows in the same round.\nAim: below {_MOST_MB} MB whatever the window."
    )
    print(told(table(lines) + "\n\n" + big_table(found), done, about))


if __name__ == "__main__":
    main(sys.argv[1:])
