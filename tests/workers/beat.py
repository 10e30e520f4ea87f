"""The modules that read the environment at their import, with a test's settings."""

import importlib
import sys
from types import ModuleType

from tasks.settings import PREFIX, Settings, fields


def beat_module(settings: Settings, monkeypatch) -> ModuleType:
    """Import workers.schedule anew as a process with these settings would."""
    for field in fields():
        value = str(getattr(settings, field.name))
        monkeypatch.setenv(PREFIX + field.name.upper(), value)
    for name in ("workers.app", "workers.schedule"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return importlib.import_module("workers.schedule")
