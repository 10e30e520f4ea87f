"""``analysis.run``: expected values, bounds and scores, and the anomalies found."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from db import analyses
from db.session import Connection
from tasks.analysis_options import Asked, JudgingParams, naive
from tasks.analysis_report import (
    POINT,
    anomaly_json,
    change_json,
    found_anomaly,
    points_json,
    regime_json,
)
from tasks.analysis_together import rows, together
from tasks.catalog import Params, Parts, job_type
from tasks.context import JobContext, Outcome
from tasks.errors import InvalidData
from tasks.inputs import Input, Instant, aware, inputs
from tasks.parts import by_series, refuse_empty

if TYPE_CHECKING:
    import numpy as np

    from analysis.analyse import Analysis
    from analysis.records import AnalysisOptions

_ALONE = (
    *("most_anomalous_share", "start", "end", "direction", "min_change"),
    *("min_change_relative", "impute", "calendar", "time_zone"),
)
"""What counts for series that are judged one by one only."""


class AnalysisParams(JudgingParams):
    """What to analyse, how sensitively, and which stretch to report."""

    mode: Literal["batch", "latest", "replay", "changepoints", "multivariate"] = Field(
        default="batch",
        description="batch judges in hindsight, replay each point by what came before "
        "it, latest the newest alone; changepoints adds lasting changes and regimes to "
        "batch; multivariate judges all series as one.",
    )
    most_anomalous_share: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="At most this share of the points is flagged, the strangest.",
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

    @model_validator(mode="after")
    def _heeded(self) -> "AnalysisParams":
        """Refuse what would be asked for in vain."""
        fields = type(self).model_fields
        vain = [
            fields[name].alias or name
            for name in _ALONE
            if getattr(self, name)
            != fields[name].get_default(call_default_factory=True)
        ]
        if self.mode == "multivariate" and vain:
            message = f"multivariate does not heed {', '.join(vain)}; leave it out"
            raise ValueError(message)
        return self


def as_table(result: Mapping[str, Any]) -> tuple[list[str], list[list[Any]]]:
    """Return a result as columns and rows, one for each series and point."""
    if "together" in result:
        return rows(result["together"])
    table = [
        [item["unique_id"], *(point[name] for name in POINT)]
        for item in result["series"]
        for point in item["points"]
    ]
    return ["unique_id", *POINT], table


_each = by_series("analysis.run")


def _split(params: AnalysisParams, context: JobContext) -> Sequence[Params]:
    """Split by series, unless all of them are looked at as one."""
    if params.mode == "multivariate":
        return [params]
    return _each.split(params, context)


@job_type(
    "analysis.run",
    params=AnalysisParams,
    queue="analysis",
    table=as_table,
    parts=Parts(_split, _each.merge),
)
def analysis_run(params: AnalysisParams, context: JobContext) -> Outcome:
    """Find what is not as expected in stored or given series, and say why."""
    if params.mode == "multivariate":
        found = together(params, context, Asked(params, context, mode="batch"))
        about = {"mode": params.mode, "sensitivity": params.sensitivity}
        return Outcome({**about, "together": found})
    return _one_by_one(params, context)


def _one_by_one(params: AnalysisParams, context: JobContext) -> Outcome:
    done: list[tuple[Input, Analysis]] = []
    failed: list[dict[str, str]] = []
    asked = Asked(
        params,
        context,
        mode=params.mode,
        focus=(_edge(params.start), _edge(params.end)),
        most_anomalous_share=params.most_anomalous_share,
    )
    for number, (total, item) in enumerate(inputs(params, context)):
        context.progress(number, total, "series", f"analysing {item.unique_id}")
        try:
            done.append((item, analysed(item, asked.of(item))))
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


def analysed(item: Input, options: "AnalysisOptions") -> "Analysis":
    """Analyse one series.

    Raises:
        InvalidData: it cannot be analysed; the text says what to do about it.
    """
    from analysis.analyse import InvalidOptions, InvalidSeries, analyse

    try:
        return analyse(item.values, times=item.times, options=options)
    except (InvalidSeries, InvalidOptions) as error:
        raise InvalidData(str(error)) from error


def _edge(instant: Any) -> "np.datetime64 | None":
    return None if instant is None else naive(instant)


def _in_focus(params: AnalysisParams, found: "Analysis") -> "slice":
    import numpy as np

    start, end = _edge(params.start), _edge(params.end)
    first = 0 if start is None else int(np.searchsorted(found.times, start))
    stop = len(found.times) if end is None else int(np.searchsorted(found.times, end))
    return slice(first, stop)


def _as_json(params: AnalysisParams, item: Input, found: "Analysis") -> dict[str, Any]:
    return {
        "unique_id": item.unique_id,
        "season": found.season,
        "detector": found.detector,
        "points": points_json(found, shown=_in_focus(params, found)),
        "anomalies": [anomaly_json(one) for one in found.anomalies],
        "change_points": [change_json(one) for one in found.change_points],
        "regimes": _regimes(params, found),
        "warnings": list(found.warnings),
    }


def _regimes(params: AnalysisParams, found: "Analysis") -> list[dict[str, Any]]:
    from analysis.regimes import find_regimes

    if params.mode != "changepoints":
        return []
    regimes = find_regimes(
        found.values,
        times=found.times,
        changes=found.change_points,
        season=found.season,
    )
    return [regime_json(one) for one in regimes]


def _as_row(
    params: AnalysisParams, series_id: int, found: "Analysis"
) -> analyses.NewAnalysis:
    import numpy as np

    return analyses.NewAnalysis(
        series_id=series_id,
        mode=params.mode,
        start_at=params.start or aware(found.times[0]),
        end_at=params.end or aware(found.times[-1] + np.timedelta64(1, "us")),
        anomalies=[found_anomaly(one) for one in found.anomalies],
    )
