"""``python -m embedded run|demo``: the platform at a desk, with its main job done."""

import argparse
import os
import signal
import sys
import time
from concurrent.futures import Future, wait
from pathlib import Path
from threading import Thread
from types import FrameType

from embedded.client import CallFailed, Client
from embedded.demo import Shown, main_job
from embedded.platform import HomeInUse, NotReady, Platform
from embedded.postgres import PostgresNotStarted
from embedded.summary import summary

_TEND_EVERY_S = 0.5


def main(words: list[str]) -> int:
    """Start the platform, run the main job, and stay up or leave; return exit code."""
    parser = argparse.ArgumentParser(prog="python -m embedded", description=__doc__)
    parser.add_argument("action", choices=["run", "demo"])
    parser.add_argument("--home", default=os.environ.get("FOREBAY_HOME", "var"))
    parser.add_argument("--port", type=int, default=8080)
    arguments = parser.parse_args(words)
    signal.signal(signal.SIGTERM, _interrupt)
    began = time.monotonic()
    platform: Platform | None = None
    try:
        platform = Platform(Path(arguments.home).resolve(), port=arguments.port)
        client = platform.start()
        ready_s = time.monotonic() - began
        _show(platform, client, ready_s=ready_s, began=began)
        if arguments.action == "run":
            print("\nForebay is running. Ctrl-C ends it; the data stays.", flush=True)
            while True:
                platform.tend()
                time.sleep(_TEND_EVERY_S)
    except KeyboardInterrupt:
        print("\nEnding ...", flush=True)
    except (CallFailed, HomeInUse, NotReady, PostgresNotStarted) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if platform is not None:
            platform.stop()
    return 0


def _show(platform: Platform, client: Client, *, ready_s: float, began: float) -> None:
    print(
        f"Ready in {ready_s:.1f} s. Running the main job on real data ...", flush=True
    )
    # A daemon: Ctrl-C must not wait for an answer that is being held.
    done: Future[Shown] = Future()
    Thread(target=_run_main_job, args=(client, done), daemon=True).start()
    while not done.done():
        platform.tend()  # what dies meanwhile is started again, so that it can end
        wait([done], timeout=_TEND_EVERY_S)
    shown = done.result()
    print(summary(shown, base=platform.base, key=client.key))
    print(
        f"\nMain job done {time.monotonic() - began:.1f} s after the start.", flush=True
    )
    client.fetch("/assets/vega.js")  # built at its first use: be quicker than the eye


def _run_main_job(client: Client, done: "Future[Shown]") -> None:
    try:
        done.set_result(main_job(client))
    except Exception as error:  # noqa: BLE001 - it is raised where it is awaited
        done.set_exception(error)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
