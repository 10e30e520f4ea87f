"""``python -m embedded run|demo|demo-sources``: the platform at a desk, at work."""

import argparse
import os
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, wait
from pathlib import Path
from threading import Thread
from types import FrameType

from embedded.client import CallFailed, Client
from embedded.demo import main_job
from embedded.demo_sources import story
from embedded.platform import HomeInUse, NotReady, Platform, free_port
from embedded.postgres import PostgresNotStarted
from embedded.summary import summary

_TEND_EVERY_S = 0.5
_SOURCES_PORT = 8090
_TOLD = (CallFailed, HomeInUse, NotReady, PostgresNotStarted)


def main(words: list[str]) -> int:
    """Start the platform, run the main job, and stay up or leave; return exit code."""
    arguments = _arguments(words)
    signal.signal(signal.SIGTERM, _interrupt)
    sources = arguments.action == "demo-sources"
    tuned = {"FOREBAY_SOURCE_HOSTS": "127.0.0.1"} if sources else None
    platform: Platform | None = None
    try:
        home = Path(arguments.home).resolve()
        platform = Platform(home, port=arguments.port, tuned=tuned)
        client = _show(platform, sources=sources)
        if arguments.action == "run" or arguments.stay:
            # Built at its first use: be quicker than the eye.
            client.fetch("/assets/vega.js")
            print("\nForebay is running. Ctrl-C ends it; the data stays.", flush=True)
            while True:
                platform.tend()
                time.sleep(_TEND_EVERY_S)
    except KeyboardInterrupt:
        print("\nEnding ...", flush=True)
    except _TOLD as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if platform is not None:
            platform.stop()
    return 0


def _arguments(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m embedded", description=__doc__)
    parser.add_argument("action", choices=["run", "demo", "demo-sources"])
    parser.add_argument("--home", default=os.environ.get("FOREBAY_HOME", "var"))
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--stay", action="store_true", help="stay up afterwards")
    return parser.parse_args(words)


def _show(platform: Platform, *, sources: bool) -> Client:
    """Start the platform, let it work, and tell of it."""
    began = time.monotonic()
    client = platform.start()
    print(f"Ready in {time.monotonic() - began:.1f} s. ", end="", flush=True)
    lines = _sources(client, port=_play(platform)) if sources else _main(client)
    # A daemon: Ctrl-C must not wait for an answer that is being held.
    done: Future[None] = Future()
    Thread(target=_tell, args=(lines, done), daemon=True).start()
    while not done.done():
        platform.tend()  # what dies meanwhile is started again, so that it can end
        wait([done], timeout=_TEND_EVERY_S)
    done.result()
    what = "Sources" if sources else "Main job"
    print(
        f"\n{what} done {time.monotonic() - began:.1f} s after the start.", flush=True
    )
    return client


def _main(client: Client) -> Iterator[str]:
    yield "Running the main job on real data ..."
    yield summary(main_job(client), base=client.base, key=client.key)


def _play(platform: Platform) -> int:
    """Start the sources; return their port.

    Not from the thread that tells the story: a child dies with the thread that made it.
    """
    port = free_port(_SOURCES_PORT)
    platform.supervisor.start("sources", "tests.sources", f"--port={port}")
    return port


def _sources(client: Client, *, port: int) -> Iterator[str]:
    yield "Reading sources that are played at this desk ..."
    yield from story(client, servers=f"http://127.0.0.1:{port}")


def _tell(lines: Iterator[str], done: "Future[None]") -> None:
    try:
        for line in lines:
            print(line, flush=True)
        done.set_result(None)
    except Exception as error:  # noqa: BLE001 - it is raised where it is awaited
        done.set_exception(error)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
