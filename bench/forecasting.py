"""``python -m bench.forecasting``: panels in parts, and results too large to hold.

The overhead over the forecasting room alone, two workers beside one, a single
forecast through HTTP on a fresh and on a warm worker, the memory of a worker over many
parts, and a stream of millions of points.
"""

import hashlib
import http.client
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from bench import bare, panel_rows
from bench import stack as platform
from bench.calls import Caller
from bench.drawn import draw, told, verdict
from bench.load import Refused
from bench.plans import asked
from bench.servers import Servers, running_servers
from bench.workers import Sample, growth, resident_mib
from tests.stack import Stack

OVERHEAD, TOGETHER, FLAT_MIB = 0.05, 0.6, 64.0
HORIZON, LENGTH, PART = 18, 100, 250
_OTHERS = ("ingest,analysis,system", 1)
_PANEL, _MANY, _ONE = "panel", "many", "one"
_LOOK_EVERY_S = 0.05
_PIECE = 2**20


@dataclass(frozen=True)
class Plan:
    """How much is done; a half that counts zero is left out."""

    series: int = 1_000
    rounds: int = 2
    singles: int = 3
    many: int = 10_000
    points: int = 10_000_000
    model: str = "auto"
    budget: float = 10.0


@dataclass(frozen=True)
class Aim:
    """A number of the bench beside what was aimed at; no bound where there is none."""

    name: str
    value: float
    unit: str
    at_most: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether the aim was met."""
        return None if self.at_most is None else self.value <= self.at_most


def table(aims: list[Aim]) -> str:
    """Return the numbers as a table."""
    rows = [
        (
            aim.name,
            f"{aim.value:,.3f}" if aim.value < 100 else f"{aim.value:,.0f}",  # noqa: PLR2004 - three digits say enough
            aim.unit,
            "" if aim.at_most is None else f"<= {aim.at_most:g}",
            verdict(aim.met),
        )
        for aim in aims
    ]
    return draw(("", "measured", "", "aim", ""), rows)


class Course:
    """A platform with some forecast workers, and what is done with it."""

    def __init__(self, stack: Stack, caller: Caller) -> None:
        self.stack = stack
        self.caller = caller

    @property
    def url(self) -> str:
        """Where the platform's tables are."""
        return self.stack.environ["FOREBAY_DATABASE_URL"]

    def add(self, tag: str, count: int, length: int, *, monthly: bool = True) -> None:
        """Store series of a tag."""
        panel_rows.add_series(
            self.url,
            tenant_id=self.stack.tenant_id,
            tag=tag,
            count=count,
            length=length,
            monthly=monthly,
        )

    def run(self, params: dict[str, Any], *, look: Any = None) -> tuple[str, float]:
        """Run a forecast; return the job and the seconds until it had ended.

        Raises:
            Refused: it did not succeed.
        """
        job = {"type": "forecast.run", "params": params, "timeout_s": 3600}
        began = time.monotonic()
        job_id = self.caller.post("/v1/jobs", job)["id"]
        while True:
            found = json.loads(self.caller.get(f"/v1/jobs/{job_id}", name="job"))
            if found["state"] == "succeeded":
                return job_id, time.monotonic() - began
            if found["state"] not in ("queued", "running"):
                raise Refused(f"{found['error']}\n{self.stack.tails()}")
            if look is not None:
                look(found)
            time.sleep(_LOOK_EVERY_S)

    def waited(self, params: dict[str, Any]) -> float:
        """Return the seconds from a submission to its answer with the result.

        Raises:
            Refused: the answer holds no result.
        """
        job = {"type": "forecast.run", "params": params}
        began = time.perf_counter()
        answer = self.stack.call(
            "POST", "/v1/jobs", json=job, headers={"Prefer": "wait=60"}
        ).json()
        took_s = time.perf_counter() - began
        if "result" not in answer:
            raise Refused(str(answer))
        return took_s

    def cpu_s(self) -> float:
        """Return the CPU seconds of all forecast workers so far, children included."""
        return sum(
            sum(parent.cpu_times()[:4])
            + sum(sum(one.cpu_times()[:2]) for one in parent.children(recursive=True))
            for parent in self._workers()
        )

    def _workers(self) -> list[psutil.Process]:
        pids = self.stack.supervisor.pids()
        names = [name for name in pids if name.startswith("worker-")][:-1]
        return [psutil.Process(pids[name]) for name in names]

    def stream(self, job_id: str, form: str) -> Iterator[bytes]:
        """Yield the points of a job as they come.

        Raises:
            Refused: the answer is no success.
        """
        port = platform.port(self.stack)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
        headers = {"Authorization": f"Bearer {self.stack.key}"}
        path = f"/v1/jobs/{job_id}/forecasts?format={form}"
        try:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            if answer.status != 200:  # noqa: PLR2004 - HTTP's word for success
                raise Refused(str(answer.read()[:500]))
            while piece := answer.read(_PIECE):
                yield piece
        finally:
            connection.close()


@contextmanager
def running_course(
    servers: Servers, *, name: str, folder: Path, workers: int = 1
) -> Iterator[Course]:
    """Run a platform whose forecast workers are fresh, until the block ends."""
    every = ((("forecast", 1),) * workers) + (_OTHERS,)
    with (
        platform.running(servers, name=name, folder=folder, workers=every) as stack,
        Caller(platform.port(stack), stack.key) as caller,
    ):
        yield Course(stack, caller)


def _params(tag: str, plan: Plan, **more: Any) -> dict[str, Any]:
    given = {"series": {"tag": tag}, "horizon": HORIZON, "model": plan.model}
    return {**given, "panel": PART, "budget_s": plan.budget, "brief": True, **more}


@dataclass(frozen=True)
class Panel:
    """What a panel cost on a count of workers, and a hash of all its points."""

    workers: int
    cold_s: float
    warm_s: list[float]
    cpu_s: list[float]
    took_s: list[float]
    points: str
    means: str


def panel(course: Course, plan: Plan, *, workers: int) -> Panel:
    """Forecast a single series cold and warm, then the panel, warmed up by a part."""
    course.add(_ONE, 1, 2_000, monthly=False)
    single = {"series": {"tag": _ONE}, "horizon": 24}
    cold_s = course.waited(single)
    warm_s = [course.waited(single) for _ in range(plan.singles)]
    course.add(_PANEL, plan.series, LENGTH)
    cpu_s, took_s, job_id = [], [], ""
    for number in range(plan.rounds + 1):
        before = course.cpu_s()
        job_id, one_s = course.run(_params(_PANEL, plan))
        if number:  # the first one brings in the libraries
            cpu_s.append(course.cpu_s() - before)
            took_s.append(one_s)
            _say(f"{workers} workers: {one_s:.1f} s, CPU {cpu_s[-1]:.1f} s")
    points = hashlib.sha256()
    for piece in course.stream(job_id, "csv"):
        points.update(piece)
    means = hashlib.sha256(_means(course, job_id)).hexdigest()
    return Panel(workers, cold_s, warm_s, cpu_s, took_s, points.hexdigest(), means)


def _means(course: Course, job_id: str) -> bytes:
    import pyarrow as pa  # noqa: PLC0415 - only here

    table = pa.ipc.open_stream(b"".join(course.stream(job_id, "arrow"))).read_all()
    return bytes(table["mean"].to_numpy().tobytes())


def beside(course: Course, plan: Plan, *, folder: Path) -> bare.Told:
    """Forecast the same panel with the forecasting room alone."""
    import numpy as np  # noqa: PLC0415 - only here

    keys, times, values = panel_rows.read_series(course.url, tag=_PANEL)
    file = folder / "panel.npz"
    np.savez(file, keys=np.array(keys), times=times, values=values)
    params = _params(_PANEL, plan)
    order = bare.Order(str(file), params, "MS", PART, plan.rounds)
    found = bare.run_apart(order)
    _say(f"bare: CPU {', '.join(f'{one:.1f}' for one in found.cpu_s)} s")
    return found


def panel_aims(one: Panel, two: Panel, alone: bare.Told) -> list[Aim]:
    """Return what the panels show."""
    bare_s, ours_s = min(alone.cpu_s), min(one.cpu_s)
    same = one.points == two.points and one.means == two.means == alone.means
    colds = [one.cold_s, two.cold_s]
    warms = one.warm_s + two.warm_s
    return [
        Aim("forecasting room alone", bare_s, "CPU s"),
        Aim("forecast.run, one worker", ours_s, "CPU s"),
        Aim("overhead", ours_s / bare_s - 1, "of CPU", OVERHEAD),
        Aim("overhead in all", ours_s - bare_s, "CPU s"),
        Aim("one worker", min(one.took_s), "s"),
        Aim("two workers", min(two.took_s), "s"),
        Aim("two beside one", min(two.took_s) / min(one.took_s), "of s", TOGETHER),
        Aim("different answers", float(not same), "runs", 0),
        Aim("one series, 2,000 hours, cold", statistics.median(colds), "s"),
        Aim("one series, 2,000 hours, warm", statistics.median(warms), "s"),
    ]


def memory(course: Course, plan: Plan) -> list[Sample]:
    """Forecast a large panel; return the worker's memory after each part of it."""
    course.add(_MANY, plan.many, LENGTH)
    samples: list[Sample] = []

    def look(job: dict[str, Any]) -> None:
        done = job["progress"]["done"] if job["progress"] else 0
        if job["progress"] and job["progress"]["unit"] == "parts" and done:
            if samples and samples[-1].jobs == done:
                return
            mib = resident_mib(course.stack)["worker-0"]
            samples.append(Sample(done, {"worker-0": mib}))

    _, took_s = course.run(_params(_MANY, plan, model="seasonal_naive"), look=look)
    _say(f"{plan.many} series in {took_s:.1f} s: {plan.many / took_s:.0f}/s")
    return samples


@dataclass(frozen=True)
class Streamed:
    """A stream: its size, its time, and how much the web process grew by it."""

    form: str
    points: int
    mib: float
    first_s: float
    took_s: float
    growth_mib: float


def streams(course: Course, plan: Plan) -> list[Streamed]:
    """Stream many points in each format; the web process is warm."""
    steps = 100
    course.add("large", max(1, plan.points // steps), 1)
    course.add("small", 1, LENGTH)
    job_id, _ = course.run(_params("small", plan, model="seasonal_naive"))
    for form in ("csv", "arrow", "ndjson"):
        _ = list(course.stream(job_id, form))
    _say("seeding points")
    points = panel_rows.add_points(course.url, job_id=job_id, tag="large", steps=steps)
    found = []
    for form in ("arrow", "csv", "ndjson"):
        before = peak = resident_mib(course.stack)["web"]
        began = time.monotonic()
        first_s, size = 0.0, 0
        for number, piece in enumerate(course.stream(job_id, form)):
            first_s = first_s or time.monotonic() - began
            size += len(piece)
            if number % 16 == 0:
                peak = max(peak, resident_mib(course.stack)["web"])
        took_s = time.monotonic() - began
        one = Streamed(form, points, size / 2**20, first_s, took_s, peak - before)
        found.append(one)
        _say(f"streamed: {one}")
    return found


def stream_aims(found: list[Streamed]) -> list[Aim]:
    """Return what the streams show."""
    return [
        aim
        for one in found
        for aim in (
            Aim(f"{one.points:,} points as {one.form}", one.mib / one.took_s, "MiB/s"),
            Aim(f"- {one.form}, points", one.points / one.took_s, "1/s"),
            Aim(f"- {one.form}, first byte", one.first_s, "s"),
            Aim(f"- {one.form}, growth of web", one.growth_mib, "MiB", FLAT_MIB),
        )
    ]


def measure(servers: Servers, plan: Plan, *, folder: Path) -> list[Aim]:
    """Run all that the plan asks for, each on a platform of its own."""
    aims: list[Aim] = []
    if plan.series:
        with running_course(servers, name="panels_one", folder=folder) as course:
            one = panel(course, plan, workers=1)
            alone = beside(course, plan, folder=folder)
        named = {"name": "panels_two", "folder": folder, "workers": 2}
        with running_course(servers, **named) as course:  # type: ignore[arg-type]  # a plain dict
            two = panel(course, plan, workers=2)
        aims += panel_aims(one, two, alone)
    if not plan.many and not plan.points:
        return aims
    with running_course(servers, name="panels_many", folder=folder) as course:
        if plan.many:
            found = growth(memory(course, plan))
            name = f"worker over {plan.many:,} series, growth"
            aims.append(Aim(name, found.last_mib - found.first_mib, "MiB", FLAT_MIB))
            aims.append(Aim("- after the last third", found.last_mib, "MiB"))
        if plan.points:
            aims += stream_aims(streams(course, plan))
    return aims


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main(words: list[str]) -> None:
    """Measure and print."""
    given = asked(Plan, words, name="forecasting", about=__doc__)
    plan = given.plan
    with running_servers() as servers, tempfile.TemporaryDirectory() as folder:
        aims = measure(servers, plan, folder=Path(folder))
    if given.json:
        found = {"plan": asdict(plan), "machine": servers.about}
        print(json.dumps({**found, "aims": [asdict(one) for one in aims]}, indent=2))
        return
    done = (
        f"{plan.series:,} monthly series of {LENGTH} points, horizon {HORIZON}, model "
        f"{plan.model} with {plan.budget:g} CPU s, parts of {PART}: the best of "
        f"{plan.rounds} rounds on warm workers.\n"
        "CPU: of the worker and its children, by the system's clock."
    )
    print(told(table(aims), done, servers.about))


if __name__ == "__main__":
    main(sys.argv[1:])
