"""``forecast.monitor``: forecasts against what came, and findings where they drift."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, field_validator

from db import findings, monitoring, scores, series
from db.monitoring import Recent, Rolling, Watched
from db.scores import InUse, Lag, Scored, Window
from db.session import Connection
from tasks import submit
from tasks.catalog import Params, Parts, job_type, job_types
from tasks.context import JobContext, Outcome
from tasks.errors import FieldError, InvalidData, InvalidParams
from tasks.findings import TRAINING, Look, settle, training
from tasks.inputs import MAX_SERIES, SeriesKey, TagSelection, rfc3339

if TYPE_CHECKING:
    from forecasting.drift import InputChange, Rules

PART_SERIES = 500
_READ_AT_ONCE = 100
_MOST_VALUES = 10_000
"""Of a window: more would tell no more, and take memory."""


class MonitorParams(Params):
    """Which series to look at, how far back, and what counts as drift."""

    series: (
        Annotated[list[SeriesKey], Field(min_length=1, max_length=MAX_SERIES)]
        | TagSelection
        | None
    ) = Field(
        default=None,
        description="Keys of stored series, or a tag; by default all with forecasts.",
    )
    checks: Annotated[
        list[Literal["performance", "input"]], Field(min_length=1, max_length=2)
    ] = Field(default=["performance", "input"], description="What to look for.")
    days: int = Field(
        default=28,
        ge=1,
        le=3_650,
        description="The rolling window, back from what came last; that before it is "
        "the reference of the input.",
    )
    last: int | None = Field(
        default=None,
        ge=1,
        le=10_000,
        description="At most so many of the latest forecasts of the window.",
    )
    worse_by: float = Field(
        default=0.2, ge=0, le=100, description="Share above the baseline's error."
    )
    alpha: float = Field(
        default=0.05, gt=0, le=0.2, description="Level of the test of the input."
    )
    minimum_forecasts: int = Field(default=3, ge=1, le=10_000)
    minimum_points: int = Field(default=24, ge=2, le=100_000)
    retrain: dict[str, Any] | None = Field(
        default=None,
        description="Params of a forecast.train job that each finding gets once.",
    )

    @field_validator("retrain")
    @classmethod
    def _trainable(cls, template: dict[str, Any] | None) -> dict[str, Any] | None:
        if template is not None:
            try:
                submit.validated(job_types()[TRAINING], training(template, key="key"))
            except InvalidParams as error:
                places = [f"{one.pointer}: {one.detail}" for one in error.errors]
                raise ValueError("; ".join([str(error), *places[:5]])) from error
        return template


@dataclass(frozen=True)
class _Inputs:
    """What the tests of the input found; ``changed`` holds small p-values only."""

    tested: int
    calm: Sequence[int]
    changed: Sequence[Mapping[str, Any]]


def _split(params: MonitorParams, context: JobContext) -> Sequence[Params]:
    keys = [one.key for one in _watched(params, context)]
    return [
        params.model_copy(update={"series": keys[first : first + PART_SERIES]})
        for first in range(0, len(keys), PART_SERIES)
    ]


def _merge(
    params: MonitorParams, results: Iterator[Mapping[str, Any]], context: JobContext
) -> Outcome:
    ids: list[int] = []
    calm: list[int] = []
    changed: list[Mapping[str, Any]] = []
    tested = 0
    matched = {"forecasts": 0, "points": 0, "changed": 0}
    for one in results:
        ids += one["ids"]
        calm += one["inputs"]["calm"]
        changed += one["inputs"]["changed"]
        tested += one["inputs"]["tested"]
        matched = {name: matched[name] + one["matched"][name] for name in matched}

    def store(connection: Connection) -> Mapping[str, Any]:
        return _conclude(
            connection, context, params, ids, _Inputs(tested, calm, changed)
        )

    return Outcome({"series": len(ids), "matched": matched}, store)


def as_table(result: Mapping[str, Any]) -> tuple[list[str], list[list[Any]]]:
    """Return a result as columns and rows, one for each finding opened or closed."""
    names = ["id", "unique_id", "kind", "forecaster"]
    rows = [
        [change, *(one[name] for name in names)]
        for change in ("opened", "closed")
        for one in result[change]
    ]
    return ["change", *names], rows


@job_type(
    "forecast.monitor",
    params=MonitorParams,
    queue="analysis",
    table=as_table,
    parts=Parts(_split, _merge),
)
def forecast_monitor(params: MonitorParams, context: JobContext) -> Outcome:
    """Hold stored forecasts against what came, and open findings where they drift."""
    watched = _watched(params, context)
    inputs = _Inputs(0, [], [])
    if "input" in params.checks:
        inputs = _look_at_inputs(params, context, watched)
    context.progress(len(watched), len(watched), "series", "matching and storing")
    ids = [one.id for one in watched]

    def store(connection: Connection) -> Mapping[str, Any]:
        matched = {"matched": asdict(_score(connection, context, params, ids))}
        if context.part is not None:
            return matched
        return {**matched, **_conclude(connection, context, params, ids, inputs)}

    if context.part is None:
        return Outcome({"series": len(ids)}, store)
    return Outcome({"ids": ids, "inputs": asdict(inputs)}, store)


def _score(
    connection: Connection,
    context: JobContext,
    params: MonitorParams,
    ids: Sequence[int],
) -> Scored:
    tenant_id = context.tenant_id
    versions = scores.in_use(connection, tenant_id=tenant_id, series_ids=ids)
    lags = [lag for one in versions if (lag := _lag(one)) is not None]
    window = Window(params.days, context.now, lags)
    return scores.score(connection, tenant_id=tenant_id, series_ids=ids, window=window)


def _lag(one: InUse) -> Lag | None:
    """Return the season of a version in seconds; None where it has no fixed length."""
    from forecasting.frequency import parse_frequency, season_lengths

    frequency = parse_frequency(one.frequency)
    if frequency.step_us is None:
        return None
    season = one.season or season_lengths(frequency)[0]
    return Lag(one.model, season * frequency.step_us / 1e6, one.mase)


def _watched(params: MonitorParams, context: JobContext) -> list[Watched]:
    chosen = params.series
    tag = chosen.tag if isinstance(chosen, TagSelection) else None
    keys = chosen if isinstance(chosen, list) else None
    with context.read() as connection:
        _refuse_unknown(connection, context.tenant_id, keys or [])
        return monitoring.watched(
            connection, tenant_id=context.tenant_id, keys=keys, tag=tag
        )


def _refuse_unknown(
    connection: Connection, tenant_id: int, keys: Sequence[str]
) -> None:
    known = series.find_many(connection, tenant_id=tenant_id, keys=keys)
    errors = tuple(
        FieldError(f"/params/series/{number}", f"no series {key}")
        for number, key in enumerate(keys)
        if key not in known
    )
    if errors:
        raise InvalidData(errors[0].detail, errors)


def _rules(params: MonitorParams) -> "Rules":
    from forecasting.drift import Rules

    names = ("worse_by", "alpha", "minimum_forecasts", "minimum_points")
    return Rules(**{name: getattr(params, name) for name in names})


def _look_at_inputs(
    params: MonitorParams, context: JobContext, watched: Sequence[Watched]
) -> _Inputs:
    from forecasting.drift import doubtful

    rules = _rules(params)
    frequencies = {one.id: one.frequency for one in watched}
    calm: list[int] = []
    changed: list[Mapping[str, Any]] = []
    for first in range(0, len(watched), _READ_AT_ONCE):
        context.progress(first, len(watched), "series", "looking at observations")
        batch = [one.id for one in watched[first : first + _READ_AT_ONCE]]
        with context.read() as connection:
            windows = monitoring.recent(
                connection,
                tenant_id=context.tenant_id,
                series_ids=batch,
                days=params.days,
                most=_MOST_VALUES,
            )
            for one in windows:
                found = _changed(one, frequencies[one.series_id], rules)
                if found is None:
                    continue
                if doubtful(found.p_value, rules=rules):
                    changed.append({"series_id": one.series_id, **_told(one, found)})
                else:
                    calm.append(one.series_id)
    return _Inputs(len(calm) + len(changed), calm, changed)


def _changed(
    one: Recent, frequency: str | None, rules: "Rules"
) -> "InputChange | None":
    from forecasting.drift import Window, input_change, on_steps

    if min(one.split, len(one.times) - one.split) < rules.minimum_points:
        return None
    steps, seasons = on_steps(one.times, frequency=frequency)
    before, after = (
        Window(steps[part], one.values[part])
        for part in (slice(None, one.split), slice(one.split, None))
    )
    return input_change(before, recent=after, seasons=seasons, rules=rules)


def _told(one: Recent, found: "InputChange") -> dict[str, Any]:
    return {
        **asdict(found),
        "reference_from": rfc3339(one.times[0]),
        "reference_to": rfc3339(one.times[one.split - 1]),
        "from": rfc3339(one.times[one.split]),
        "to": rfc3339(one.times[-1]),
    }


def _conclude(
    connection: Connection,
    context: JobContext,
    params: MonitorParams,
    ids: Sequence[int],
    inputs: _Inputs,
) -> dict[str, Any]:
    """Decide for the whole run, alone: its tests are judged together."""
    findings.hold(connection, tenant_id=context.tenant_id)
    looks: list[Look] = []
    counts: dict[str, Any] = {}
    if "performance" in params.checks:
        rows = monitoring.rolling(
            connection,
            tenant_id=context.tenant_id,
            series_ids=ids,
            days=params.days,
            last=params.last,
        )
        found = _performance_looks(rows, _rules(params))
        counts["performance"] = _counted(found, len(ids))
        looks += found
    if "input" in params.checks:
        found = _input_looks(inputs, _rules(params))
        counts["input"] = _counted(found, len(ids))
        looks += found
    return {**counts, **settle(connection, context, looks, retrain=params.retrain)}


def _counted(looks: Sequence[Look], watched: int) -> dict[str, int]:
    return {
        "judged": len(looks),
        "not_enough": watched - len(looks),
        "drifted": sum(look.drifted for look in looks),
    }


def _performance_looks(rows: Sequence[Rolling], rules: "Rules") -> list[Look]:
    """Judge every forecaster; of those of one series the worst speaks for it."""
    import numpy as np

    from forecasting.drift import CALM, DRIFTED, NOT_ENOUGH, Errors, judge_errors

    names = ("mae", "baseline", "size", "forecasts", "points")
    columns = [np.array([float(getattr(r, name)) for r in rows]) for name in names]
    verdicts = judge_errors(Errors(*columns), rules=rules).tolist()
    worst: dict[int, tuple[tuple[bool, float], Look]] = {}
    for row, verdict in zip(rows, verdicts, strict=True):
        if verdict == NOT_ENOUGH:
            continue
        look = Look(
            row.series_id,
            "performance",
            verdict == DRIFTED,
            verdict == CALM,
            row.forecaster,
            _errors_told(row),
        )
        rank = look.drifted, row.mae / row.baseline if row.baseline > 0 else 0.0
        if row.series_id not in worst or rank > worst[row.series_id][0]:
            worst[row.series_id] = rank, look
    return [look for _, look in worst.values()]


def _errors_told(row: Rolling) -> dict[str, Any]:
    return {
        "ratio": row.mae / row.baseline if row.baseline > 0 else None,
        "mae": row.mae,
        "baseline_mae": row.baseline,
        "scaled": row.scaled,
        "coverage": row.coverage,
        "nominal_coverage": row.nominal_coverage,
        "forecasts": row.forecasts,
        "points": row.points,
        "from": _utc(row.first),
        "to": _utc(row.last),
    }


def _utc(instant: datetime) -> str:
    return instant.isoformat().replace("+00:00", "Z")


def _input_looks(inputs: _Inputs, rules: "Rules") -> list[Look]:
    import numpy as np

    from forecasting.drift import CALM, DRIFTED, judge_p_values

    p_values = np.array([one["p_value"] for one in inputs.changed], np.float64)
    verdicts = judge_p_values(p_values, tests=inputs.tested, rules=rules).tolist()
    looks = []
    for one, verdict in zip(inputs.changed, verdicts, strict=True):
        told = {name: value for name, value in one.items() if name != "series_id"}
        drifted, calm = verdict == DRIFTED, verdict == CALM
        looks.append(Look(one["series_id"], "input", drifted, calm, None, told))
    calm_ones = (Look(one, "input", False, True, None, {}) for one in inputs.calm)
    return [*looks, *calm_ones]
