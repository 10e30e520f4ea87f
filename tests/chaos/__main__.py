"""``python -m tests.chaos``: a platform meets faults; exit code 1 if any harm is done.

Starts private servers for the purpose, and prints what strikes when.
"""

import argparse
import signal
import sys
import tempfile
from pathlib import Path

from bench import machine
from tests.chaos import harness, report
from tests.servers import choice

_MOST_SHOWN = 50


def main(words: list[str]) -> int:
    """Run, print, write the report, return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--jobs", type=int, default=2_000)
    parser.add_argument("--faults", type=int, default=60)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--rate", type=float, default=14.0, help="jobs per second")
    parser.add_argument("--report", type=Path, help="a page with marks for figures")
    given = parser.parse_args(words)
    # A run that is told to end must not leave its file system mounted.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    order = harness.Order(given.jobs, given.faults, given.seed, rate=given.rate)
    with (
        choice.postgres(fsync=True) as postgres,
        choice.rabbitmq() as rabbitmq,
        tempfile.TemporaryDirectory() as folder,
    ):
        about = machine.describe(postgres.url())
        run = harness.run(
            order, postgres=postgres, rabbitmq=rabbitmq, folder=Path(folder), say=_say
        )
    figures = report.figures(run, about)
    print(figures)
    for finding in run.findings[:_MOST_SHOWN]:
        print(f"{finding.check}: {finding.detail}", file=sys.stderr)
    if given.report:
        report.write(given.report, figures)
    return 1 if run.findings else 0


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
