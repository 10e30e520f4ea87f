"""The figures of a run as Markdown, put between two marks of a page."""

import bisect
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.chaos.audit import CHECKS
from tests.chaos.harness import Run

_LEVELS = (("median", 0.5), ("p95", 0.95), ("p99", 0.99), ("longest", 1.0))
BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"


def write(page: Path, figures: str) -> None:
    """Replace what stands between the marks of a page.

    Raises:
        ValueError: the page has no marks.
    """
    before, begin, rest = page.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} has no marks {BEGIN} and {END}")
    page.write_text(f"{before}{BEGIN}\n\n{figures}\n\n{END}{after}")


def figures(run: Run, about: dict[str, str]) -> str:
    """Return all figures of a run."""
    parts = [
        _summary(run),
        "### The audit\n\n" + _audit(run),
        "### The faults\n\n" + _faults(run),
        "### The jobs\n\n" + _jobs(run),
        "### The clients\n\n" + _clients(run),
        "Machine: " + "; ".join(f"{name} {text}" for name, text in about.items()) + ".",
    ]
    return "\n\n".join(parts)


def _summary(run: Run) -> str:
    told, struck = run.facts.told, run.faults.struck
    return (
        f"Seed {run.order.seed}: {len(told.jobs):,} jobs accepted, {len(struck)} "
        f"faults struck in {run.took_s / 60:.0f} minutes; {run.rest_s:.0f} s after the "
        f"last submission nothing was queued or running. The audit has "
        f"**{len(run.findings)} findings**."
    )


def _audit(run: Run) -> str:
    found = Counter(finding.check for finding in run.findings)
    rows = [(check, str(found[check])) for check in CHECKS]
    return _table(("What must hold", "findings"), rows)


def _faults(run: Run) -> str:
    counted = Counter(one.fault.kind for one in run.faults.struck)
    gaps = _silences(run)
    rows = []
    for kind in sorted(counted):
        mine = sorted(gaps[kind])
        rows.append(
            (
                kind,
                str(counted[kind]),
                f"{statistics.median(mine):.1f}" if mine else "",
                f"{mine[-1]:.1f}" if mine else "",
            )
        )
    rows += [
        (kind, "not possible here", why, "")
        for kind, why in run.faults.not_possible.items()
    ]
    more = "; ".join(
        f"{count:,} {what}" for what, count in sorted(run.faults.site.counted.items())
    )
    head = ("Fault", "times", "next job ended after s, median", "longest")
    return _table(head, rows) + (f"\n\nAlso: {more}." if more else "")


def _silences(run: Run) -> dict[str, list[float]]:
    """Return by kind how long after each fault the next job succeeded."""
    ends = sorted(
        row["finished_at"].timestamp()
        for row in run.facts.rows("jobs")
        if row["state"] == "succeeded"
    )
    found: dict[str, list[float]] = {}
    for one in run.faults.struck:
        place = bisect.bisect(ends, one.at)
        gaps = found.setdefault(one.fault.kind, [])
        if place < len(ends):
            gaps.append(ends[place] - one.at)
    return found


def _jobs(run: Run) -> str:
    jobs = run.facts.rows("jobs")
    ended = Counter(
        (row["type"], row["state"], row["reason"] or "")
        for row in sorted(jobs, key=lambda row: (row["type"], row["state"]))
    )
    rows = [(*key, f"{count:,}") for key, count in ended.items()]
    attempts = Counter(row["attempt"] for row in jobs)
    tried = ", ".join(
        f"{count:,} with {attempt}" for attempt, count in sorted(attempts.items())
    )
    events = len(run.facts.events)
    return (
        _table(("Type", "end", "reason", "jobs"), rows)
        + f"\n\nAttempts: {tried}. Events: {events:,}. "
        + f"Time from submission to end, s: {_waits(run)}."
    )


def _waits(run: Run) -> str:
    """Return quantiles of the time jobs took, faults included."""
    times = sorted(
        (row["finished_at"] - row["created_at"]).total_seconds()
        for row in run.facts.rows("jobs")
        if row["state"] == "succeeded"
    )
    if not times:
        return "none"
    return ", ".join(
        f"{name} {times[min(len(times) - 1, int(level * len(times)))]:.1f}"
        for name, level in _LEVELS
    )


def _clients(run: Run) -> str:
    jobs = f"{len(run.streams.seen):,} jobs"
    return (
        f"Submitting: {_listed(run.facts.told.answers)}.\n\n"
        f"Following {jobs}: {_listed(run.streams.counted)}."
    )


def _listed(counted: Counter[str]) -> str:
    return ", ".join(f"{what} {count:,}" for what, count in sorted(counted.items()))


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
