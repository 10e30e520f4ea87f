"""A job's life and the fair line as plain objects: what the SQL must amount to."""

from dataclasses import dataclass, field

FINAL = ("succeeded", "failed", "cancelled")


@dataclass
class NaiveJob:
    """One job that has just been submitted."""

    max_attempts: int
    state: str = "queued"
    attempt: int = 1
    version: int = 1
    reason: str | None = None
    cancel_requested: bool = False
    overdue: bool = False
    results: int = 0
    messages: set[int] = field(default_factory=lambda: {1})
    history: list[str] = field(default_factory=lambda: ["queued"])

    def claim(self, attempt: int) -> bool:
        """Return whether this attempt now runs."""
        if self.state != "queued" or attempt != self.attempt or self._is_late():
            return False
        self._move("running", "running", None)
        return True

    def heartbeat(self, attempt: int, *, progress: bool) -> bool | None:
        """Return whether to cancel; None where the attempt is fenced off."""
        if not self._runs(attempt):
            return None
        if progress:
            self.version += 1
            self.history.append("progress")
        return self.cancel_requested

    def finish(self, attempt: int, state: str) -> bool:
        """Return whether the end was accepted."""
        if not self._runs(attempt):
            return False
        self._move(state, state, None)
        self.results += state == "succeeded"
        return True

    def give_back(self, attempt: int) -> str | None:
        """Return the state after; None where the attempt is fenced off."""
        if not self._runs(attempt):
            return None
        if self.cancel_requested:
            self._move("cancelled", "cancelled", "cancelled_by_user")
        elif self.attempt == self.max_attempts:
            self._move("failed", "failed", "lost")
        else:
            self.attempt += 1
            self.messages.add(self.attempt)
            self._move("queued", "retrying", "lost")
        return self.state

    def cancel(self) -> None:
        """End a queued job; ask a running one."""
        if self.state == "queued":
            self.messages.clear()
            self._move("cancelled", "cancelled", "cancelled_by_user")
        elif self.state == "running" and not self.cancel_requested:
            self._move("running", "cancel_requested", self.reason)
        else:
            return
        self.cancel_requested = True

    def dispatch(self) -> set[int]:
        """Return the attempts whose messages went out."""
        gone, self.messages = self.messages, set()
        return gone

    def pass_deadline(self) -> None:
        """The deadline to start by has passed."""
        self.overdue = True

    def fail_overdue(self) -> bool:
        """Return whether the job failed for its deadline."""
        if self.state != "queued" or not self._is_late():
            return False
        self.messages.clear()
        self._move("failed", "failed", "never_started")
        return True

    def _is_late(self) -> bool:
        """A job that has started in time may be tried again at any time."""
        return self.overdue and self.attempt == 1

    def _runs(self, attempt: int) -> bool:
        return self.state == "running" and attempt == self.attempt

    def _move(self, state: str, event: str, reason: str | None) -> None:
        self.state, self.reason = state, reason
        self.version += 1
        self.history.append(event)


@dataclass
class Flow:
    """What waits of one tenant in one lane: (priority, arrival, cost) of each job."""

    weight: float
    jobs: list[tuple[int, int, float]] = field(default_factory=list)
    paid: float = 0.0


@dataclass
class Lane:
    """The flows of one lane, and how far the lane has been paid for."""

    share: float
    flows: dict[int, Flow] = field(default_factory=dict)
    clock: float = 0.0
    paid: float = 0.0


class NaiveLine:
    """Start-time fair queueing, one job at a time, as the paper has it.

    First the lane and then the tenant whose next job has the smallest start tag;
    among equals the job that came first.
    """

    def __init__(self, weights: dict[int, float], share: float) -> None:
        self.lanes = {
            name: Lane(of_lane, {who: Flow(weight) for who, weight in weights.items()})
            for name, of_lane in (("normal", 1 - share), ("backfill", share))
        }
        self.clock = 0.0

    def add(self, who: int, lane: str, number: int, *, cost: float, priority: int):
        """A job arrives."""
        flow = self.lanes[lane].flows[who]
        flow.jobs.append((-priority, number, cost))
        flow.jobs.sort()

    def take(self) -> tuple[int, str, int] | None:
        """Serve one job; return its tenant, its lane and its number."""
        found = [
            (
                max(lane.paid, self.clock),
                max(flow.paid, lane.clock),
                flow.jobs[0][1],
                who,
                name,
            )
            for name, lane in self.lanes.items()
            for who, flow in lane.flows.items()
            if flow.jobs and who == self._first(lane)
        ]
        if not found:
            return None
        self.clock, start, number, who, name = min(found)
        lane = self.lanes[name]
        flow = lane.flows[who]
        _, _, cost = flow.jobs.pop(0)
        lane.clock = start
        flow.paid = start + cost / flow.weight
        lane.paid = self.clock + cost / lane.share
        return who, name, number

    @staticmethod
    def _first(lane: Lane) -> int:
        """The tenant that goes first in a lane."""
        return min(
            (max(flow.paid, lane.clock), flow.jobs[0][1], who)
            for who, flow in lane.flows.items()
            if flow.jobs
        )[2]
