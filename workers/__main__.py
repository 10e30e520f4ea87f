"""``python -m workers worker|dispatcher|beat|flower``: one process of the door.

``python -m workers settings`` says whether the environment is fit to start them.
"""

import argparse
import os
import signal
import sys
from typing import Any

from tasks.catalog import QUEUES

# Before anything imports numpy: a child has one core's work, and LightGBM's threads
# do not survive in a pool (docs/adr/0005-celery-settings.md).
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
# A stop signal ends the worker after a bounded wait instead of an endless one.
os.environ.setdefault("REMAP_SIGTERM", "SIGQUIT")


def _worker(arguments: argparse.Namespace) -> None:
    from workers import bind  # noqa: PLC0415 - only this process runs jobs
    from workers.app import app  # noqa: PLC0415

    words = [
        "worker",
        f"--hostname={bind.WORKER}@%h",
        f"--queues={arguments.queues}",
        f"--concurrency={arguments.concurrency}",
        "--pool=prefork",
        "--without-gossip",
        "--without-mingle",
        "--loglevel=INFO",
    ]
    try:
        app.worker_main(words)
    finally:
        bind.give_back_all()


def _dispatcher(_arguments: argparse.Namespace) -> None:
    from db.session import Database  # noqa: PLC0415 - the beat has no need of it
    from tasks import telemetry  # noqa: PLC0415
    from workers.app import app, settings  # noqa: PLC0415
    from workers.deliverer import Deliverer  # noqa: PLC0415
    from workers.dispatcher import Dispatcher  # noqa: PLC0415
    from workers.housekeeping import Housekeeping  # noqa: PLC0415

    telemetry.configure(settings.log_level)
    database = Database(
        settings.database_url,
        pool_size=6,
        name="dispatcher",
        # One that hangs with a queue in its hands lets another one have it.
        patience={
            "idle_in_transaction_session_timeout": "20s",
            "lock_timeout": "5s",
        },
    )
    dispatcher = Dispatcher(app, database, settings)
    housekeeping = Housekeeping(
        app,
        database,
        settings,
        name=dispatcher.name,
        broker_state=lambda: dispatcher.broker,
    )
    deliverer = Deliverer(database, settings)

    def stop(*_signal: Any) -> None:
        dispatcher.stop()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    housekeeping.start()
    deliverer.start()
    dispatcher.run()
    deliverer.stop()
    housekeeping.stop()
    database.close()


def _beat(_arguments: argparse.Namespace) -> None:
    from tasks import telemetry  # noqa: PLC0415 - only this process ticks
    from workers.app import app, settings  # noqa: PLC0415

    telemetry.configure(settings.log_level)
    app.Beat(
        scheduler="workers.schedule:RowScheduler",
        max_interval=5,
        loglevel=settings.log_level,
        quiet=True,
    ).run()


def _flower(_arguments: argparse.Namespace) -> None:
    from workers.app import app, settings  # noqa: PLC0415 - an optional extra

    app.start(
        [
            "flower",
            f"--address={settings.flower_host}",
            f"--port={settings.flower_port}",
            "--read-only",
            "--persistent=False",
            "--max-tasks=5000",
            "--purge-offline-workers=300",
        ]
    )


def _settings(_arguments: argparse.Namespace) -> None:
    from tasks.settings import InvalidSettings, Settings  # noqa: PLC0415 - as above

    try:
        Settings.from_environ(os.environ)
    except InvalidSettings as error:
        raise SystemExit(str(error)) from error


_ROLES = {
    "worker": _worker,
    "dispatcher": _dispatcher,
    "beat": _beat,
    "flower": _flower,
    "settings": _settings,
}


def main(words: list[str]) -> None:
    """Run the process that the first word names."""
    parser = argparse.ArgumentParser(prog="python -m workers", description=__doc__)
    parser.add_argument("role", choices=sorted(_ROLES))
    parser.add_argument("--queues", default=",".join(QUEUES), help="of a worker")
    parser.add_argument("--concurrency", type=int, default=1, help="of a worker")
    arguments = parser.parse_args(words)
    _ROLES[arguments.role](arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
