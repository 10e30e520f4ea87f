"""The transport options of a folder, shared with the processes that tests start."""

from pathlib import Path
from typing import Any


def options(folder: Path) -> dict[str, Any]:
    return {
        "data_folder_in": str(folder / "messages"),
        "data_folder_out": str(folder / "messages"),
        "control_folder": str(folder / "control"),
        "polling_interval": 0.001,
    }
