"""What a transport is given by whoever opens it: limits, a judge, a pace, a clock."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from ingest.exchange import Request

Judge = Callable[[str], tuple[str, ...]]
"""Takes an address without its query, returns the IP addresses that may be connected
to, or raises NotAllowed; Unreachable if the name has none."""

Pace = Callable[[Request], None]
"""Waits until the source's limit has room, or raises RateLimited."""

Clock = Callable[[], datetime]


@dataclass(frozen=True)
class Wire:
    """How long is waited, how much is taken, and as whom.

    Attributes:
        connect_s: for a connection.
        read_s: between two arrivals of bytes.
        total_s: for a whole answer.
        most_bytes: of a body, unpacked.
        in_memory: bytes of a body above which it lies in a file.
        redirects: how many are followed; the next one is the answer.
        user_agent: who asks; a contact belongs into it.
        ca: a file of certificates to trust instead of the public ones.
    """

    connect_s: float = 5.0
    read_s: float = 60.0
    total_s: float = 1_800.0
    most_bytes: int = 2_000_000_000
    in_memory: int = 4 * 1024 * 1024
    redirects: int = 3
    user_agent: str = "Forebay/2026.1"
    ca: Path | None = None


@dataclass(frozen=True)
class Outside:
    """The outside world of one source, as the transports take it.

    Attributes:
        secrets: the values of place-holders, by name.
        folder: where large bodies are laid down; whoever opened the transport removes
            them.
        judge: of addresses.
        pace: of requests.
        clock: gives the time, aware, in UTC.
        wire: limits.
    """

    secrets: Mapping[str, str] = field(repr=False)
    folder: Path
    judge: Judge
    pace: Pace
    clock: Clock
    wire: Wire = field(default_factory=Wire)
