"""Free loopback ports for private servers.

Why not simply bind to port 0: that hands out ephemeral ports, and a client that
keeps reconnecting to an ephemeral port whose server is down may be given the very
same port as its own source port and connect to itself. Crash tests do exactly that.
"""

import os
import random
import socket
from pathlib import Path

LOWEST_PORT = 15_000
EPHEMERAL_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
# The range of Linux when nothing else is configured.
EPHEMERAL_DEFAULT = 32_768


def free_port() -> int:
    """Return a loopback TCP port below the ephemeral range that nobody uses.

    Raises:
        OSError: A hundred tries found no free port.
    """
    # The system source, so that a seeded global generator never gives two test
    # runs on one machine the same ports.
    draw = random.SystemRandom()
    for _ in range(100):
        port = draw.randrange(LOWEST_PORT, _first_ephemeral())
        if _is_free(port):
            return port
    raise OSError(f"no free port found above {LOWEST_PORT}")


def _first_ephemeral() -> int:
    try:
        low = int(EPHEMERAL_RANGE.read_text().split()[0])
    except OSError:
        low = EPHEMERAL_DEFAULT
    return low if low > LOWEST_PORT else EPHEMERAL_DEFAULT


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def first_port(base: int) -> int:
    """Return where this process of the suite begins to look for ports in a row.

    Others run beside it, and would take the one that it has just found free.
    """
    return base + 100 * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
