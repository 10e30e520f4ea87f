"""Asking whether processes have ended, also where nobody reaps the orphans."""

import time
from collections.abc import Sequence

import psutil

from tests.servers.process import lives


def still_running(
    processes: Sequence[psutil.Process], *, within_s: float
) -> list[psutil.Process]:
    """Wait for the processes to end; return those that have not.

    An orphan that ended is a zombie for as long as process 1 does not reap it, which
    in many containers is for ever.
    """
    ends_at = time.monotonic() + within_s
    while (left := [one for one in processes if lives(one)]) and (
        time.monotonic() < ends_at
    ):
        time.sleep(0.05)
    return left
