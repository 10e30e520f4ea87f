"""The Debian packages that the tests need: which are missing, and their installation.

What is installed is not started: the tests start private servers of their own, and a
server that already runs on the machine is never touched.
"""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

Which = Callable[[str], str | None]
Run = Callable[[Sequence[str]], object]

# Package -> a program that only this package brings.
PROGRAMS = {
    "postgresql": "initdb",
    "rabbitmq-server": "rabbitmqctl",
    "redis-server": "redis-server",
    "chromium": "chromium",
    "chromium-driver": "chromedriver",
    "prometheus": "prometheus",
}
# Debian keeps these out of a person's PATH.
HIDDEN_FOLDERS = ("usr/sbin", "usr/lib/postgresql/*/bin")
# Exit status by which Debian's invoke-rc.d is told that an action is forbidden.
FORBIDDEN = 101


class CannotInstallError(RuntimeError):
    """The packages must be installed by somebody else; the message says which."""


def find_program(name: str, *, root: Path = Path("/")) -> str | None:
    """Return the path of a program, also where only Debian knows to look."""
    hidden = [str(path) for place in HIDDEN_FOLDERS for path in root.glob(place)]
    search = [os.environ.get("PATH", os.defpath), *hidden]
    return shutil.which(name, path=os.pathsep.join(search))


def missing(which: Which = find_program) -> list[str]:
    """Return the packages whose program is not on this machine."""
    return [package for package, program in PROGRAMS.items() if not which(program)]


def install(
    packages: Sequence[str],
    *,
    run: Run | None = None,
    root: Path = Path("/"),
    user_id: int | None = None,
) -> None:
    """Install packages with apt-get and keep their services from starting.

    Raises:
        CannotInstallError: Not Debian, or not root.
    """
    by_hand = f"install by hand: apt-get install {' '.join(packages)}"
    if not (root / "etc/debian_version").exists():
        raise CannotInstallError(f"this machine is not Debian; {by_hand}")
    if (os.geteuid() if user_id is None else user_id) != 0:
        raise CannotInstallError(f"only root may install packages; {by_hand}")
    run = run or _apt
    with no_service_starts(root), no_main_cluster(root):
        run(["apt-get", "update"])
        run(["apt-get", "install", "-y", "--no-install-recommends", *packages])


@contextmanager
def no_service_starts(root: Path = Path("/")) -> Iterator[None]:
    """Forbid package scripts to start or restart services, unless a policy exists."""
    policy = root / "usr/sbin/policy-rc.d"
    if policy.exists():
        yield
        return
    policy.write_text(f"#!/bin/sh\nexit {FORBIDDEN}\n")
    policy.chmod(0o755)
    try:
        yield
    finally:
        policy.unlink()


@contextmanager
def no_main_cluster(root: Path = Path("/")) -> Iterator[None]:
    """Keep Debian's PostgreSQL package from creating its ready-made database."""
    setting = root / "etc/postgresql-common/createcluster.d/forebay-tests.conf"
    made = [folder for folder in setting.parents if not folder.exists()]
    setting.parent.mkdir(parents=True, exist_ok=True)
    setting.write_text("create_main_cluster = false\n")
    try:
        yield
    finally:
        setting.unlink()
        for folder in made:
            # The package may have put files of its own there meanwhile.
            if not any(folder.iterdir()):
                folder.rmdir()


def _apt(command: Sequence[str]) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(command, check=True, env=environment)
