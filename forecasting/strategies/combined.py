"""Combined: several strategies vote, each with its weight."""

from typing import Annotated, Any

from pydantic import Field, ValidationInfo, field_validator

from forecasting.bars import Bars, Stances
from forecasting.strategies import Parameters, find_strategy, strategy

_NAME = "combined"


class Member(Parameters):
    """One that votes."""

    strategy: str
    parameters: dict[str, Any] = Field(default_factory=dict)
    weight: float = Field(default=1.0, gt=0, le=1e6)

    @field_validator("strategy")
    @classmethod
    def _known(cls, name: str) -> str:
        if name == _NAME:
            message = f"{_NAME} cannot be a member of itself"
            raise ValueError(message)
        return find_strategy(name).name

    @field_validator("parameters")
    @classmethod
    def _valid(cls, given: dict[str, Any], member: ValidationInfo) -> dict[str, Any]:
        if "strategy" not in member.data:
            return given
        schema = find_strategy(member.data["strategy"]).parameters
        return schema.model_validate(given).model_dump(mode="json")

    @property
    def chosen(self) -> Parameters:
        """The parameters as the member's own schema reads them."""
        return find_strategy(self.strategy).parameters.model_validate(self.parameters)


class Combined(Parameters):
    """Who votes, and which majority counts."""

    members: Annotated[list[Member], Field(min_length=1, max_length=20)] = Field(
        default_factory=lambda: [
            Member(strategy=name) for name in ("momentum", "mean_reversion", "trend")
        ]
    )
    share: float = Field(
        default=0.5, ge=0, lt=1, description="Net share of the weight to stand on."
    )

    @property
    def needs_forecasts(self) -> bool:
        """A member's need is everyone's."""
        return any(member.chosen.needs_forecasts for member in self.members)


@strategy(_NAME, parameters=Combined)
def combined(bars: Bars, parameters: Combined) -> Stances:
    """Stand where the weighted votes agree by more than a share of all weight.

    Args:
        bars: what each member needs.
        parameters: a member's short stance counts against the long ones, also where
            the account itself may not go short.

    Returns:
        Stances, shape (n,); flat where no side has the share.
    """
    import numpy as np  # noqa: PLC0415 - the door has no numpy

    votes = np.zeros(bars.prices.size)
    for member in parameters.members:
        decide = find_strategy(member.strategy).decide
        votes += member.weight * decide(bars, member.chosen)
    weight = sum(member.weight for member in parameters.members)
    net = votes / weight
    return (net > parameters.share).astype(np.int8) - (net < -parameters.share)
