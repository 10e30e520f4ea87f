"""The shelf of views: one number about the newest point, read from the past."""

import importlib
import pkgutil

from analysis.viewing import View, views

__all__ = ["View", "views"]

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
