"""``analysis.evaluate``: how detectors agree with the labels that a user has."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from db import feedback
from tasks.analysis import analysed
from tasks.analysis_options import Asked, JudgingParams, naive
from tasks.analysis_report import number
from tasks.catalog import Params, job_type
from tasks.context import JobContext, Outcome
from tasks.errors import InvalidData
from tasks.inputs import Input, Instant, inputs
from tasks.parts import refuse_empty

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from analysis.analyse import Analysis
    from analysis.evaluation import Agreement

_MOST_LABELS = 10_000
_LARGEST_STEPS = "largest steps"
"""The naive: as many points as the budget allows, those after the largest steps."""
_LIVE = "as it came"
"""Each point judged from what came before it, as ``analysis.watch`` does."""


class LabelledStretch(Params):
    """A stretch, half-open, that is known to be an anomaly."""

    unique_id: str = Field(default="series", min_length=1, max_length=200)
    start: Instant = Field(alias="from")
    end: Instant = Field(alias="to")

    @model_validator(mode="after")
    def _forwards(self) -> "LabelledStretch":
        if self.start >= self.end:
            message = "from must lie before to"
            raise ValueError(message)
        return self


class EvaluateParams(JudgingParams):
    """Series with labels; without any given, those that people left as feedback."""

    labels: list[LabelledStretch] | None = Field(
        default=None,
        max_length=_MOST_LABELS,
        description="Known anomalies; by default the feedback on stored series.",
    )
    use_feedback: Literal[False] = Field(
        default=False,
        description="Never: who is to be judged must not see the labels.",
    )

    @model_validator(mode="after")
    def _labels_of_inline_data(self) -> "EvaluateParams":
        if self.data is not None and not self.labels:
            message = "inline data has no feedback: give labels"
            raise ValueError(message)
        return self


COLUMNS = (
    *("points", "labelled", "found", "alarms", "true_alarms", "precision", "recall"),
    *("f1", "false_alarms_per_1000", "delay", "average_precision", "share"),
)


def as_table(result: Mapping[str, Any]) -> tuple[list[str], list[list[Any]]]:
    """Return a result as columns and rows, one for each series and contender."""
    rows = [
        [item["unique_id"], one["contender"], *(one[name] for name in COLUMNS)]
        for item in result["series"]
        for one in item["contenders"]
    ]
    return ["unique_id", "contender", *COLUMNS], rows


@job_type("analysis.evaluate", params=EvaluateParams, queue="analysis", table=as_table)
def analysis_evaluate(params: EvaluateParams, context: JobContext) -> Outcome:
    """Score the detectors against labels, beside a naive that looks at steps only."""
    done: list[dict[str, Any]] = []
    failed: list[dict[str, str]] = []
    for at, (total, item) in enumerate(inputs(params, context)):
        context.progress(at, total, "series", f"evaluating {item.unique_id}")
        try:
            done.append(_evaluated(params, context, item))
        except InvalidData as error:
            failed.append({"unique_id": item.unique_id, "detail": str(error)})
    refuse_empty(done, failed)
    return Outcome({"overall": _overall(done), "series": done, "failed": failed})


def _evaluated(
    params: EvaluateParams, context: JobContext, item: Input
) -> dict[str, Any]:
    true, apart = _stretches(params, context, item)
    contenders: list[dict[str, Any]] = []
    for name, found in _contenders(params, context, item):
        context.look()
        shown = _agreement(found, true=true, apart=apart)
        contenders.append({"contender": name, **_as_json(shown)})
    contenders.sort(key=lambda one: (-(one["f1"] or 0.0), one["contender"]))
    return {"unique_id": item.unique_id, "contenders": contenders}


def _contenders(
    params: EvaluateParams, context: JobContext, item: Input
) -> "Iterator[tuple[str, tuple[Analysis, NDArray[np.bool_], NDArray[np.float64]]]]":
    from analysis.analyse import detector_names

    found = None
    for name in detector_names():
        options = Asked(params, context, mode="batch", detector=name).of(item)
        found = analysed(item, options)
        yield name, (found, found.is_anomaly, found.score)
    options = Asked(params, context, mode="replay").of(item)
    found = analysed(item, options)
    yield _LIVE, (found, found.is_anomaly, found.score)
    yield _LARGEST_STEPS, (found, *_largest_steps(found.values, options.budget))


def _largest_steps(
    values: "NDArray[np.float64]", share: float
) -> "tuple[NDArray[np.bool_], NDArray[np.float64]]":
    import numpy as np

    steps = np.abs(np.diff(values, prepend=values[:1]))
    known = steps[np.isfinite(steps)]
    edge = np.quantile(known, 1 - share) if len(known) else np.inf
    flags = np.isfinite(steps) & (steps > edge)
    return flags, steps


def _agreement(
    found: "tuple[Analysis, NDArray[np.bool_], NDArray[np.float64]]",
    *,
    true: Sequence[tuple[Any, Any]],
    apart: Sequence[tuple[Any, Any]],
) -> "Agreement":
    import numpy as np

    from analysis.evaluation import agreement

    analysis, flags, scores = found
    judged = np.isfinite(analysis.values)
    for start, end in _steps(analysis, apart):
        judged[start:end] = False
    spans = _steps(analysis, true)
    return agreement(flags, scores=scores, judged=judged, labels=spans)


def _steps(
    analysis: "Analysis", stretches: Sequence[tuple[Any, Any]]
) -> list[tuple[int, int]]:
    import numpy as np

    edges = [
        (int(first), int(stop))
        for start, end in stretches
        for first, stop in [np.searchsorted(analysis.times, [start, end])]
    ]
    return [(first, stop) for first, stop in edges if first < stop]


def _stretches(
    params: EvaluateParams, context: JobContext, item: Input
) -> tuple[list[tuple[Any, Any]], list[tuple[Any, Any]]]:
    """Return what is an anomaly, and what is neither one nor none."""
    if params.labels is not None:
        mine = [one for one in params.labels if one.unique_id == item.unique_id]
        return [(naive(one.start), naive(one.end)) for one in mine], []
    if item.series_id is None:
        return [], []
    with context.read() as connection:
        said = feedback.of_series(
            connection, tenant_id=context.tenant_id, series_ids=[item.series_id]
        )[item.series_id]
    if not said:
        raise InvalidData("nobody has labelled this series; give labels, or feedback")
    spans = {"true": [], "expected": [], "false": []}  # type: dict[str, list[Any]]
    for one in said:
        spans[one.label].append((naive(one.start_at), naive(one.end_at)))
    return spans["true"], spans["expected"]


def _as_json(found: "Agreement") -> dict[str, Any]:
    return {
        name: number(said) if isinstance(said, float) else said
        for name, said in vars(found).items()
    }


def _overall(done: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Pool the counts of all series, so that a long one counts for what it is."""
    names = {one["contender"] for item in done for one in item["contenders"]}
    pooled = [
        _pooled(
            name,
            [
                one
                for item in done
                for one in item["contenders"]
                if one["contender"] == name
            ],
        )
        for name in sorted(names)
    ]
    return sorted(pooled, key=lambda one: -(one["f1"] or 0.0))


def _pooled(name: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    total = {
        key: sum(row[key] for row in rows)
        for key in ("points", "labelled", "found", "alarms", "true_alarms")
    }
    precision = total["true_alarms"] / total["alarms"] if total["alarms"] else None
    recall = total["found"] / total["labelled"] if total["labelled"] else None
    f1 = None
    if recall is not None:
        both = (precision or 0.0) + recall
        f1 = 2 * (precision or 0.0) * recall / both if both else 0.0
    outside = [row["points"] * (1 - (row["share"] or 0.0)) for row in rows]
    wrong = sum(
        (row["false_alarms_per_1000"] or 0.0) * points / 1_000
        for row, points in zip(rows, outside, strict=True)
    )
    return {
        "contender": name,
        "series": len(rows),
        **total,
        "precision": precision,
        "recall": recall,
        "f1": f1,
        "false_alarms_per_1000": 1_000 * wrong / sum(outside) if sum(outside) else None,
    }
