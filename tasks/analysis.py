"""``analysis.run``: expected values, bounds and scores, and the anomalies found."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from db import analyses
from db.session import Connection
from tasks.catalog import job_type
from tasks.context import JobContext, Outcome
from tasks.errors import InvalidData
from tasks.inputs import (
    Input,
    Instant,
    SeriesParams,
    aware,
    common_step,
    inputs,
    rfc3339,
)
from tasks.parts import by_series, refuse_empty

if TYPE_CHECKING:
    import numpy as np

    from analysis.analyse import Analysis

_FEWEST_OBSERVATIONS = 12


class AnalysisParams(SeriesParams):
    """What to analyse, how sensitively, and which stretch to report."""

    mode: Literal["batch", "latest", "changepoints"] = "batch"
    sensitivity: int = Field(
        default=50, ge=0, le=100, description="Higher flags more points."
    )
    start: Instant | None = Field(
        default=None,
        alias="from",
        description="Report from here; earlier observations serve as context.",
    )
    end: Instant | None = Field(
        default=None, alias="to", description="Report up to here, not including it."
    )

    @model_validator(mode="after")
    def _forwards(self) -> "AnalysisParams":
        if self.start and self.end and self.start >= self.end:
            message = "from must lie before to"
            raise ValueError(message)
        return self


_POINT = ("ds", "value", "expected", "lower", "upper", "score", "is_anomaly")


def as_table(result: Mapping[str, Any]) -> tuple[list[str], list[list[Any]]]:
    """Return a result as columns and rows, one for each series and point."""
    rows = [
        [item["unique_id"], *(point[name] for name in _POINT)]
        for item in result["series"]
        for point in item["points"]
    ]
    return ["unique_id", *_POINT], rows


@job_type(
    "analysis.run",
    params=AnalysisParams,
    queue="analysis",
    table=as_table,
    parts=by_series("analysis.run"),
)
def analysis_run(params: AnalysisParams, context: JobContext) -> Outcome:
    """Find what is not as expected in stored or given series, and say why."""
    done: list[tuple[Input, Analysis]] = []
    failed: list[dict[str, str]] = []
    for number, (total, item) in enumerate(inputs(params, context)):
        context.progress(number, total, "series", f"analysing {item.unique_id}")
        try:
            done.append((item, _analyse(params, item)))
        except InvalidData as error:
            failed.append({"unique_id": item.unique_id, "detail": str(error)})
    if context.part is None:
        refuse_empty(done, failed)
    total = len(done) + len(failed)
    context.progress(total, total, "series", "storing")
    result = {
        "mode": params.mode,
        "sensitivity": params.sensitivity,
        "series": [_as_json(params, item, found) for item, found in done],
        "failed": failed,
    }

    def store(connection: Connection) -> Mapping[str, Any]:
        for item, found in done:
            if item.series_id is not None and len(found.times):
                analyses.store(
                    connection,
                    tenant_id=context.tenant_id,
                    job_id=context.job_id,
                    new=_as_row(params, item.series_id, found),
                )
        return {}

    return Outcome(result, store)


def _analyse(params: AnalysisParams, item: Input) -> "Analysis":
    import numpy as np

    from analysis.analyse import (
        AnalysisOptions,
        InvalidOptions,
        InvalidSeries,
        analyse,
    )

    observed = int(np.isfinite(item.values).sum())
    if observed < _FEWEST_OBSERVATIONS:
        raise InvalidData(
            f"{observed} observations are too few to know what is expected; "
            f"at least {_FEWEST_OBSERVATIONS} are needed"
        )
    options = AnalysisOptions(
        frequency=item.frequency or common_step(item.times),
        mode=params.mode,
        sensitivity=params.sensitivity,
        focus=(_naive(params.start), _naive(params.end)),
    )
    try:
        return analyse(item.values, times=item.times, options=options)
    except (InvalidSeries, InvalidOptions) as error:
        raise InvalidData(str(error)) from error


def _naive(instant: Any) -> "np.datetime64 | None":
    import numpy as np

    return None if instant is None else np.datetime64(instant.replace(tzinfo=None))


def _number(value: Any) -> float | None:
    import numpy as np

    return float(value) if np.isfinite(value) else None


def _in_focus(params: AnalysisParams, found: "Analysis") -> "slice":
    import numpy as np

    start, end = _naive(params.start), _naive(params.end)
    first = 0 if start is None else int(np.searchsorted(found.times, start))
    stop = len(found.times) if end is None else int(np.searchsorted(found.times, end))
    return slice(first, stop)


def _as_json(params: AnalysisParams, item: Input, found: "Analysis") -> dict[str, Any]:
    shown = range(*_in_focus(params, found).indices(len(found.times)))
    return {
        "unique_id": item.unique_id,
        "season": found.season,
        "detector": found.detector,
        "points": [
            {
                "ds": rfc3339(found.times[at]),
                "value": _number(found.values[at]),
                "expected": _number(found.expected[at]),
                "lower": _number(found.lower[at]),
                "upper": _number(found.upper[at]),
                "score": float(found.score[at]),
                "is_anomaly": bool(found.is_anomaly[at]),
            }
            for at in shown
        ],
        "anomalies": [
            {
                "start": rfc3339(one.start),
                "end": rfc3339(one.end),
                "kind": one.kind,
                "severity": one.severity,
                "score": float(one.score),
                "explanation": one.explanation,
            }
            for one in found.anomalies
        ],
        "change_points": [
            {
                "ds": rfc3339(one.time),
                "confidence": float(one.confidence),
                "before": float(one.before),
                "after": float(one.after),
                "explanation": one.explanation,
            }
            for one in found.change_points
        ],
        "warnings": list(found.warnings),
    }


def _as_row(
    params: AnalysisParams, series_id: int, found: "Analysis"
) -> analyses.NewAnalysis:
    import numpy as np

    return analyses.NewAnalysis(
        series_id=series_id,
        mode=params.mode,
        start_at=params.start or aware(found.times[0]),
        end_at=params.end or aware(found.times[-1] + np.timedelta64(1, "us")),
        anomalies=[
            analyses.FoundAnomaly(
                start_at=aware(one.start),
                end_at=aware(one.end),
                kind=one.kind,
                severity=one.severity,
                score=float(one.score),
                explanation=one.explanation,
            )
            for one in found.anomalies
        ],
    )
