"""How often a key may call: a sliding minute for each, counted in this process.

Several web processes behind a proxy allow as many calls each; a limit for all of them
together is the proxy's to set.
"""

import math
import time

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from web.errors import TooManyRequests


class Rates:
    """Counts calls by key."""

    def __init__(self, *, per_minute: int) -> None:
        """Prepare the counters; 0 calls a minute means no limit."""
        self._item = RateLimitItemPerMinute(per_minute) if per_minute else None
        self._counter = SlidingWindowCounterRateLimiter(MemoryStorage())

    def count(self, key_id: str) -> None:
        """Count a call.

        Raises:
            TooManyRequests: the key has used its minute.
        """
        if self._item is None or self._counter.hit(self._item, key_id):
            return
        resets_at = self._counter.get_window_stats(self._item, key_id).reset_time
        wait_s = max(1, math.ceil(resets_at - time.time()))
        detail = (
            f"this key may call {self._item.amount} times a minute; "
            f"try again in {wait_s} s"
        )
        raise TooManyRequests(detail, wait_s)
