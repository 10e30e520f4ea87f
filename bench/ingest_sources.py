"""What the ingest bench reads: local sources whose bodies are written beforehand."""

import io
import json
import multiprocessing
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tests.sources import eia, entsoe, fred
from tests.sources.open_meteo import OpenMeteo
from tests.sources.server import Behaviour, Call, Reply, serve
from tests.sources.truth import DAY, HOUR, Truth, grid

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    import pyarrow as pa

START = datetime(2023, 1, 1, tzinfo=UTC)
NOW = datetime(2030, 1, 1, tzinfo=UTC)
_PLACES = {f"p{at:02d}": (40.0 + at, 5.0 + at) for at in range(10)}
_VARIABLES = tuple(f"v{at}" for at in range(10))
_AREAS = tuple(f"10Y{at:03d}---------A" for at in range(20))
_CLOCK = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True)
class Kind:
    """A source of a format, and how it is read.

    Attributes:
        connector: that reads it.
        series: how many there are.
        step: between two of their rows.
        config: of the connector; ``{url}`` stands for the server's address.
        behaviour: what the server shows, made from how many steps there are.
        secrets: that the server lets in.
        large: whether it is read in the larger size, since it comes in one body.
    """

    connector: str
    series: int
    step: timedelta
    config: Mapping[str, Any]
    behaviour: Callable[[int], Behaviour]
    secrets: Mapping[str, str] = field(default_factory=dict)
    large: bool = False


@dataclass
class Rendered:
    """Shows what another behaviour answered when it was asked the first time."""

    inner: Behaviour
    replies: dict[tuple[Any, ...], Reply] = field(default_factory=dict)

    def answer(self, call: Call) -> Reply:
        """Return the answer, which is made only once."""
        asked = call.headers.get("x-params")
        key = (call.method, call.path, call.query, asked, call.body)
        if key not in self.replies:
            self.replies[key] = self.inner.answer(call)
        return self.replies[key]


@dataclass
class Whole:
    """A table of hourly rows in one body, in the format that the path names."""

    steps: int
    series: int = 100

    def answer(self, call: Call) -> Reply:
        """Return the rows of the window that is asked for."""
        ends = [
            datetime.strptime(call.one(name), _CLOCK).replace(tzinfo=UTC)
            for name in ("from", "to")
        ]
        first, last = ((end - START) // HOUR for end in ends)
        rows = self._rows(max(0, first), min(self.steps, last))
        write = {"csv": _csv, "ndjson": _ndjson, "parquet": _parquet}
        return Reply(200, write[call.path.rpartition(".")[2]](rows))

    def _rows(self, first: int, last: int) -> "pa.Table":
        import numpy as np  # noqa: PLC0415 - only the server needs it
        import pyarrow as pa  # noqa: PLC0415 - same

        names = pa.array([f"zone-{at:03d}" for at in range(self.series)])
        at = np.repeat(np.arange(self.series), last - first)
        hour = np.tile(np.arange(first, last), self.series)
        start = np.datetime64(START.replace(tzinfo=None), "s")
        ts = pa.array(start + hour.astype("m8[h]")).cast(pa.timestamp("us", "UTC"))
        values = np.round(1_000 + 100 * np.sin(hour * 0.37 + at), 2)
        return pa.table({"zone": names.take(pa.array(at)), "t": ts, "v": values})


def _csv(rows: "pa.Table") -> bytes:
    import pyarrow as pa  # noqa: PLC0415 - only the server needs it
    import pyarrow.compute as pc  # noqa: PLC0415 - only the server needs it
    from pyarrow import csv  # noqa: PLC0415 - same

    sink = io.BytesIO()
    written = pc.strftime(rows["t"].cast(pa.timestamp("s", "UTC")), format=_CLOCK)
    how = csv.WriteOptions(quoting_style="none", quoting_header="none")
    csv.write_csv(rows.set_column(1, "t", written), sink, how)
    return sink.getvalue()


def _ndjson(rows: "pa.Table") -> bytes:
    columns = (rows[name].to_pylist() for name in ("zone", "t", "v"))
    lines = (
        f'{{"zone": "{zone}", "t": "{t:{_CLOCK}}", "v": {v!r}}}\n'
        for zone, t, v in zip(*columns, strict=True)
    )
    return "".join(lines).encode()


def _parquet(rows: "pa.Table") -> bytes:
    import pyarrow.parquet as pq  # noqa: PLC0415 - only the server needs it

    sink = io.BytesIO()
    pq.write_table(rows, sink)
    return sink.getvalue()


def _truth(
    names: tuple[str, ...], steps: int, step: timedelta, lag: timedelta
) -> Truth:
    starts = grid(START, steps, step)
    return Truth(3, series=names, starts=starts, lag=lag, revised=0.0, missing=0.0)


def _eia(steps: int) -> Behaviour:
    names = tuple(f"PJM:T{at:02d}" for at in range(50))
    return eia.Eia(_truth(names, steps, HOUR, HOUR))


def _fred(steps: int) -> Behaviour:
    names = tuple(f"RATE{at:02d}" for at in range(50))
    return fred.Fred(_truth(names, steps, DAY, DAY), now=NOW)


def _entsoe(steps: int) -> Behaviour:
    return entsoe.Entsoe(_truth(_AREAS, steps, HOUR, HOUR))


def _entsoe_files(steps: int) -> Behaviour:
    return entsoe.EntsoeFiles(_truth(_AREAS, steps, HOUR, HOUR))


def _open_meteo(steps: int) -> Behaviour:
    names = tuple(f"{place}/{name}" for place in _PLACES for name in _VARIABLES)
    return OpenMeteo(_truth(names, steps, HOUR, HOUR), _PLACES, NOW)


def _table(form: str) -> Kind:
    layout = {"series_columns": ["zone"], "ts_column": "t", "value_columns": ["v"]}
    config = {
        "base_url": f"{{url}}/whole.{form}",
        "format": form,
        "layout": layout,
        "start_param": "from",
        "end_param": "to",
        "span_days": 3_660,
    }
    return Kind("http_table", 100, HOUR, config, Whole, large=True)


_WEATHER = {
    "base_url": "{url}/v1/archive",
    "places": [
        {"name": name, "latitude": latitude, "longitude": longitude}
        for name, (latitude, longitude) in _PLACES.items()
    ],
    "hourly": list(_VARIABLES),
}
KINDS: Mapping[str, Kind] = {
    "EIA, JSON pages": Kind(
        "eia",
        50,
        HOUR,
        {"route": eia.ROUTE, "frequency": "hourly", "base_url": "{url}/v2"},
        _eia,
        {"api_key": eia.KEY},
    ),
    "FRED, JSON with vintages": Kind(
        "fred",
        50,
        DAY,
        {
            "series_ids": [f"RATE{at:02d}" for at in range(50)],
            "vintages": "all",
            "base_url": "{url}/fred",
        },
        _fred,
        {"api_key": fred.KEY},
    ),
    "ENTSO-E, XML": Kind(
        "entsoe",
        len(_AREAS),
        HOUR,
        {"document": "A65", "areas": list(_AREAS), "base_url": "{url}/api"},
        _entsoe,
        {"security_token": entsoe.TOKEN},
    ),
    "ENTSO-E, zipped TSV files": Kind(
        "entsoe_files",
        len(_AREAS),
        HOUR,
        {
            "dataset": "ActualTotalLoad_6.1.A_r3",
            "base_url": "{url}",
            "login_url": "{url}/login",
        },
        _entsoe_files,
        {"username": "me@example.org", "password": "fake-password"},
    ),
    "Open-Meteo, JSON columns": Kind(
        "open_meteo_archive", 100, HOUR, _WEATHER, _open_meteo
    ),
    "a table, CSV": _table("csv"),
    "a table, NDJSON": _table("ndjson"),
    "a table, Parquet": _table("parquet"),
}


def filled(config: Mapping[str, Any], url: str) -> dict[str, Any]:
    """Return a config with the server's address in it."""
    text = json.dumps(config).replace("{url}", url)
    return dict(json.loads(text))


@contextmanager
def shown(name: str, steps: int) -> Iterator[str]:
    """Serve a source in a process of its own; give its address."""
    spawn = multiprocessing.get_context("spawn")
    mine, theirs = spawn.Pipe()
    process = spawn.Process(target=_show, args=(name, steps, theirs), daemon=True)
    process.start()
    try:
        yield mine.recv()
    finally:
        mine.send("done")
        process.join()


def _show(name: str, steps: int, told: "Connection") -> None:
    with serve(Rendered(KINDS[name].behaviour(steps))) as served:
        told.send(served.url)
        told.recv()
