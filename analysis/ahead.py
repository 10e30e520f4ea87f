"""One step ahead: the usual value of the phase, and how much of a departure lasts."""

import math
from collections.abc import Sequence

# Weight of the past at each step: the relation is learnt over about 1,000 points.
_FORGETTING = 0.999
# How little is known of the coefficients at first.
_VAGUE = 100.0
# The product of two such numbers is one still.
_LARGEST = 1e150


class Ahead:
    """An autoregression of order two, fitted recursively to departures.

    References:
        Haykin (2014), Adaptive Filter Theory, 5th ed., chapter 10 (recursive least
        squares).
    """

    __slots__ = (
        "coefficients",
        "covariance",
        "departures",
        "level",
        "unit",
        "usual",
    )

    def __init__(self) -> None:
        self.coefficients = [0.0, 0.0, 0.0]
        self.covariance = [_VAGUE, 0.0, 0.0, 0.0, _VAGUE, 0.0, 0.0, 0.0, _VAGUE]
        self.departures = [math.nan, math.nan]
        # Keeps the numbers small: departures are counted from the first value.
        self.level = math.nan
        self.usual = math.nan
        # The first departure that is one: it makes the coefficients free of units.
        self.unit = 0.0

    def expect(self, usual: float) -> float:
        """Return the expected next value; `usual` is that of its phase or NaN."""
        if usual != usual:  # noqa: PLR0124 - NaN, and math.isnan is twice as slow
            usual = self.level
        self.usual = usual
        first, second, constant = self.coefficients
        near, far = self.departures
        if near != near:  # noqa: PLR0124 - as above
            return usual
        if far != far:  # noqa: PLR0124 - as above
            return usual + near
        found = usual + first * near + second * far + constant * self.unit
        return found if math.isfinite(found) else usual

    def learn(self, value: float) -> None:
        """Compare the value with what was expected of it, and learn from that."""
        if self.level != self.level:
            self.level = self.usual = value
        departure = value - self.usual
        near, far = self.departures
        unit = self.unit or abs(departure)
        if unit and near == near and far == far:  # noqa: PLR0124 - NaN
            self.unit = unit
            self._update((near / unit, far / unit, 1.0), departure / unit)
        self.departures = [departure, near]

    def skip(self) -> None:
        """Pass a missing value: what was left of the departure is not known."""
        self.departures = [math.nan, math.nan]

    def _update(self, inputs: Sequence[float], target: float) -> None:
        """Update the least squares by one row."""
        a, b, c = inputs
        p = self.covariance
        u = p[0] * a + p[1] * b + p[2] * c
        v = p[3] * a + p[4] * b + p[5] * c
        w = p[6] * a + p[7] * b + p[8] * c
        size = _FORGETTING + a * u + b * v + c * w
        if not size < _LARGEST:
            # A departure beside which all earlier ones are nothing teaches nothing.
            return
        x, y, z = self.coefficients
        error = (target - x * a - y * b - z * c) / size
        self.coefficients = [x + u * error, y + v * error, z + w * error]
        q = 1 / _FORGETTING
        s = q / size
        self.covariance = [
            q * p[0] - s * u * u,
            q * p[1] - s * u * v,
            q * p[2] - s * u * w,
            q * p[3] - s * v * u,
            q * p[4] - s * v * v,
            q * p[5] - s * v * w,
            q * p[6] - s * w * u,
            q * p[7] - s * w * v,
            q * p[8] - s * w * w,
        ]
