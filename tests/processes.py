"""Asking whether processes have ended, also where nobody reaps the orphans."""

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
    _, left = psutil.wait_procs(processes, timeout=within_s)
    return [one for one in left if lives(one)]
