"""Waiting for what another thread or process does, no longer than it takes."""

import threading
import time
from collections.abc import Callable
from typing import Any


def until(comes_true: Callable[[], Any], *, within_s: float = 30) -> None:
    """Return as soon as the call's answer is true."""
    ends_at = time.monotonic() + within_s
    pause = threading.Event()
    while not comes_true():
        assert time.monotonic() < ends_at, f"not within {within_s} s"
        pause.wait(0.01)
