"""``python -m tests.sources --port N``: EIA, FRED and weather, until it is ended."""

import argparse
import signal
import sys
import threading

from tests.sources.server import serve
from tests.sources.together import Together, now


def main(words: list[str]) -> int:
    """Serve until SIGTERM or Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m tests.sources")
    parser.add_argument("--port", type=int, default=8090)
    arguments = parser.parse_args(words)
    ended = threading.Event()
    for one in (signal.SIGTERM, signal.SIGINT):
        signal.signal(one, lambda *_: ended.set())
    sources = Together(now())
    with serve(sources, sources.plan, port=arguments.port) as served:
        print(f"EIA, FRED and weather on {served.url}", flush=True)
        ended.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
