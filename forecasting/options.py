"""What a caller may ask of a forecast, and the check that the wish makes sense."""

from dataclasses import dataclass

from forecasting.errors import InvalidSeries

AUTO = "auto"


@dataclass(frozen=True, kw_only=True)
class ForecastOptions:
    """One wish for a forecast.

    Attributes:
        horizon: steps to forecast, at least 1.
        frequency: pandas offset alias ("1h", "D", "MS") or ISO 8601 duration ("PT1H").
        quantiles: levels strictly between 0 and 1, each at most once.
        model: "auto", or the name of a registered model.
        windows: rolling-origin backtest windows of the evaluation, at least 1.
        seed: seed of every random choice.
        season: season in steps; None takes it from the frequency.
    """

    horizon: int
    frequency: str
    quantiles: tuple[float, ...] = (0.1, 0.5, 0.9)
    model: str = AUTO
    windows: int = 3
    seed: int = 0
    season: int | None = None


def check_options(options: ForecastOptions, *, known: tuple[str, ...]) -> None:
    """Refuse options that no forecast can meet.

    Args:
        options: the wish.
        known: names of the registered models.

    Raises:
        InvalidSeries: horizon, windows or season below 1, a quantile outside (0, 1)
            or given twice, or a model nobody registered.
    """
    for name in ("horizon", "windows", "season"):
        steps = getattr(options, name)
        if steps is not None and steps < 1:
            raise InvalidSeries(f"{name} is {steps}: ask for at least 1")
    for level in options.quantiles:
        if not 0 < level < 1:
            raise InvalidSeries(
                f"quantile {level} is not strictly between 0 and 1, such as 0.9"
            )
    if len(set(options.quantiles)) != len(options.quantiles):
        raise InvalidSeries(
            f"quantiles {options.quantiles} repeat a level: give each one once"
        )
    if options.model not in (AUTO, *known):
        names = ", ".join((AUTO, *known))
        raise InvalidSeries(
            f"no model is called {options.model!r}: choose one of {names}"
        )
