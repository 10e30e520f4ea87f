"""``make bench-accuracy DATA=dir``: measure every collection in its own process."""

import argparse
import json
import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from bench.accuracy import prices, report
from bench.accuracy.loaders import SOURCES
from bench.accuracy.measure import Plan, measure
from bench.accuracy.windows import Cut

_PAGE = Path("docs/reference/accuracy.md")
_NAMES = (*(source.name for source in SOURCES), *prices.NAMES)


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.accuracy", description=__doc__
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of the files")
    parser.add_argument("--cache", type=Path, default=Path("var/accuracy"))
    parser.add_argument("--only", nargs="+", choices=_NAMES, metavar="NAME")
    parser.add_argument("--sample", type=int, help="at most so many series of each")
    parser.add_argument("--validation", action="store_true", help="for tuning")
    parser.add_argument("--model", default="auto", help="in place of auto")
    parser.add_argument("--without-bare", action="store_true", help="print only")
    parser.add_argument("--without-auto", action="store_true", help="print only")
    parser.add_argument("--page", type=Path, default=_PAGE, help="what is written")
    return parser.parse_args(words)


def missing(folder: Path, names: list[str]) -> dict[str, str]:
    """Return the collections that cannot be measured, and which file they lack."""
    files = {source.name: source.file for source in SOURCES} | prices.FILES
    return {name: files[name] for name in names if not (folder / files[name]).exists()}


def alone(name: str, plan: Plan) -> dict[str, Any]:
    """Measure a collection in a process of its own, whose memory ends with it."""
    task = prices.measure if name in prices.NAMES else measure
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=spawn) as pool:
        try:
            return pool.submit(task, name, plan).result()
        except BrokenProcessPool:
            return {"name": name, "died": True}


def main() -> None:
    """Measure what was asked for; the page is drawn from all whole rows kept."""
    given = arguments()
    cut = Cut(sample=given.sample, validation=given.validation)
    plan = Plan(
        folder=given.data,
        cache=given.cache,
        cut=cut,
        model=given.model,
        bare=not given.without_bare,
        auto=not given.without_auto,
    )
    names = given.only or list(_NAMES)
    # A row without one side would wipe that side off the page.
    whole = plan.bare and plan.auto
    skipped = missing(plan.folder, names)
    for name in names:
        if name in skipped:
            print(f"{name}: skipped, {plan.folder / skipped[name]} is not there")
            continue
        row = alone(name, plan)
        print(report.line(row), flush=True)
        if whole:
            _keep(plan, row)
    if whole and cut == Cut() and given.model == "auto":
        rows = [row for name in _NAMES if (row := _kept(plan, name))]
        given.page.write_text(report.page(rows, skipped), encoding="utf-8")
        print(f"written: {given.page}")


def _rows(plan: Plan) -> Path:
    part = "validation" if plan.cut.validation else "test"
    return plan.cache / f"{part}-{plan.cut.sample or 'all'}-{plan.model}"


def _keep(plan: Plan, row: dict[str, Any]) -> None:
    folder = _rows(plan)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{row['name']}.json").write_text(json.dumps(row, indent=1))


def _kept(plan: Plan, name: str) -> dict[str, Any] | None:
    path = _rows(plan) / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main())
