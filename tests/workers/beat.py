"""The modules that read the environment at their import, with a test's settings."""

import importlib
import sys
from types import ModuleType

from tasks.settings import PREFIX, Settings, fields


def environ_of(settings: Settings) -> dict[str, str]:
    """The variables that make a process read these settings."""
    return {
        PREFIX + field.name.upper(): str(getattr(settings, field.name))
        for field in fields()
    }


def door_module(name: str, settings: Settings, monkeypatch) -> ModuleType:
    """Import a module of the door anew as a process with these settings would."""
    for variable, text in environ_of(settings).items():
        monkeypatch.setenv(variable, text)
    for one in ("workers.app", name):
        monkeypatch.delitem(sys.modules, one, raising=False)
    return importlib.import_module(name)


def beat_module(settings: Settings, monkeypatch) -> ModuleType:
    """Import workers.schedule anew."""
    return door_module("workers.schedule", settings, monkeypatch)
