"""The embedded platform: one folder, one PostgreSQL, the doors' processes."""

import base64
import fcntl
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from db import keys, migrate, schedules
from db.schedules import Plan
from db.session import Database
from embedded.client import Client
from embedded.demo import HORIZON, TAG
from embedded.postgres import Postgres, PostgresNotStarted
from embedded.supervisor import Supervisor

_READY_WITHIN_S = 60.0
_SWEEP_EVERY_S = 60.0
_POSTGRES_PAUSE_S = 2.0
_TENANT = "demo"
_NIGHTLY = Plan(
    name="nightly forecast",
    cron="0 2 * * *",
    jobs=[
        {
            "ref": "forecast",
            "type": "forecast.run",
            "params": {"series": {"tag": TAG}, "horizon": HORIZON},
        },
        {
            "after": ["forecast"],
            "type": "analysis.run",
            "params": {"series": {"tag": TAG}},
        },
    ],
)
_PASSED_ON = ("PATH", "HOME", "LANG", "TMPDIR", "VIRTUAL_ENV", "PYTHONPATH")


class HomeInUse(RuntimeError):
    """Another platform runs in this folder."""


class NotReady(RuntimeError):
    """A part of the platform did not come up in time."""


class Platform:
    """Everything that ``make run`` starts, in one folder."""

    def __init__(
        self, home: Path, *, port: int, tuned: Mapping[str, str] | None = None
    ) -> None:
        """Keep all files below ``home``; serve on ``port`` or the next free one.

        Args:
            home: the folder.
            port: of the HTTP door.
            tuned: settings of the doors that are not as usual.

        Raises:
            NotReady: the folder cannot be made.
        """
        self._tuned = dict(tuned or {})
        self._home = home
        try:
            for part in ("logs", "artifacts", "broker"):
                (home / part).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise NotReady(f"{home} cannot be used: {error.strerror}") from error
        self._lock = (home / "lock").open("w")
        self._postgres = Postgres(home)
        self._port = free_port(port)
        self._flower_port = free_port(5555)
        self._supervisor: Supervisor | None = None
        self._swept_at = 0.0
        self._postgres_after = 0.0

    @property
    def base(self) -> str:
        """Where the HTTP door is."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def supervisor(self) -> Supervisor:
        """The supervisor of the started platform."""
        if self._supervisor is None:
            raise NotReady("the platform was not started")
        return self._supervisor

    def start(self) -> Client:
        """Start everything and return a client with the demo tenant's key.

        Raises:
            HomeInUse: another platform runs in this folder.
            NotReady: a part did not come up.
        """
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise HomeInUse(f"another Forebay runs in {self._home}") from error
        # Who listens is written anew by each process; jobs wait in the database.
        shutil.rmtree(self._home / "broker" / "control", ignore_errors=True)
        self._postgres.start()
        migrate.upgrade(self._postgres.url)
        client = Client(self.base, self._seed())
        self._supervisor = Supervisor(environ=self._environ(), logs=self._home / "logs")
        start = self._supervisor.start
        start("web", "web")
        start("dispatcher", "workers", "dispatcher")
        start("worker-forecast", "workers", "worker", "--queues=forecast")
        start("worker-rest", "workers", "worker", "--queues=ingest,analysis,system")
        start("beat", "workers", "beat")
        self._await_ready(client)
        start("flower", "workers", "flower")
        return client

    def tend(self) -> None:
        """Restart what died; throw away events that no Flower reads any more."""
        if not self._postgres.alive() and time.monotonic() >= self._postgres_after:
            try:
                self._postgres.start()
            except PostgresNotStarted:
                # Backends of a killed server may still hold its memory for a moment.
                print("  postgres died and does not start yet; trying again")
                self._postgres_after = time.monotonic() + _POSTGRES_PAUSE_S
        self.supervisor.tend()
        if time.monotonic() - self._swept_at > _SWEEP_EVERY_S:
            self._swept_at = time.monotonic()
            _sweep_events(self._home / "broker" / "messages")

    def stop(self) -> None:
        """End every process; safe to call at any time."""
        if self._supervisor is not None:
            self._supervisor.stop()
        self._postgres.stop()
        self._lock.close()

    def _await_ready(self, client: Client) -> None:
        ends_at = time.monotonic() + _READY_WITHIN_S
        while True:
            ready, missing = client.ready()
            if ready:
                return
            if time.monotonic() > ends_at:
                logs = self._home / "logs"
                raise NotReady(f"not ready: {missing}; the logs are in {logs}")
            self.tend()
            time.sleep(0.1)

    def _seed(self) -> str:
        """Create the demo tenant, its key and its nightly schedule; return the key."""
        path = self._home / "api-key"
        database = Database(self._postgres.url, pool_size=0)
        with database.system() as connection:
            tenant_id = keys.ensure_tenant(connection, name=_TENANT)
            secret = path.read_text().strip() if path.exists() else ""
            if not secret or keys.identify(connection, secret=secret) is None:
                secret = keys.issue(
                    connection, tenant_id=tenant_id, name="make run", role="admin"
                )
                _write_private(path, secret)
            tonight = datetime.now(UTC).replace(
                hour=2, minute=0, second=0, microsecond=0
            )
            schedules.create(
                connection,
                tenant_id=tenant_id,
                plan=_NIGHTLY,
                next_fire_at=tonight + timedelta(days=1),
                now=schedules.clock(connection),
            )
        return secret

    def _environ(self) -> dict[str, str]:
        secret = self._home / "secret-key"
        if not secret.exists():
            _write_private(secret, secrets.token_hex(32))
        sealing = self._home / "credentials-key"
        if not sealing.exists():
            key = base64.urlsafe_b64encode(secrets.token_bytes(32))
            _write_private(sealing, key.decode())
        passed = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        chosen = {
            name: text
            for name, text in os.environ.items()
            if name.startswith(("COVERAGE_", "FOREBAY_"))
        }
        environ = {
            **passed,
            **chosen,
            "PYTHONUNBUFFERED": "1",
            "FOREBAY_DATABASE_URL": self._postgres.url,
            "FOREBAY_BROKER_URL": "filesystem://",
            "FOREBAY_BROKER_FOLDER": str(self._home / "broker"),
            "FOREBAY_ARTIFACTS": str(self._home / "artifacts"),
            "FOREBAY_SECRET_KEY": secret.read_text(),
            "FOREBAY_CREDENTIALS_KEY_FILE": str(sealing.absolute()),
            "FOREBAY_SHUTDOWN_S": "2",
            "FOREBAY_PORT": str(self._port),
            "FOREBAY_FLOWER_PORT": str(self._flower_port),
            "FOREBAY_FLOWER_URL": f"http://127.0.0.1:{self._flower_port}",
            **self._tuned,
        }
        # At once, rather than each child refusing it again and again by itself.
        checked = subprocess.run(
            [sys.executable, "-m", "workers", "settings"],
            env=environ,
            capture_output=True,
            text=True,
            check=False,
        )
        if checked.returncode:
            raise NotReady(checked.stderr.strip())
        return environ


def _sweep_events(messages: Path) -> None:
    """Delete old worker events, as a broker lets them expire; jobs' messages stay."""
    for path in messages.glob("*.celeryev.*"):
        with suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > _SWEEP_EVERY_S:
                path.unlink()


def free_port(wanted: int) -> int:
    """Return the wanted loopback port, or the next one that nobody listens on."""
    for port in range(wanted, wanted + 200):
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port
    raise NotReady(f"no free port from {wanted} on")


def _write_private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
