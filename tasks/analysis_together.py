"""Several series judged as one, for ``analysis.run`` in the mode ``multivariate``."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tasks.analysis_options import Asked
from tasks.analysis_report import number
from tasks.context import JobContext
from tasks.errors import InvalidData
from tasks.inputs import Input, SeriesParams, common_step, inputs, rfc3339

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from analysis.groups import Member
    from analysis.together import Together, TogetherEvent

    Times = NDArray[np.datetime64]
    Floats = NDArray[np.float64]

_FEWEST, _MOST = 2, 200
_MOST_CELLS = 20_000_000
_NAMED = 5
COLUMNS = ("ds", "score", "is_anomaly", "severity")


def together(params: SeriesParams, context: JobContext, asked: Asked) -> dict[str, Any]:
    """Judge all series of a request as one.

    Raises:
        InvalidData: there are too few or too many of them, their steps differ, or one
            of them cannot be analysed.
    """
    from analysis.records import InvalidOptions, InvalidSeries
    from analysis.together import analyse_together

    read = _read(params, context)
    context.progress(0, 1, "analysis", f"judging {len(read)} series as one")
    options = asked.options(_step(read))
    times, values = _aligned(read)
    names = [item.unique_id for item in read]
    try:
        found = analyse_together(values, times=times, options=options, names=names)
    except (InvalidSeries, InvalidOptions) as error:
        raise InvalidData(str(error)) from error
    context.progress(1, 1, "analysis", "storing")
    return _as_json(found)


def _read(params: SeriesParams, context: JobContext) -> list[Input]:
    """Read all series, unless they are more than memory should hold."""
    read: list[Input] = []
    for total, item in inputs(params, context):
        read.append(item)
        if not _FEWEST <= total <= _MOST:
            raise InvalidData(f"{total} series; give {_FEWEST} to {_MOST} of them")
        if sum(len(one.times) for one in read) > _MOST_CELLS:
            raise InvalidData(
                f"the series have more than {_MOST_CELLS:,} values; choose fewer"
            )
    return read


def _step(read: Sequence[Input]) -> str:
    steps = {item.frequency or common_step(item.times) for item in read}
    if len(steps) > 1:
        told = ", ".join(sorted(steps))
        raise InvalidData(
            f"the steps of the series differ ({told}): give one frequency, or choose "
            "series of the same step"
        )
    return steps.pop()


def _aligned(read: Sequence[Input]) -> "tuple[Times, Floats]":
    """Return every time that some series has, and a column for each series."""
    import numpy as np

    times = np.unique(np.concatenate([item.times for item in read]))
    if len(times) * len(read) > _MOST_CELLS:
        raise InvalidData(
            f"{len(times):,} times of {len(read)} series are too many; choose fewer "
            f"series, or a shorter stretch, up to {_MOST_CELLS:,} values"
        )
    values = np.full((len(times), len(read)), np.nan)
    for column, item in enumerate(read):
        values[np.searchsorted(times, item.times), column] = item.values
    return times, values


def _as_json(found: "Together") -> dict[str, Any]:
    points = [
        {
            "ds": rfc3339(found.times[at]),
            "score": float(found.score[at]),
            "is_anomaly": bool(found.is_anomaly[at]),
            "severity": found.severity[at],
            "contributors": _contributors(found, at) if found.is_anomaly[at] else [],
        }
        for at in range(len(found.times))
    ]
    return {
        "names": list(found.names),
        "season": found.season,
        "points": points,
        "events": [_event_json(one, found) for one in found.events],
    }


def _contributors(found: "Together", at: int) -> list[dict[str, Any]]:
    shares = found.contributions[at]
    order = sorted(range(len(shares)), key=lambda place: -shares[place])[:_NAMED]
    return [_share(found.names[place], shares[place]) for place in order]


def _share(name: str, share: float) -> dict[str, Any]:
    return {"unique_id": name, "share": float(share)}


def _event_json(one: "TogetherEvent", found: "Together") -> dict[str, Any]:
    return {
        "start": rfc3339(one.start),
        "end": rfc3339(one.end),
        "score": float(one.score),
        "severity": one.severity,
        "contributors": [_share(name, share) for name, share in one.contributors],
        "group": [_member_json(each, found) for each in one.group.members],
        "relation_changes": [
            {
                "first": each.first,
                "second": each.second,
                "before": number(each.before),
                "after": number(each.after),
                "counts": list(each.counts),
                "p_value": number(each.p_value),
            }
            for each in one.relation_changes
        ],
        "explanation": one.explanation,
    }


def _member_json(one: "Member", found: "Together") -> dict[str, Any]:
    """Return who moved, when, and how far it follows the first: a correlation."""
    return {
        "unique_id": one.name,
        "start": rfc3339(found.times[one.start]),
        "peak": number(one.peak),
        "lead_steps": one.lead.steps,
        "lead_correlation": number(one.lead.correlation),
    }


def rows(result: Mapping[str, Any]) -> tuple[list[str], list[list[Any]]]:
    """Return the points as columns and rows, one for each instant."""
    table = [[point[name] for name in COLUMNS] for point in result["points"]]
    return list(COLUMNS), table
