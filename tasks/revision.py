"""Which code and libraries this process runs, for what it trains to be made again.

Found by reading files, once a process: no program is started for it.
"""

import hashlib
import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]
_ROOM = "forecasting"
_LIBRARIES = (
    *("numpy", "scipy", "pandas", "statsmodels", "statsforecast"),
    *("lightgbm", "xgboost-cpu", "holidays", "keras", "jax"),
)
_SHOWN = 12  # digits of a hash, as Git abbreviates those of a large repository


@cache
def code_revision(root: Path = _ROOT) -> str:
    """Return such as ``2026.1+g1a2b3c4d5e6f.f60718293a4b5``.

    The release, the Git commit where there is a checkout, and a hash of the files of
    the forecasting room: of two equal ones every model is the same code, committed or
    not.
    """
    parts = [f"f{_room(root / _ROOM)}"]
    if commit := _commit(root / ".git"):
        parts.insert(0, f"g{commit[:_SHOWN]}")
    return f"{_installed('forebay') or 'unreleased'}+{'.'.join(parts)}"


@cache
def library_versions() -> dict[str, str]:
    """Return the versions of Python and of the installed numeric libraries."""
    found = {name: _installed(name) for name in _LIBRARIES}
    known = {name: number for name, number in found.items() if number}
    return {"python": platform.python_version(), **known}


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _room(folder: Path) -> str:
    seen = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        content = path.read_bytes()
        seen.update(f"{path.relative_to(folder)} {len(content)}\n".encode())
        seen.update(content)
    return seen.hexdigest()[:_SHOWN]


def _commit(git: Path) -> str | None:
    """Read what HEAD points to; None outside of a plain checkout."""
    head = _text(git / "HEAD")
    if head is None or not head.startswith("ref: "):
        return head
    ref = head.removeprefix("ref: ")
    packed = (_text(git / "packed-refs") or "").splitlines()
    found = (line.split()[0] for line in packed if line.endswith(f" {ref}"))
    return _text(git / ref) or next(found, None)


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
