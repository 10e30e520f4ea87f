"""The repository as files: what the other tests of this folder look at."""

import os
from pathlib import Path

ROOT = Path(__file__).parents[2]
_LEFT_BEHIND = {".git", ".venv", ".hypothesis", "__pycache__", "build", "var"}
ROOMS = (
    "web",
    "workers",
    "tasks",
    "forecasting",
    "ingest",
    "analysis",
    "db",
    "embedded",
)


def files(*suffixes: str, below: tuple[str, ...] = ("",)) -> list[Path]:
    """Return the files of the repository, relative to the root.

    What tools leave behind is not looked at; neither is git asked, so that the tests
    run in an unpacked archive too.
    """
    found = []
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [
            name
            for name in folders
            if name not in _LEFT_BEHIND and not name.endswith((".egg-info", "_cache"))
        ]
        found += [Path(folder, name).relative_to(ROOT) for name in names]
    return sorted(
        path
        for path in found
        if path.name.endswith(suffixes or ("",))
        and str(path).startswith(below)
        and not path.name.startswith(".coverage")
    )


def modules(*folders: str) -> list[Path]:
    """Return the Python files of folders."""
    return files(".py", below=tuple(f"{folder}/" for folder in folders))


def text(path: Path | str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")
