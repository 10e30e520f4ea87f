"""Which anomalies belong together: the rules of incidents, without a database.

Times are those of the series. An incident ends when each of its series has been looked
at for so long after its last anomaly without another one; a clock is never asked, so
the same anomalies make the same incidents whether they come at once or one by one.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from typing import Any

from db.ids import new_id

SEVERITIES = ("low", "medium", "high", "critical")


def worst(severities: Iterable[str]) -> str:
    """Return the worst of some severities."""
    return max(severities, key=SEVERITIES.index)


@dataclass(frozen=True)
class Grouping:
    """How far apart what belongs together may be.

    Args:
        join_s: seconds between two anomalies of one incident, at most.
        recover_s: seconds without an anomaly after which it is over; not less.
        cooldown_s: seconds after its last anomaly in which another one opens it again
            instead of opening a new one.
        by: ``tag``: series that share a tag, or ``series``: each on its own.
        tags: which tags count; None for all.
    """

    join_s: float = 3_600.0
    recover_s: float = 3_600.0
    cooldown_s: float = 21_600.0
    by: str = "tag"
    tags: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        """Refuse distances that would end an incident which another could join."""
        if self.recover_s < self.join_s or self.join_s < 0 or self.cooldown_s < 0:
            message = "an incident cannot be over before the next anomaly may join it"
            raise ValueError(message)
        if self.by not in ("tag", "series"):
            message = "anomalies are grouped by tag or by series"
            raise ValueError(message)

    def counted(self, tags: Iterable[str]) -> set[str]:
        """Return those of a series' tags that let it share an incident."""
        if self.by == "series":
            return set()
        return set(tags) if self.tags is None else set(tags) & set(self.tags)

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> "Grouping":
        """Return what was stored with an incident."""
        given = {
            one.name: stored[one.name] for one in fields(cls) if one.name in stored
        }
        if given.get("tags") is not None:
            given["tags"] = tuple(given["tags"])
        return cls(**given)


@dataclass(frozen=True)
class Sighted:
    """An anomaly of a series, half-open in time, with what was seen and expected."""

    series_id: int
    unique_id: str
    tags: Sequence[str]
    start_at: datetime
    end_at: datetime
    kind: str
    severity: str
    score: float
    explanation: str
    evidence: Mapping[str, Any] = field(default_factory=dict)

    @property
    def dedup_key(self) -> str:
        """The name of the anomaly, the same whenever it is found again."""
        start = self.start_at.astimezone(UTC).isoformat().replace("+00:00", "Z")
        return f"{self.unique_id}|{self.kind}|{start}"


@dataclass
class Stay:
    """A series in an incident: its first and last anomaly, and how far it was seen."""

    unique_id: str
    start_at: datetime
    last_seen_at: datetime
    seen_until: datetime


@dataclass
class Case:
    """An incident at work; ``news`` says what happened to it since it was loaded."""

    id: str
    dedup_key: str
    scope: str
    grouping: Grouping
    headline: str
    severity: str
    start_at: datetime
    last_seen_at: datetime
    opened_at: datetime
    updated_at: datetime
    state: str = "open"
    reason: str | None = None
    tags: list[str] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    anomalies: int = 0
    reopened: int = 0
    acknowledged_at: datetime | None = None
    acknowledged_by: str | None = None
    closed_at: datetime | None = None
    merged_into: str | None = None
    version: int = 0
    stays: dict[int, Stay] = field(default_factory=dict)
    news: list[str] = field(default_factory=list)
    joined: list[tuple[str, Sighted]] = field(default_factory=list)
    absorbed: list[str] = field(default_factory=list)
    touched: bool = False

    @classmethod
    def opened(cls, one: Sighted, grouping: Grouping, now: datetime) -> "Case":
        """Return the incident that an anomaly founds."""
        counted = sorted(grouping.counted(one.tags))
        scope = f"tag:{','.join(counted)}" if counted else f"series:{one.unique_id}"
        return cls(
            id=new_id("inc"),
            dedup_key=one.dedup_key,
            scope=scope,
            grouping=grouping,
            headline=headline(one),
            severity=one.severity,
            start_at=one.start_at,
            last_seen_at=one.end_at,
            opened_at=now,
            updated_at=now,
            news=["opened"],
        )

    @property
    def live(self) -> bool:
        """Whether it is not over."""
        return self.state != "resolved"

    def shares(self, one: Sighted, grouping: Grouping) -> bool:
        """Return whether an anomaly is of a series, or has a tag, of the incident."""
        return one.series_id in self.stays or bool(
            grouping.counted(one.tags) & self.grouping.counted(self.tags)
        )

    def is_near(self, other: "Case") -> bool:
        """Return whether two incidents are one by now."""
        apart = max(self.start_at, other.start_at) - min(
            self.last_seen_at, other.last_seen_at
        )
        join_s = min(self.grouping.join_s, other.grouping.join_s)
        shared = self.grouping.counted(self.tags) & other.grouping.counted(other.tags)
        return apart <= timedelta(seconds=join_s) and bool(
            shared or self.stays.keys() & other.stays.keys()
        )

    def reaches(self, one: Sighted, *, after_s: float) -> bool:
        """Return whether an anomaly lies near enough in time."""
        before = timedelta(seconds=self.grouping.join_s)
        after = timedelta(seconds=max(after_s, self.grouping.join_s))
        return (
            one.end_at >= self.start_at - before
            and one.start_at <= self.last_seen_at + after
        )

    def join(self, one: Sighted, *, seen: datetime) -> None:
        """Let an anomaly join."""
        self._news("joined")
        self.anomalies += 1
        self.joined.append((one.dedup_key, one))
        self._cover(one, seen)
        self.kinds += [kind for kind in (one.kind,) if kind not in self.kinds]
        self.tags = sorted({*self.tags, *one.tags})

    def extend(self, key: str, one: Sighted, *, seen: datetime) -> None:
        """Take the newer reading of an anomaly that has joined."""
        self.joined.append((key, one))
        self._cover(one, seen)

    def _cover(self, one: Sighted, seen: datetime) -> None:
        self.touched = True
        if SEVERITIES.index(one.severity) > SEVERITIES.index(self.severity):
            self._news("worse")
            self.severity, self.headline = one.severity, headline(one)
            if self.state == "acknowledged":
                self.state, self.acknowledged_at, self.acknowledged_by = (
                    "open",
                    None,
                    None,
                )
        stay = self.stays.setdefault(
            one.series_id, Stay(one.unique_id, one.start_at, one.end_at, one.end_at)
        )
        stay.start_at = min(stay.start_at, one.start_at)
        stay.last_seen_at = max(stay.last_seen_at, one.end_at)
        stay.seen_until = max(stay.seen_until, seen, one.end_at)
        self.start_at = min(self.start_at, one.start_at)
        self.last_seen_at = max(self.last_seen_at, one.end_at)

    def absorb(self, other: "Case") -> None:
        """Take over all of another incident, which ends by that."""
        self._news("merged")
        self.touched = True
        self.absorbed += [*other.absorbed, other.id]
        self.anomalies += other.anomalies
        self.severity = worst((self.severity, other.severity))
        self.kinds += [kind for kind in other.kinds if kind not in self.kinds]
        self.tags = sorted({*self.tags, *other.tags})
        self.start_at = min(self.start_at, other.start_at)
        self.last_seen_at = max(self.last_seen_at, other.last_seen_at)
        self.joined += other.joined
        for series_id, stay in other.stays.items():
            mine = self.stays.setdefault(series_id, stay)
            mine.start_at = min(mine.start_at, stay.start_at)
            mine.last_seen_at = max(mine.last_seen_at, stay.last_seen_at)
            mine.seen_until = max(mine.seen_until, stay.seen_until)
        other.end("merged")
        other.merged_into, other.absorbed = self.id, []
        other.joined, other.stays = [], {}

    def look(self, seen: Mapping[int, datetime]) -> None:
        """Note how far its series were looked at."""
        for series_id, stay in self.stays.items():
            until = seen.get(series_id)
            if until is not None and until > stay.seen_until:
                stay.seen_until, self.touched = until, True

    def recovered(self) -> bool:
        """Return whether each series was seen without an anomaly for long enough."""
        rest = timedelta(seconds=self.grouping.recover_s)
        return all(
            one.seen_until >= one.last_seen_at + rest for one in self.stays.values()
        )

    def over_by(self, instant: datetime) -> bool:
        """Return whether it had ended when something began."""
        rest = timedelta(seconds=self.grouping.recover_s)
        return self.recovered() and self.last_seen_at + rest <= instant

    def end(self, reason: str) -> None:
        """Resolve it."""
        self.state, self.reason, self.touched = "resolved", reason, True
        self._news("resolved")

    def reopen(self) -> None:
        """Go on with it after all."""
        self.state, self.reason, self.closed_at = "open", None, None
        self.acknowledged_at, self.acknowledged_by = None, None
        self.reopened += 1
        if "resolved" in self.news:
            self.news.remove("resolved")
        self._news("reopened")

    def _news(self, word: str) -> None:
        fresh = "opened" in self.news and word in ("joined", "worse", "merged")
        if word not in self.news and not fresh:
            self.news.append(word)


def headline(one: Sighted) -> str:
    """Return what an incident is called after its worst anomaly."""
    return headline_of(one.kind, one.unique_id)


def headline_of(kind: str, unique_id: str) -> str:
    """Return what an incident is called after a kind of anomaly of a series."""
    return f"{kind.replace('_', ' ')} in {unique_id}"
