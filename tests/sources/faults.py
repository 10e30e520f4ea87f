"""What goes wrong on the wire, by the number of the call: planned, so repeatable."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Fault = Literal["429", "500", "503", "reset", "truncate", "html", "slow"]
FAULTS: tuple[Fault, ...] = ("429", "500", "503", "reset", "truncate", "html", "slow")


@dataclass
class FaultPlan:
    """Which calls fail and how; calls are counted from 1, over all clients."""

    by_call: Mapping[int, Fault] = field(default_factory=dict)
    calls: int = 0

    def next(self) -> Fault | None:
        """Count a call and return what goes wrong with it, if anything."""
        self.calls += 1
        return self.by_call.get(self.calls)
