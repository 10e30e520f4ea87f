"""How often a key may call: a sliding minute for each, counted in this process.

With several web processes behind a proxy, ``FOREBAY_RATE_STORAGE`` names a Redis that
counts for all of them.
"""

import math
import time

from limits import RateLimitItemPerMinute
from limits.storage import storage_from_string
from limits.strategies import SlidingWindowCounterRateLimiter

from web.errors import TooManyRequests


class Rates:
    """Counts calls by key."""

    def __init__(self, *, per_minute: int, storage: str) -> None:
        """Prepare the counters; 0 calls a minute means no limit."""
        self._item = RateLimitItemPerMinute(per_minute) if per_minute else None
        self._counter = SlidingWindowCounterRateLimiter(
            storage_from_string(storage or "memory://")
        )

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
