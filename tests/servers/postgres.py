"""A private PostgreSQL: throw-away data, an odd time zone, clones from templates."""

import os
import pwd
import shutil
import signal
import subprocess
from pathlib import Path

import psycopg
from psycopg import sql

from tests.servers.server import Server

DEBIAN_HOME = Path("/usr/lib/postgresql")
# Far from UTC and with daylight saving, so that a forgotten time zone shows.
ODD_TIMEZONE = "Pacific/Auckland"


class PostgresClient:
    """What a test asks of any PostgreSQL it owns, whoever started it."""

    port: int

    def url(self, database: str = "postgres") -> str:
        """Return the address of a database, for psycopg and SQLAlchemy 2.1 alike."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def create_database(self, name: str, *, template: str | None = None) -> str:
        """Create a database, perhaps as a copy of an idle template; return its URL."""
        query = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
            sql.Identifier(name), sql.Identifier(template or "template1")
        )
        self._execute(query)
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Drop a database together with the connections to it."""
        query = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
        self._execute(query.format(sql.Identifier(name)))

    def answers(self) -> bool:
        """Tell whether a connection can run a query."""
        try:
            self._execute(sql.SQL("SELECT 1"))
        except psycopg.OperationalError:
            return False
        return True

    def _execute(self, query: sql.SQL | sql.Composed) -> None:
        with psycopg.connect(
            self.url(), autocommit=True, connect_timeout=5
        ) as connection:
            connection.execute(query)


class PostgresServer(PostgresClient, Server):
    """PostgreSQL from the Debian packages.

    Args:
        fsync: Write through to the disk. Off for speed; on for tests that kill the
            server and then ask what was kept.
        settings: More server settings by name.
    """

    name = "postgres"
    # SIGINT is PostgreSQL's fast shutdown: it does not wait for clients to leave.
    stop_signal = signal.SIGINT
    death_signal = "INT"

    def __init__(
        self, *, fsync: bool = False, settings: dict[str, str] | None = None
    ) -> None:
        super().__init__()
        self.user = _postgres_user()
        self.fsync = fsync
        self.settings = settings or {}

    def _create(self, directory: Path) -> None:
        initdb = [_binary("initdb"), "--pgdata", str(directory / "content")]
        initdb += ["--username=postgres", "--auth=trust", "--no-sync"]
        initdb += ["--encoding=UTF8", "--locale=C.UTF-8"]
        if self.user:
            initdb = ["runuser", "-u", self.user, "--", *initdb]
        subprocess.run(initdb, check=True, capture_output=True, cwd=directory)

    def _command(self) -> list[str]:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": str(self.directory),
            **settings_for_tests(fsync=self.fsync),
            **self.settings,
        }
        options = [f"--{name}={value}" for name, value in settings.items()]
        return [_binary("postgres"), "-D", str(self.directory / "content"), *options]


def settings_for_tests(*, fsync: bool) -> dict[str, str]:
    """Return the server settings that hold wherever the server comes from."""
    durable = "on" if fsync else "off"
    return {
        "max_connections": "200",
        "shared_buffers": "32MB",
        "timezone": ODD_TIMEZONE,
        "log_timezone": "UTC",
        "fsync": durable,
        "full_page_writes": durable,
    }


def postgres_home() -> Path | None:
    """Return the folder of the newest PostgreSQL programs, or None."""
    versions = [
        folder / "bin"
        for folder in DEBIAN_HOME.glob("*")
        if folder.name.isdigit() and (folder / "bin" / "initdb").exists()
    ]
    if versions:
        return max(versions, key=lambda path: int(path.parent.name))
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found else None


def _binary(name: str) -> str:
    home = postgres_home()
    if home is None:
        raise FileNotFoundError(f"{name}: PostgreSQL is not installed")
    return str(home / name)


def _postgres_user() -> str | None:
    # PostgreSQL refuses to run as root, and the Debian package brings this user.
    return pwd.getpwnam("postgres").pw_name if os.geteuid() == 0 else None
