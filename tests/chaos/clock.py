"""``python -m tests.chaos.clock SEED``: the schedules fired by a clock that jumps.

A process of its own, with the platform's environment, because the schedule reads its
settings from there. Two threads fire at once, by instants hours apart, forwards and
backwards; the machine's clock is never touched.
"""

import json
import os
import random
import sys
import threading
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import psycopg

from db.session import Database

_TRIES = 20


def steps(latest: datetime, *, seed: int) -> list[datetime]:
    """Return instants around the latest fire time, hours forwards and backwards."""
    rng = random.Random(seed)
    hours = [rng.uniform(0.2, 5), -rng.uniform(1, 9), rng.uniform(0.2, 7), -3.0, 0.0]
    return [latest + timedelta(hours=hour) for hour in hours]


def fire(database: Database, instants: Iterable[datetime], fired: list[str]) -> None:
    """Fire what is due at each instant; a database that is away is asked again."""
    from workers import schedule

    for now in instants:
        for _ in range(_TRIES):
            try:
                fired.extend(schedule.fire_due(database, now=now))
            except Exception:  # noqa: BLE001 - another fault is at work
                time.sleep(0.5)
            else:
                break


def main(seed: int) -> None:
    """Fire from two threads at once, in opposite orders; print the jobs."""
    url = os.environ["FOREBAY_DATABASE_URL"]
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT max(next_fire_at) FROM schedules").fetchone()
    assert row is not None
    instants = steps(row[0].astimezone(UTC), seed=seed)
    database = Database(url, pool_size=2, name="chaos-clock")
    fired: list[str] = []
    threads = [
        threading.Thread(target=fire, args=(database, order, fired))
        for order in (instants, instants[::-1])
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    database.close()
    print(json.dumps(fired))


if __name__ == "__main__":
    main(int(sys.argv[1]))
