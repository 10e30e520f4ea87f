"""A shelf of models for one test."""

from forecasting import models
from forecasting.models import Model, always, milliseconds

_ROOMS = (
    "backtest",
    "comparison",
    "forecast",
    "heats",
    "learning",
    "members",
    "prediction",
)


def put(monkeypatch, *, only=False, **functions):
    """Add local models for a test, or replace all of them by ``only=True``."""
    registry = {} if only else dict(models.registered_models())
    for name in ("naive", "seasonal_naive"):
        registry[name] = models.registered_models()[name]
    for name, predict in functions.items():
        registry[name] = Model(
            name=name, local=predict, suits=always, cost=milliseconds(0.1)
        )
    use(monkeypatch, registry)


def use(monkeypatch, registry):
    """Make this the shelf of the room."""
    for room in _ROOMS:
        monkeypatch.setattr(f"forecasting.{room}.registered_models", lambda: registry)
