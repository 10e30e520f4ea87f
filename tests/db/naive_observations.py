"""Observations as plain dictionaries: what the SQL of loading must amount to."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

TICK = timedelta(microseconds=1)
SLOT = timedelta(milliseconds=1)


@dataclass
class Version:
    """What was said of a time of a series, since when, and when it came in."""

    since: datetime
    value: float | None
    ingested_at: datetime
    basis: str = "observed"
    issued: datetime | None = None
    status: str | None = None


@dataclass
class Counts:
    """What a load did, row by row."""

    written: int = 0
    revised: int = 0
    unchanged: int = 0
    duplicates: int = 0
    conflicting: int = 0

    def all(self) -> tuple[int, ...]:
        return (
            self.written,
            self.revised,
            self.unchanged,
            self.duplicates,
            self.conflicting,
        )


@dataclass
class NaiveStore:
    """Every version of every (key, hour), in no order."""

    cells: dict = field(default_factory=dict)

    def newest(self, cell) -> Version | None:
        """The version that is current."""
        return max(self.cells.get(cell, ()), key=lambda one: one.since, default=None)

    def load(self, rows, *, now: datetime, known_from: datetime | None = None):
        """Load rows of (key, hour, value, published, issued); return the counts."""
        known_from = known_from or now
        counts = Counts()
        good = _good(rows, counts)
        cells: dict = {}
        for (key, hour, published, issued), value in good.items():
            cells.setdefault((key, hour), []).append((published, issued, value))
        for cell, said in cells.items():
            vintages = [one for one in said if one[0] or one[1]]
            if vintages:
                self._place(cell, vintages, (now, known_from), counts)
            for published, issued, value in said:
                if not published and not issued:
                    self._observe(cell, value, (now, known_from), counts)
        return counts

    def _observe(self, cell, value, instants, counts) -> None:
        now, known_from = instants
        before = self.newest(cell)
        if before is not None and before.value == value:
            counts.unchanged += 1
            return
        since = known_from if before is None else max(known_from, before.since + TICK)
        counts.written += before is None
        counts.revised += before is not None
        self.cells.setdefault(cell, []).append(Version(since, value, now))

    def _place(self, cell, said, instants, counts) -> None:
        """Put what is new among the versions of a cell."""
        now, known_from = instants
        stored = list(self.cells.get(cell, ()))
        new = []
        for line in {issued for _, issued, _ in said}:
            of_line = [one for one in said if one[1] == line]
            new += _differing(of_line, _line(stored, line), counts)
        new = [
            (_free(published, stored, known_from), published, issued, value)
            for published, issued, value in new
        ]
        at = None
        for since, published, issued, value in sorted(
            new,
            key=lambda one: (one[0], one[2] or datetime.max.replace(tzinfo=now.tzinfo)),
        ):
            at = since if at is None else max(since, at + TICK)
            basis = "published" if published else "observed"
            made = Version(at, value, now, basis, issued)
            self.cells.setdefault(cell, []).append(made)
        self._bring_back(cell, said, instants, (stored, new, counts))

    def _bring_back(self, cell, said, instants, placed) -> None:
        now, known_from = instants
        stored, new, counts = placed
        newest = self.newest(cell)
        if newest is None or newest.value is not None:
            return
        last = max(said, key=lambda one: (one[0] or known_from, one[1] is None, one[1]))
        published, issued, value = last
        dated = [
            one.since
            for one in stored
            if one.basis == "published" and one.value is not None
        ]
        if published and any(since >= published + SLOT for since in dated):
            return
        since = max(known_from, newest.since + TICK)
        self.cells[cell].append(Version(since, value, now, "observed", issued))
        if (published, issued, value) not in [one[1:] for one in new]:
            counts.unchanged -= 1
            counts.revised += 1

    def withdraw(self, there, windows, *, now: datetime) -> int:
        """Withdraw what is current in windows (key, first, end) and not ``there``."""
        gone = 0
        for cell in list(self.cells):
            key, hour = cell
            inside = any(
                key == name and start <= hour < end for name, start, end in windows
            )
            newest = self.newest(cell)
            if inside and newest.value is not None and cell not in there:
                since = max(now, newest.since + TICK)
                tombstone = Version(since, None, now, status="withdrawn")
                self.cells[cell].append(tombstone)
                gone += 1
        return gone

    def as_of(self, at: datetime, *, known_by: str) -> dict:
        """What was known at an instant: {cell: value}."""
        found = {}
        for cell, every in self.cells.items():
            known = [
                one
                for one in every
                if one.since <= at
                and (known_by == "published" or one.ingested_at <= at)
            ]
            newest = max(known, key=lambda one: one.since, default=None)
            if newest is not None and newest.value is not None:
                found[cell] = newest.value
        return found

    def issue(self, key, issued) -> dict:
        """The newest values of an issue: {hour: value}."""
        found = {}
        for (name, hour), every in self.cells.items():
            of_issue = [one for one in every if one.issued == issued]
            if name == key and of_issue:
                found[hour] = max(of_issue, key=lambda one: one.since).value
        return found

    def current(self) -> dict:
        """(value, status, since) by cell, as ``obs_current`` holds them."""
        return {
            cell: (newest.value, newest.status, newest.since)
            for cell in self.cells
            if (newest := self.newest(cell))
        }

    def versions(self) -> dict:
        """All versions by (key, hour, since), as ``obs_version`` holds them."""
        found = {}
        for cell, every in self.cells.items():
            assert len({one.since for one in every}) == len(every)
            for one in every:
                found[(*cell, one.since)] = (
                    one.value,
                    one.status,
                    one.issued,
                    one.ingested_at,
                    one.basis,
                )
        return found


def _good(rows, counts) -> dict:
    """Return the rows without copies and conflicts, and count those."""
    copies: dict = {}
    for key, hour, value, published, issued in rows:
        copies.setdefault((key, hour, published, issued), []).append(value)
    counts.duplicates = sum(len(v) - 1 for v in copies.values() if len(set(v)) == 1)
    counts.conflicting = sum(len(v) for v in copies.values() if len(set(v)) > 1)
    return {at: v[0] for at, v in copies.items() if len(set(v)) == 1}


def _line(stored, issued) -> list[Version]:
    return [one for one in stored if one.issued == issued]


def _differing(said, line, counts) -> list:
    """Return the rows of a line that differ from the one before them."""
    told = [(one.since, False, one.value, None) for one in line]
    for row in said:
        published, _, value = row
        # After all states of its own publication; without one, after everything.
        place = (published + SLOT - TICK, True) if published else (_END, True)
        told.append((*place, value, row))
    told.sort(key=lambda one: one[:2])
    new = []
    for number, (_, _, value, row) in enumerate(told):
        if row is None:
            continue
        if number and told[number - 1][2] == value:
            counts.unchanged += 1
            continue
        counts.revised += bool(number or line)
        counts.written += not (number or line)
        new.append(row)
    return new


def _free(published, stored, known_from) -> datetime:
    """The first instant a row may have beside what is stored of its cell."""
    end = published + SLOT if published else _END
    taken = [one.since for one in stored if one.since < end]
    start = published or known_from
    return max([start, *(since + TICK for since in taken)])


_END = datetime.fromisoformat("9999-01-01T00:00:00+00:00")
