"""The table that all behavioural servers tell of: what was the case, and known when.

A server shows its own wire format of ``Truth``; a test compares what a connector made
of that with the table itself.
"""

import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@dataclass(frozen=True, order=True)
class Version:
    """What was said of one interval since some instant; a value of None is a gap."""

    published_at: datetime
    value: float | None


def grid(start: datetime, length: int, step: timedelta = HOUR) -> tuple[datetime, ...]:
    """Return the starts of consecutive intervals."""
    return tuple(start + step * number for number in range(length))


class Truth:
    """Series, their values, and each revision with the instant of its publication.

    The same seed and arguments give the same table. Values have two decimals, so they
    survive being written as text. A server asks ``rows`` or ``at``; a test may change
    the world with ``revise`` and look whether the change arrives.

    Args:
        seed: of all randomness.
        series: names, in the source's own spelling.
        starts: the starts of all intervals in UTC, ascending; by default 48 hours.
        lag: from the start of an interval to its first publication.
        revised: the share of intervals that have one or two later versions, 1 to 20
            days after the first.
        missing: the share of intervals published without a value.

    Attributes:
        series: the names.
        starts: the starts, the same for all series.

    Example:
        >>> truth = Truth(7, series=("PJM",))
        >>> truth.at("PJM", truth.starts[0]) == Truth(7, series=("PJM",)).at(
        ...     "PJM", truth.starts[0]
        ... )
        True
    """

    def __init__(
        self,
        seed: int,
        *,
        series: Sequence[str] = ("A", "B"),
        starts: Sequence[datetime] = grid(START, 48),
        lag: timedelta = HOUR,
        revised: float = 0.1,
        missing: float = 0.02,
    ) -> None:
        self.series = tuple(series)
        self.starts = tuple(starts)
        self._versions: dict[tuple[str, datetime], list[Version]] = {}
        for number, name in enumerate(self.series):
            rng = np.random.default_rng((seed, number))
            self._fill(name, rng, lag=lag, revised=revised, missing=missing)

    def _fill(
        self,
        name: str,
        rng: np.random.Generator,
        *,
        lag: timedelta,
        revised: float,
        missing: float,
    ) -> None:
        size = len(self.starts)
        wave = np.sin(np.arange(size) * 2 * np.pi / 24)
        values = np.round(1_000 + 200 * wave + rng.normal(0, 20, size), 2).tolist()
        gaps = (rng.random(size) < missing).tolist()
        later = np.where(rng.random(size) < revised, rng.integers(1, 3, size), 0)
        for start, value, gap, more in zip(
            self.starts, values, gaps, later.tolist(), strict=True
        ):
            versions = [Version(start + lag, None if gap else value)]
            for nth in range(1, more + 1):
                wait = timedelta(days=int(rng.integers(1, 10))) + timedelta(
                    days=10 * (nth - 1)
                )
                changed = round(value + nth + float(rng.random()), 2)
                versions.append(Version(start + lag + wait, changed))
            self._versions[name, start] = versions

    def versions(self, series: str, ts: datetime) -> tuple[Version, ...]:
        """Return all versions of one interval, first to last; () if there is none."""
        return tuple(self._versions.get((series, ts), ()))

    def version(
        self, series: str, ts: datetime, as_of: datetime | None = None
    ) -> Version | None:
        """Return what was said of an interval at an instant, or None if nothing yet."""
        versions = self._versions.get((series, ts), [])
        if as_of is None:
            return versions[-1] if versions else None
        known = bisect.bisect_right([v.published_at for v in versions], as_of)
        return versions[known - 1] if known else None

    def at(
        self, series: str, ts: datetime, as_of: datetime | None = None
    ) -> float | None:
        """Return the value known at an instant, by default the last one.

        None if nothing was published by then, or only a gap.
        """
        version = self.version(series, ts, as_of)
        return None if version is None else version.value

    def rows(
        self,
        *,
        series: Sequence[str] | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        as_of: datetime | None = None,
    ) -> Iterator[tuple[str, datetime, float | None]]:
        """Yield (series, start, value) of [start, end), by time and then by series.

        Gaps come with a value of None; what was not yet published at ``as_of`` does
        not come at all.
        """
        names = self.series if series is None else tuple(series)
        for ts in self.starts:
            if (start is not None and ts < start) or (end is not None and ts >= end):
                continue
            for name in names:
                version = self.version(name, ts, as_of)
                if version is not None:
                    yield name, ts, version.value

    def values(
        self, as_of: datetime | None = None
    ) -> dict[tuple[str, datetime], float]:
        """Return all values without gaps, by series and start."""
        return {
            (name, ts): value
            for name, ts, value in self.rows(as_of=as_of)
            if value is not None
        }

    def revise(
        self, series: str, ts: datetime, value: float | None, at: datetime
    ) -> None:
        """Publish another version of an interval, or the first one of a new interval.

        Args:
            series: its name.
            ts: the start of the interval.
            value: the new value; None makes it a gap.
            at: when it is published; not before the versions there are.
        """
        bisect.insort(self._versions.setdefault((series, ts), []), Version(at, value))
        if ts not in self.starts:
            self.starts = tuple(sorted((*self.starts, ts)))
