"""What a caller may ask of a forecast, and the check that the wish makes sense."""

from dataclasses import dataclass
from datetime import datetime

from forecasting.errors import InvalidSeries
from forecasting.fill import FillRules

AUTO = "auto"
AS_USUAL = FillRules()


@dataclass(frozen=True, kw_only=True)
class ForecastOptions:
    """One wish for a forecast.

    Attributes:
        horizon: steps to forecast, at least 1.
        frequency: pandas offset alias ("1h", "D", "MS") or ISO 8601 duration ("PT1H").
        quantiles: levels strictly between 0 and 1, each at most once.
        model: "auto", the name of a registered model, or several names to blend.
        windows: rolling-origin backtest windows of the evaluation, at least 1.
        seed: seed of every random choice.
        season: season in steps; None takes it from the frequency.
        budget_s: CPU seconds that "auto" may plan for, by the models' own estimates;
            None allows twelve seconds, and two more for each of the first 200 series.
        lower: nothing is forecast below; None keeps what was never negative from it.
        upper: nothing is forecast above; None for no bound.
        samples: whole futures to draw for each series; 0 for none.
        rules: what is done about steps without a value, and times with several.
        calendar: open days only, such as "XNYS" or "DE"; None for all days.
        timezone: the zone whose clocks say when days, weeks and months begin.
        span: aware times of the start and the end of the panel, which fill rules reach
            to, such as those of a larger panel that this one is a part of; None for
            the ends of the series at hand.
    """

    horizon: int
    frequency: str
    quantiles: tuple[float, ...] = (0.1, 0.5, 0.9)
    model: str | tuple[str, ...] = AUTO
    windows: int = 3
    seed: int = 0
    season: int | None = None
    budget_s: float | None = None
    lower: float | None = None
    upper: float | None = None
    samples: int = 0
    rules: FillRules = AS_USUAL
    calendar: str | None = None
    timezone: str = "UTC"
    span: tuple[datetime, datetime] | None = None

    @property
    def named(self) -> tuple[str, ...]:
        """The models that the caller named; empty for "auto"."""
        if isinstance(self.model, tuple):
            return self.model
        return () if self.model == AUTO else (self.model,)


def check_options(options: ForecastOptions, *, known: tuple[str, ...]) -> None:
    """Refuse options that no forecast can meet.

    Args:
        options: the wish.
        known: names of the registered models.

    Raises:
        InvalidSeries: horizon, windows or season below 1, a quantile outside (0, 1)
            or given twice, a model nobody registered, a budget that is not positive,
            or bounds that leave no room.
    """
    for name in ("horizon", "windows", "season"):
        steps = getattr(options, name)
        if steps is not None and steps < 1:
            raise InvalidSeries(f"{name} is {steps}: ask for at least 1")
    if options.samples < 0:
        raise InvalidSeries(f"samples is {options.samples}: ask for 0 or more")
    _check_levels(options.quantiles)
    _check_models(options, known)
    if options.budget_s is not None and not options.budget_s > 0:
        raise InvalidSeries(f"budget_s is {options.budget_s}: give CPU seconds above 0")
    if None not in (options.lower, options.upper) and options.lower >= options.upper:  # type: ignore[operator]  # None was just excluded
        raise InvalidSeries(
            f"lower {options.lower} is not below upper {options.upper}: swap them"
        )


def _check_levels(levels: tuple[float, ...]) -> None:
    for level in levels:
        if not 0 < level < 1:
            raise InvalidSeries(
                f"quantile {level} is not strictly between 0 and 1, such as 0.9"
            )
    if len(set(levels)) != len(levels):
        raise InvalidSeries(f"quantiles {levels} repeat a level: give each one once")


def _check_models(options: ForecastOptions, known: tuple[str, ...]) -> None:
    if isinstance(options.model, tuple) and not options.model:
        raise InvalidSeries("no model is named: give at least one, or auto")
    for name in options.named:
        if name not in known:
            names = ", ".join((AUTO, *known))
            raise InvalidSeries(f"no model is called {name!r}: choose one of {names}")
    if len(set(options.named)) != len(options.named):
        raise InvalidSeries(f"models {options.named} repeat a name: give each one once")
