"""``python -m bench.exporting``: a million observations in each format; reads as of.

The rows of every format are decoded and held against each other, and those of some
series against what the API gives of them alone.
"""

import csv
import hashlib
import http.client
import io
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

from bench import panel_rows
from bench import stack as platform
from bench.drawn import draw, told, verdict
from bench.load import Refused
from bench.plans import asked
from bench.servers import Servers, running_servers
from bench.workers import resident_mib
from tests.stack import Stack

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FORMS = ("csv", "ndjson", "arrow", "parquet")
MOST_MIB, MOST_MS = 200.0, 100.0
_PIECE = 2**18
_LOOK_EVERY = 8
_ALONE = 3  # series that are read one by one as well
_VERSIONS = """
INSERT INTO obs_version (tenant_id, series_id, ts, known_from, ingested_at, value,
    basis, run_id)
SELECT obs.tenant_id, series_id, ts, began + day, began + day,
    value + extract(day FROM day), 'observed', run_id
FROM obs_current AS obs JOIN series ON series.id = series_id
CROSS JOIN LATERAL (SELECT known_from - interval '9 days' AS began) AS first
CROSS JOIN (VALUES (interval '0 days', 100), (interval '1 day', 83))
    AS load (day, share)
WHERE key = %(key)s AND abs(hashint8(extract(epoch FROM ts)::bigint)) %% 100 < share
ORDER BY day, ts
"""
_KNOWN = "SELECT max(known_from) - interval '8 days 12 hours' FROM obs_current"


@dataclass(frozen=True)
class Plan:
    """How much is stored and read."""

    series: int = 500
    hours: int = 2_000
    points: int = 100_000
    repeats: int = 9


@dataclass(frozen=True)
class Exported:
    """One export: its size, its time, and how much the web process grew by it."""

    form: str
    rows: int
    mib: float
    first_s: float
    took_s: float
    growth_mib: float
    same: bool


@dataclass(frozen=True)
class Read:
    """One way to read a series: the median of warm calls."""

    name: str
    rows: int
    ms: float


@dataclass(frozen=True)
class Columns:
    """The rows of an answer, as whoever reads it has them."""

    series: "NDArray[np.str_]"
    ts: "NDArray[np.int64]"
    value: "NDArray[np.float64]"

    @property
    def digest(self) -> str:
        """What only the same rows in the same order have."""
        found = hashlib.sha256("\n".join(self.series.tolist()).encode())
        found.update(self.ts.tobytes())
        found.update(self.value.tobytes())
        return found.hexdigest()


def decoded(body: bytes, form: str) -> Columns:
    """Read an answer as its format says; text by the standard library alone."""
    import numpy as np  # noqa: PLC0415 - the measured platform must not wait for it

    if form in ("csv", "ndjson"):
        names, rows = _texts(body, form)
        at = [names.index(name) for name in ("series", "ts", "value")]
        keys, times, values = ([row[place] for row in rows] for place in at)
        micros = [_micros(text) for text in times]
    else:
        table = _table(body, form)
        keys = table.column("series").to_pylist()
        micros = table.column("ts").cast("int64").to_pylist()
        values = table.column("value").to_pylist()
    return Columns(np.array(keys), np.array(micros, "i8"), np.array(values, "f8"))


def _texts(body: bytes, form: str) -> tuple[list[str], list[Any]]:
    if form == "csv":
        names, *rows = csv.reader(io.StringIO(body.decode()))
        return names, rows
    lines = [json.loads(line) for line in body.splitlines()]
    return ["series", "ts", "value"], [[*line.values()] for line in lines]


def _table(body: bytes, form: str) -> Any:
    import pyarrow as pa  # noqa: PLC0415 - the measured platform must not wait for it
    from pyarrow import parquet  # noqa: PLC0415 - same

    if form == "parquet":
        return parquet.read_table(io.BytesIO(body))
    return pa.ipc.open_stream(body).read_all()


def _micros(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1_000_000)


class Course:
    """A running platform with series, and what is read of them."""

    def __init__(self, stack: Stack, plan: Plan) -> None:
        self._stack = stack
        self._plan = plan
        self._url = stack.environ["FOREBAY_DATABASE_URL"]

    def run(self) -> tuple[list[Exported], list[Read]]:
        """Store, warm up, export in each format, and read as of."""
        plan = self._plan
        given = {"tenant_id": self._stack.tenant_id, "monthly": False}
        panel_rows.add_series(
            self._url, tag="wide", count=plan.series, length=plan.hours, **given
        )
        panel_rows.add_series(
            self._url, tag="long", count=1, length=plan.points, **given
        )
        for form in FORMS:
            _ = self._whole(f"/v1/observations?tag=long&format={form}")
        alone = self._alone()
        first = self._export("arrow", alone, None)
        found = [first[0]]
        found += [
            self._export(form, alone, first[1])[0] for form in FORMS if form != "arrow"
        ]
        return found, self._reads()

    def _export(
        self, form: str, alone: Mapping[str, list[float]], digest: str | None
    ) -> tuple[Exported, str]:
        path = f"/v1/observations?tag=wide&format={form}"
        before = peak = resident_mib(self._stack)["web"]
        began = time.monotonic()
        first_s, pieces = 0.0, []
        for number, piece in enumerate(self._stream(path)):
            first_s = first_s or time.monotonic() - began
            pieces.append(piece)
            if number % _LOOK_EVERY == 0:
                peak = max(peak, resident_mib(self._stack)["web"])
        took_s = time.monotonic() - began
        body = b"".join(pieces)
        rows = decoded(body, form)
        same = digest in (None, rows.digest) and all(
            rows.value[rows.series == key].tolist() == values
            for key, values in alone.items()
        )
        one = Exported(
            form=form,
            rows=rows.value.size,
            mib=len(body) / 2**20,
            first_s=first_s,
            took_s=took_s,
            growth_mib=peak - before,
            same=same,
        )
        _say(f"exported: {one}")
        return one, rows.digest

    def _alone(self) -> dict[str, list[float]]:
        """Return the values of some series as the API gives them one by one."""
        step = max(1, self._plan.series // _ALONE)
        keys = [f"wide{at + 1:07}" for at in range(0, self._plan.series, step)]
        found = {}
        for key in keys:
            body = json.loads(self._whole(f"/v1/series/{key}/observations"))
            found[key] = [one["value"] for one in body["observations"]]
        return found

    def _reads(self) -> list[Read]:
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute(_VERSIONS, {"key": "long0000001"})
            connection.execute("VACUUM ANALYZE obs_version")
            row = connection.execute(_KNOWN).fetchone()
        assert row is not None  # noqa: S101 - an aggregate always has a row
        then = f"as_of={row[0].isoformat().replace('+', '%2B')}"
        path = "/v1/series/long0000001/observations?format=arrow"
        return [
            *(
                self._in_process(name, row[0], known_by)
                for name, known_by in (("published", "published"), ("received",) * 2)
            ),
            self._read("GET, current", path),
            self._read("GET, as of", f"{path}&{then}"),
            self._read("GET, as of, received", f"{path}&{then}&known_by=received"),
            self._read("GET, as of, with versions", f"{path}&{then}&versions=newest"),
        ]

    def _in_process(self, name: str, then: datetime, known_by: Any) -> Read:
        from db import observations, series  # noqa: PLC0415 - numpy comes with it
        from db.session import Database  # noqa: PLC0415 - same

        database = Database(self._url, pool_size=1, name="bench")
        tenant_id = self._stack.tenant_id
        with closing(database), database.tenant(tenant_id) as connection:
            one = series.find(connection, tenant_id=tenant_id, key="long0000001")
            assert one is not None  # noqa: S101 - it was stored above
            rows, took_ms = 0, []
            for _ in range(self._plan.repeats + 2):
                began = time.perf_counter()
                found = observations.read(
                    connection, series_id=one.id, as_of=then, known_by=known_by
                )
                took_ms.append((time.perf_counter() - began) * 1_000)
                rows = len(found[0])
        return Read(
            f"a job's read, as of, {name}", rows, statistics.median(took_ms[2:])
        )

    def _read(self, name: str, path: str) -> Read:
        rows, took_ms = 0, []
        for _ in range(self._plan.repeats + 2):
            began = time.perf_counter()
            body = self._whole(path)
            took_ms.append((time.perf_counter() - began) * 1_000)
            rows = _table(body, "arrow").num_rows
        return Read(name, rows, statistics.median(took_ms[2:]))

    def _whole(self, path: str) -> bytes:
        return b"".join(self._stream(path))

    def _stream(self, path: str) -> Iterator[bytes]:
        port = platform.port(self._stack)
        headers = {"Authorization": f"Bearer {self._stack.key}"}
        with closing(
            http.client.HTTPConnection("127.0.0.1", port, timeout=600)
        ) as connection:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            if answer.status != 200:  # noqa: PLR2004 - HTTP's word for success
                raise Refused(str(answer.read()[:500]))
            while piece := answer.read(_PIECE):
                yield piece


def exports_table(found: list[Exported]) -> str:
    """Return the exports as a table."""
    rows = [
        (
            one.form,
            f"{one.mib:,.1f}",
            f"{one.took_s:.2f}",
            f"{one.rows / one.took_s:,.0f}",
            f"{one.first_s:.2f}",
            f"{one.growth_mib:.0f}",
            f"< {MOST_MIB:.0f}",
            verdict(one.growth_mib < MOST_MIB),
            "the same" if one.same else "DIFFERENT",
        )
        for one in found
    ]
    head = ("", "MiB", "s", "rows/s", "first byte, s", "growth of web, MiB")
    return draw((*head, "aim", "", "numbers"), rows)


def reads_table(found: list[Read]) -> str:
    """Return the reads as a table."""
    rows = [
        (one.name, f"{one.rows:,}", f"{one.ms:.0f}", *_aim(one.ms)) for one in found
    ]
    return draw(("", "rows", "ms", "aim", ""), rows)


def _aim(took_ms: float) -> tuple[str, str]:
    return f"< {MOST_MS:.0f}", verdict(took_ms < MOST_MS)


def run(
    servers: Servers, plan: Plan, *, folder: Path
) -> tuple[list[Exported], list[Read]]:
    """Measure on a platform of its own."""
    named = {"name": "bench_exporting", "folder": folder}
    with platform.running(servers, **named) as stack:  # type: ignore[arg-type]  # a plain dict
        return Course(stack, plan).run()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main(words: list[str]) -> None:
    """Measure and print."""
    given = asked(Plan, words, name="exporting", about=__doc__)
    plan = given.plan
    with running_servers() as servers, tempfile.TemporaryDirectory() as folder:
        exports, reads = run(servers, plan, folder=Path(folder))
    if given.json:
        lists = {"exports": exports, "reads": reads}
        told_all = {name: [asdict(one) for one in some] for name, some in lists.items()}
        print(json.dumps({"plan": asdict(plan), **told_all}, indent=2))
        return
    done = (
        f"{plan.series} series of {plan.hours:,} hours; {plan.points:,} points with "
        f"1.83 versions each, medians of {plan.repeats} warm calls."
    )
    tables = f"{exports_table(exports)}\n\n{reads_table(reads)}"
    print(told(tables, done, servers.about))


if __name__ == "__main__":
    main(sys.argv[1:])
