"""The params of ``strategy.backtest``, checked where they are submitted."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, ValidationError, ValidationInfo, field_validator

from tasks.catalog import Params
from tasks.inputs import MAX_ROWS, Instant, SeriesParams

if TYPE_CHECKING:
    from forecasting.strategies import Parameters

_MOST_MONEY = 1e12


class Sizing(Params):
    """How much an order buys: a share of the cash, or a fixed quantity."""

    fraction: float | None = Field(
        default=None, gt=0, le=1, description="Share of the cash; 1 without units."
    )
    units: float | None = Field(
        default=None, gt=0, le=_MOST_MONEY, description="Fixed quantity of each order."
    )
    lot: float = Field(
        default=1e-8, ge=1e-8, le=1e9, description="Quantities are multiples of it."
    )

    @field_validator("units")
    @classmethod
    def _either(cls, units: float | None, given: ValidationInfo) -> float | None:
        if units is not None and given.data.get("fraction") is not None:
            message = "give either fraction or units"
            raise ValueError(message)
        return units


class Costs(Params):
    """What each order costs, buying and selling alike."""

    proportional_bps: float = Field(
        default=0.0, ge=0, le=10_000, description="Hundredths of a percent of amounts."
    )
    fixed: float = Field(
        default=0.0, ge=0, le=_MOST_MONEY, description="Money for each order."
    )
    slippage_bps: float = Field(
        default=0.0, ge=0, le=10_000, description="How much worse prices are filled."
    )


class WalkForwardParams(Params):
    """Parameters picked from a grid on the past, to trade the bars that follow."""

    train: int = Field(ge=2, le=1_000_000, description="Bars to pick on.")
    test: int = Field(ge=1, le=1_000_000, description="Bars to trade after a pick.")
    grid: dict[str, Annotated[list[Any], Field(min_length=1, max_length=64)]] = Field(
        min_length=1, max_length=10, description="Values to try for each parameter."
    )
    metric: Literal["total_return", "sharpe"] = "total_return"


class ForecastRow(Params):
    """A value that was forecast, and the instant since when that was known."""

    unique_id: str = Field(default="series", min_length=1, max_length=200)
    issued_at: Instant
    ds: Instant
    y: float


class StrategyParams(SeriesParams):
    """What to trade, by which strategy and on which terms."""

    strategy: str = Field(max_length=100, description="A strategy's name.")
    parameters: dict[str, Any] = Field(
        default_factory=dict,
        validate_default=True,
        description="The strategy's own; all have defaults.",
    )
    walk_forward: WalkForwardParams | None = None
    forecasts: (
        Literal["stored"]
        | Annotated[list[ForecastRow], Field(min_length=1, max_length=MAX_ROWS)]
        | None
    ) = Field(
        default=None,
        validate_default=True,
        description="Forecasts to compare prices with: those stored, or rows.",
    )
    cash: float = Field(default=10_000.0, gt=0, le=_MOST_MONEY)
    sizing: Sizing = Sizing()
    costs: Costs = Costs()
    short: bool = Field(default=False, description="Whether to go short, or flat.")
    risk_free: float = Field(
        default=0.0, gt=-1, le=1, description="Yearly rate for the Sharpe ratio."
    )
    start: Instant | None = Field(
        default=None,
        alias="from",
        description="Trade from here; earlier bars serve as context.",
    )

    @field_validator("strategy")
    @classmethod
    def _known(cls, name: str) -> str:
        from forecasting.strategies import find_strategy

        return find_strategy(name).name

    @field_validator("parameters")
    @classmethod
    def _taken(cls, given: dict[str, Any], whole: ValidationInfo) -> dict[str, Any]:
        from forecasting.strategies import find_strategy

        if "strategy" not in whole.data:
            return given
        schema = find_strategy(whole.data["strategy"]).parameters
        return schema.model_validate(given).model_dump(mode="json")

    @field_validator("walk_forward")
    @classmethod
    def _gridded(
        cls, plan: WalkForwardParams | None, whole: ValidationInfo
    ) -> WalkForwardParams | None:
        if plan is not None and {"strategy", "parameters"} <= set(whole.data):
            try:
                _tried(whole.data, plan)
            except ValidationError as error:
                first = error.errors()[0]
                name = ".".join(map(str, first["loc"])) or "combination"
                words = first["msg"].removeprefix("Value error, ")
                raise ValueError(f"grid: {name}: {words}") from error
        return plan

    @field_validator("forecasts")
    @classmethod
    def _wanted(cls, given: Any, whole: ValidationInfo) -> Any:
        if not {"strategy", "parameters", "walk_forward"} <= set(whole.data):
            return given
        tried = _tried(whole.data, whole.data["walk_forward"])
        needed = any(one.needs_forecasts for one in tried)
        if needed and given is None:
            message = (
                f"{whole.data['strategy']} compares prices with forecasts: give rows, "
                'or "stored"; threshold may have a level instead'
            )
            raise ValueError(message)
        if given is not None and not needed:
            message = f"{whole.data['strategy']} makes no use of forecasts"
            raise ValueError(message)
        if given == "stored" and whole.data.get("data") is not None:
            message = "inline data has no stored forecasts: give rows"
            raise ValueError(message)
        if isinstance(given, list):
            _refuse_repeats(given)
        return given


def _tried(
    given: Mapping[str, Any], plan: WalkForwardParams | None
) -> "list[Parameters]":
    from forecasting.strategies import combinations, find_strategy

    return combinations(
        find_strategy(given["strategy"]),
        parameters=given["parameters"],
        grid=plan.grid if plan else {},
    )


def _refuse_repeats(rows: Sequence[ForecastRow]) -> None:
    seen = set()
    for number, row in enumerate(rows):
        place = (row.unique_id, row.issued_at, row.ds)
        if place in seen:
            message = f"row {number} repeats a time of the same forecast"
            raise ValueError(message)
        seen.add(place)
