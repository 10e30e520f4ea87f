"""The incidents at hand: takes anomalies in, one after the other; see grouping.py."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from db.incident_cases import Kept
from tasks.grouping import SEVERITIES, Case, Grouping, Sighted

Handle = int | str
"""What lets incidents share an anomaly: the number of a series, or a tag."""


@dataclass
class Known:
    """An anomaly that is in an incident already."""

    incident_id: str
    series_id: int
    kind: str
    severity: str
    start_at: datetime
    end_at: datetime
    dedup_key: str

    @classmethod
    def of(cls, kept: Kept) -> "Known":
        """Return a stored one."""
        names = (
            *("incident_id", "series_id", "kind", "severity", "start_at", "end_at"),
            "dedup_key",
        )
        return cls(**{name: getattr(kept, name) for name in names})

    def is_same(self, one: Sighted) -> bool:
        """Return whether an anomaly is this one, found again."""
        if (self.series_id, self.kind) != (one.series_id, one.kind):
            return False
        overlap = self.start_at < one.end_at and one.start_at < self.end_at
        return overlap or self.start_at == one.start_at

    def covers(self, one: Sighted) -> bool:
        """Return whether an anomaly adds nothing to this one."""
        return (
            self.start_at <= one.start_at
            and self.end_at >= one.end_at
            and SEVERITIES.index(self.severity) >= SEVERITIES.index(one.severity)
        )


class Cases:
    """What is open or was lately, and the anomalies in it that may come again.

    Only what has a series or a tag in common can be one, so each is looked up by those:
    an outage of a thousand series is no million of comparisons. Anomalies are taken in
    the order of their start, so what none of the rest can touch is forgotten on the
    way, and neither are a thousand incidents of one series.
    """

    def __init__(
        self,
        cases: Sequence[Case],
        known: Sequence[Kept],
        *,
        grouping: Grouping,
        seen: Mapping[int, datetime],
        now: datetime,
    ) -> None:
        self._known: dict[int, list[Known]] = {}
        self._known_of: dict[str, list[Known]] = {}
        self._recent: dict[int, list[Known]] = {}
        self._by_id = {case.id: case for case in cases}
        self._going = {case.id: case for case in cases if case.live}
        self._by_handle: dict[Handle, dict[str, Case]] = {}
        self._ended_before: datetime | None = None
        for one in known:
            self._know(Known.of(one))
        self._grouping = grouping
        self._seen = seen
        self._now = now
        for case in self._going.values():
            case.look(seen)

    @property
    def all(self) -> list[Case]:
        """All of them, those at the beginning first."""
        return list(self._by_id.values())

    def take(self, found: Sequence[Sighted]) -> None:
        """Put anomalies where they belong, and end what is over."""
        self._recent = {number: list(known) for number, known in self._known.items()}
        self._by_handle.clear()
        for case in self._by_id.values():
            self._index(case)
        for one in sorted(found, key=lambda one: (one.start_at, one.dedup_key)):
            if not self._again(one):
                self._end_before(one.start_at)
                self._place(one)
        for case in self._going.values():
            if case.recovered():
                case.end("recovered")

    def _again(self, one: Sighted) -> bool:
        """Note what is new of an anomaly that is known; of what is over, nothing is."""
        mine = [
            known
            for known in self._recent.get(one.series_id, ())
            if known.end_at > one.start_at or known.start_at == one.start_at
        ]
        self._recent[one.series_id] = mine
        same = next((known for known in mine if known.is_same(one)), None)
        if same is None:
            return False
        case = self._by_id.get(same.incident_id)
        if case is None or not case.live or same.covers(one):
            return True
        # A part of a stretch, found again, must not make it shorter.
        wider = self._wider(same, one)
        case.extend(same.dedup_key, wider, seen=self._until(one))
        self._merge(case)
        return True

    @staticmethod
    def _wider(same: Known, one: Sighted) -> Sighted:
        same.start_at = min(same.start_at, one.start_at)
        same.end_at = max(same.end_at, one.end_at)
        same.severity = max(same.severity, one.severity, key=SEVERITIES.index)
        given = {**vars(one), "start_at": same.start_at, "end_at": same.end_at}
        return Sighted(**{**given, "severity": same.severity})

    def _end_before(self, instant: datetime) -> None:
        if instant == self._ended_before:
            return
        self._ended_before = instant
        over = [case for case in self._going.values() if case.over_by(instant)]
        for case in over:
            case.end("recovered")
            del self._going[case.id]

    def _place(self, one: Sighted) -> None:
        near = [
            case
            for case in self._akin(_handles_of(one), at=one.start_at)
            if case.live
            and case.shares(one, self._grouping)
            and case.reaches(one, after_s=0)
        ]
        case = min(near, key=_age, default=None) or self._resting(one)
        if case is None:
            case = Case.opened(one, self._grouping, self._now)
            self._by_id[case.id] = case
        self._going[case.id] = case
        case.join(one, seen=self._until(one))
        self._index(case)
        self._know(
            Known(
                case.id,
                one.series_id,
                one.kind,
                one.severity,
                one.start_at,
                one.end_at,
                one.dedup_key,
            )
        )
        self._merge(case)

    def _resting(self, one: Sighted) -> Case | None:
        """Return the incident that an anomaly opens again, the latest."""
        resting = [
            case
            for case in self._akin(_handles_of(one), at=one.start_at)
            if not case.live
            and case.merged_into is None
            and case.shares(one, self._grouping)
            and case.reaches(one, after_s=case.grouping.cooldown_s)
        ]
        found = max(
            resting, key=lambda case: (case.last_seen_at, case.id), default=None
        )
        if found is not None:
            found.reopen()
            found.look(self._seen)
        return found

    def _merge(self, case: Case) -> None:
        """Make one of all incidents that have come near each other, of the oldest."""
        while (other := self._neighbour(case)) is not None:
            case, gone = sorted((case, other), key=_age)
            case.absorb(gone)
            del self._going[gone.id]
            self._index(case)
            for known in self._known_of.pop(gone.id, ()):
                known.incident_id = case.id
                self._known_of.setdefault(case.id, []).append(known)
            if gone.version == 0:  # nobody has heard of it yet
                del self._by_id[gone.id]

    def _neighbour(self, case: Case) -> Case | None:
        akin = self._akin(_handles(case.stays, case.tags), at=None)
        near = (
            one for one in akin if one.live and one is not case and case.is_near(one)
        )
        return next(near, None)

    def _akin(self, handles: Iterable[Handle], *, at: datetime | None) -> list[Case]:
        """Return the incidents that have a series or a tag of these, once each.

        What is over for too long to be opened again at an instant is forgotten.
        """
        found: dict[str, Case] = {}
        for handle in handles:
            mine = self._by_handle.get(handle, {})
            for case in [one for one in mine.values() if at and _is_past(one, at)]:
                del mine[case.id]
            found.update(mine)
        return list(found.values())

    def _index(self, case: Case) -> None:
        for handle in _handles(case.stays, case.tags):
            self._by_handle.setdefault(handle, {})[case.id] = case

    def _know(self, known: Known) -> None:
        for lists in (self._known, self._recent):
            lists.setdefault(known.series_id, []).append(known)
        self._known_of.setdefault(known.incident_id, []).append(known)

    def _until(self, one: Sighted) -> datetime:
        return max(one.end_at, self._seen.get(one.series_id, one.end_at))


def _handles(series_ids: Iterable[int], tags: Iterable[str]) -> list[Handle]:
    return [*series_ids, *tags]


def _handles_of(one: Sighted) -> list[Handle]:
    return _handles([one.series_id], one.tags)


def _is_past(case: Case, at: datetime) -> bool:
    """Return whether nothing that begins at an instant, or later, may join it."""
    rest = timedelta(seconds=max(case.grouping.cooldown_s, case.grouping.join_s))
    return not case.live and case.last_seen_at + rest < at


def _age(case: Case) -> tuple[datetime, str]:
    return case.start_at, case.id
