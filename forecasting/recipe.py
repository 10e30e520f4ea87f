"""A trained version as bytes: what was learned of a panel, and the panel itself.

With it a forecast is made again bit for bit, or made anew from later observations
without fitting the global models again. The bytes are an archive of JSON, arrays and
the models' own states; nothing in them is ever executed, as a pickle would be.
"""

import io
import json
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from forecasting.arrays import FloatArray, TimeArray
from forecasting.backtest import Problem
from forecasting.covariates import AnyCovariate, Covariate, Holidays
from forecasting.errors import InvalidSeries
from forecasting.fill import FillRules
from forecasting.frequency import parse_frequency
from forecasting.learning import Learned
from forecasting.models import registered_models
from forecasting.options import AS_USUAL, ForecastOptions
from forecasting.panel import PanelSeries, Seasons
from forecasting.prediction import Prediction, predict

_FORMAT = 1
# A zip entry has a time; a fixed one keeps equal versions equal in every byte.
_NO_TIME = (1980, 1, 1, 0, 0, 0)
# What reading bytes that are no recipe may end with.
_UNREADABLE = (
    *(zipfile.BadZipFile, zlib.error, EOFError, LookupError, NotImplementedError),
    *(AttributeError, TypeError, ValueError),
    RuntimeError,  # what zipfile says of a member that claims to be encrypted
)


@dataclass(frozen=True)
class Recipe:
    """A trained version.

    Attributes:
        learned: what was learned of the panel.
        frequency: of the panel.
        horizon: in steps.
        seasons: what the panel agreed on.
        seed: of every random choice.
        panel: what it was learned from.
        calendar: open days only, or None.
        timezone: whose clocks say when days begin.
        rules: how gaps were filled.
        asked_season: the season that was asked for; None took it from the frequency.
        lower: nothing was forecast below; None kept what was never negative from it.
        upper: nothing was forecast above; None for no bound.
    """

    learned: Learned
    frequency: str
    horizon: int
    seasons: Seasons
    seed: int
    panel: tuple[PanelSeries, ...]
    calendar: str | None = None
    timezone: str = "UTC"
    rules: FillRules = AS_USUAL
    asked_season: int | None = None
    lower: float | None = None
    upper: float | None = None

    def wish(self, options: ForecastOptions) -> ForecastOptions:
        """Return the wish that repeats the training's, as far as it is not free.

        Args:
            options: quantiles are taken from it, and bounds where it names any.
        """
        return replace(
            options,
            horizon=self.horizon,
            frequency=self.frequency,
            seed=self.seed,
            season=self.asked_season,
            calendar=self.calendar,
            timezone=self.timezone,
            rules=self.rules,
            lower=self.lower if options.lower is None else options.lower,
            upper=self.upper if options.upper is None else options.upper,
        )

    @property
    def columns(self) -> frozenset[tuple[str, str]]:
        """The covariates it learned from, see `column`."""
        return frozenset(column(c) for one in self.panel for c in one.covariates)

    def fits(self, options: ForecastOptions) -> bool:
        """Tell whether a wish has the steps of this version, however it writes them."""
        ours, theirs = (
            parse_frequency(one.frequency, calendar=one.calendar, timezone=one.timezone)
            for one in (self, options)
        )
        return self.horizon == options.horizon and replace(ours, text="") == replace(
            theirs, text=""
        )


def column(given: AnyCovariate) -> tuple[str, str]:
    """Name a covariate, and say how it is known.

    Example:
        >>> column(Holidays("DE", "BE"))
        ('holidays', 'DE BE UTC')
    """
    if isinstance(given, Covariate):
        return given.name, "future" if given.future else "past"
    words = (given.country, given.region, given.timezone)
    return "holidays", " ".join(word for word in words if word)


def predict_with(
    recipe: Recipe, problems: Sequence[Problem], *, options: ForecastOptions
) -> list[Prediction]:
    """Forecast series as the training would, by what it learned.

    Args:
        recipe: a trained version.
        problems: the series, with the version's seasons and horizon.
        options: quantiles and bounds.

    Returns:
        One prediction a series; one that never changes is forecast by its baseline, as
        it is in a training.

    Raises:
        InvalidSeries: a covariate is not known for the steps to forecast.
    """
    still = [problem.final > 0 and not _moves(problem) for problem in problems]
    found: dict[int, Prediction] = {}
    for flat, learned in ((False, recipe.learned), (True, _nothing(recipe.horizon))):
        rows = [row for row, one in enumerate(still) if one is flat]
        if rows:
            made = predict(learned, [problems[row] for row in rows], options=options)
            found |= dict(zip(rows, made, strict=True))
    return [found[row] for row in range(len(problems))]


def _moves(problem: Problem) -> bool:
    return float(np.ptp(problem.series.values)) > 0


def _nothing(horizon: int) -> Learned:
    return Learned((), np.empty(0), {}, np.empty((0, horizon)), {}, {}, {})


def to_bytes(recipe: Recipe) -> bytes:
    """Write a recipe as an archive; equal recipes give equal bytes."""
    learned = recipe.learned
    head = {
        "format": _FORMAT,
        "frequency": recipe.frequency,
        "horizon": recipe.horizon,
        "seasons": list(recipe.seasons),
        "seed": recipe.seed,
        "calendar": recipe.calendar,
        "timezone": recipe.timezone,
        "rules": asdict(recipe.rules),
        "asked_season": recipe.asked_season,
        "bounds": [recipe.lower, recipe.upper],
        "names": list(learned.names),
        "weights": learned.weights.tolist(),
        "own": {name: row.tolist() for name, row in learned.own.items()},
        "sizes": learned.sizes,
        "unfit": learned.unfit,
        "fitted": sorted(learned.fitted),
        "series": [
            {
                "unique_id": one.unique_id,
                "attributes": list(one.attributes),
                "covariates": [_described(given) for given in one.covariates],
            }
            for one in recipe.panel
        ],
    }
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:

        def put(name: str, body: bytes) -> None:
            entry = zipfile.ZipInfo(name, _NO_TIME)
            archive.writestr(entry, body, zipfile.ZIP_DEFLATED)

        put("recipe.json", json.dumps(head, sort_keys=True).encode())
        put("rows.npy", _array_bytes(learned.rows))
        for name in sorted(learned.fitted):
            put(f"fitted/{name}", learned.fitted[name].state())
        for number, one in enumerate(recipe.panel):
            put(f"values/{number}.npy", _array_bytes(one.values))
            put(f"times/{number}.npy", _array_bytes(_instants(one.times)))
            for place, given in enumerate(one.covariates):
                if isinstance(given, Covariate):
                    for part, values in _columns(given).items():
                        put(f"{part}/{number}/{place}.npy", _array_bytes(values))
    return whole.getvalue()


def from_bytes(body: bytes) -> Recipe:
    """Read a recipe that `to_bytes` wrote.

    Raises:
        InvalidSeries: the bytes are no recipe, or of a later release.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            return _read(archive)
    except InvalidSeries:
        raise
    except _UNREADABLE as error:
        raise InvalidSeries(
            f"not a trained version that can be read: {error}"
        ) from error


def _read(archive: zipfile.ZipFile) -> Recipe:
    head = json.loads(archive.read("recipe.json"))
    if head["format"] != _FORMAT:
        raise InvalidSeries(
            f"the trained version has format {head['format']} and this release reads "
            f"{_FORMAT}: train it again"
        )
    models = registered_models()
    missing = [name for name in head["names"] if name not in models]
    if missing:
        raise InvalidSeries(f"the trained version needs the models {missing}")
    fitted = {}
    for name in head["fitted"]:
        restore = models[name].restore
        if restore is None:
            raise InvalidSeries(f"{name} is no longer a model that can be kept")
        fitted[name] = restore(archive.read(f"fitted/{name}"))
    learned = Learned(
        names=tuple(head["names"]),
        weights=_floats(head["weights"]),
        own={name: _floats(row) for name, row in head["own"].items()},
        rows=_array(archive.read("rows.npy")),
        sizes=head["sizes"],
        fitted=fitted,
        unfit=head["unfit"],
    )
    return Recipe(
        learned=learned,
        frequency=head["frequency"],
        horizon=head["horizon"],
        seasons=(head["seasons"][0], head["seasons"][1]),
        seed=head["seed"],
        calendar=head["calendar"],
        timezone=head["timezone"],
        rules=FillRules(**head["rules"]),
        asked_season=head["asked_season"],
        lower=head["bounds"][0],
        upper=head["bounds"][1],
        panel=tuple(
            PanelSeries(
                unique_id=one["unique_id"],
                values=_array(archive.read(f"values/{number}.npy")),
                times=_array(archive.read(f"times/{number}.npy")).view("M8[us]"),
                covariates=tuple(
                    _covariate(archive, given, f"{number}/{place}.npy")
                    for place, given in enumerate(one["covariates"])
                ),
                attributes=tuple((name, value) for name, value in one["attributes"]),
            )
            for number, one in enumerate(head["series"])
        ),
    )


def _described(given: AnyCovariate) -> dict[str, Any]:
    if isinstance(given, Holidays):
        return {"holidays": asdict(given)}
    return {
        "name": given.name,
        "vintages": given.issued is not None,
        "future": given.future,
        "past_fill": given.past_fill,
        "future_fill": given.future_fill,
        "notes": list(given.notes),
    }


def _columns(given: Covariate) -> dict[str, Any]:
    columns = {
        "covariate-times": _instants(given.times),
        "covariate-values": given.values,
    }
    if given.issued is not None:
        columns["covariate-issued"] = _instants(given.issued)
    return columns


def _covariate(
    archive: zipfile.ZipFile, given: dict[str, Any], place: str
) -> AnyCovariate:
    if "holidays" in given:
        return Holidays(**given["holidays"])

    def column(part: str) -> Any:
        return _array(archive.read(f"covariate-{part}/{place}"))

    return Covariate(
        name=given["name"],
        times=column("times").view("M8[us]"),
        values=column("values"),
        issued=column("issued").view("M8[us]") if given["vintages"] else None,
        future=given["future"],
        past_fill=given["past_fill"],
        future_fill=given["future_fill"],
        notes=tuple(given["notes"]),
    )


def _instants(times: TimeArray) -> Any:
    return np.asarray(times, "M8[us]").astype(np.int64)


def _floats(numbers: Sequence[float]) -> FloatArray:
    return np.array(numbers, dtype=np.float64)


def _array_bytes(values: Any) -> bytes:
    body = io.BytesIO()
    np.save(body, values, allow_pickle=False)
    return body.getvalue()


def _array(body: bytes) -> Any:
    return np.load(io.BytesIO(body), allow_pickle=False)
