"""How a panel of stored series is split: by number, groups kept together."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from tasks.context import JobContext
from tasks.covariates import CovariateParams, CovariateRow, CovariateSource
from tasks.inputs import MAX_SERIES
from tasks.panels import PanelParams

if TYPE_CHECKING:
    from datetime import datetime

    from db.series import Series

P = TypeVar("P", bound=PanelParams)


def split_panel(
    params: P,
    chosen: "Sequence[Series]",
    context: JobContext,
    *,
    size: int,
    group_by: str | None = None,
) -> list[P]:
    """Return the params of each part; fewer than two if all series fit into one.

    A part has the keys, attributes and covariates of its own series only, and the span
    of the whole panel where fill rules reach to its ends.

    Args:
        params: of the whole job.
        chosen: the series it selects.
        context: of the job.
        size: series a part has at most, but for a group that is larger.
        group_by: an attribute, or what tags begin with; None keeps no groups together.
    """
    pieces = together(_grouped(params, chosen, group_by), size=size)
    if len(pieces) < 2:  # noqa: PLR2004 - one piece is no split
        return [params]
    span = _span(params, chosen, context)
    trimmed = _Trimmed(params)
    return [
        params.model_copy(update={"series": keys, "span": span, **trimmed.to(keys)})
        for keys in pieces
    ]


def together(
    named: Iterable[tuple[str, str | None]], *, size: int, most: int = MAX_SERIES
) -> list[list[str]]:
    """Put keys into parts so that those of one group are in one part where they fit.

    Args:
        named: each key with its group; None is in no group.
        size: keys that a part has at most; a group that is larger is a part of its own.
        most: keys that a group of its own has at most; a larger one is cut evenly.

    Returns:
        The parts: first the groups by first appearance, then the keys without one.

    Example:
        >>> keys = [("a", "n"), ("b", "s"), ("c", "n"), ("d", None), ("e", "s")]
        >>> together(keys, size=3)
        [['a', 'c'], ['b', 'e', 'd']]
    """
    groups: dict[str | None, list[str]] = {}
    for key, group in named:
        groups.setdefault(group, []).append(key)
    alone = groups.pop(None, [])
    pieces = [piece for members in groups.values() for piece in _evenly(members, most)]
    parts: list[list[str]] = [[]]
    for piece in [*pieces, *([key] for key in alone)]:
        if parts[-1] and len(parts[-1]) + len(piece) > size:
            parts.append([])
        parts[-1] += piece
    return [part for part in parts if part]


def _evenly(members: list[str], most: int) -> list[list[str]]:
    count = -(-len(members) // most)
    ends = [len(members) * number // count for number in range(count + 1)]
    return [members[ends[at] : ends[at + 1]] for at in range(count)]


def _grouped(
    params: PanelParams, chosen: "Sequence[Series]", group_by: str | None
) -> Iterable[tuple[str, str | None]]:
    if group_by is None:
        return ((one.key, None) for one in chosen)
    starts = (f"{group_by}:", f"{group_by}=")
    return ((one.key, _group(params, one, group_by, starts)) for one in chosen)


def _group(
    params: PanelParams, one: "Series", group_by: str, starts: tuple[str, str]
) -> str | None:
    stated = params.attributes.get(one.key, {}).get(group_by)
    if stated is not None:
        return stated
    tags = sorted(tag for tag in one.tags if tag.startswith(starts))
    return tags[0][len(group_by) + 1 :] if tags else None


def _span(
    params: PanelParams, chosen: "Sequence[Series]", context: JobContext
) -> "tuple[datetime, datetime] | None":
    """Return the span that the parts fill to; it is read only where a rule needs it."""
    if params.span is not None or (params.fill.front, params.fill.back) == (
        "none",
        "none",
    ):
        return params.span
    from db import observations

    with context.read() as connection:
        return observations.span(
            connection, series_ids=[one.id for one in chosen], **params.then
        )


class _Trimmed:
    """What of a job's params is about single series, cut to those of a part."""

    def __init__(self, params: CovariateParams) -> None:
        self._params = params
        # Once for all parts: a job may have as many rows as series.
        self._rows = [_by_series(source.rows) for source in params.covariates]

    def to(self, keys: Sequence[str]) -> dict[str, Any]:
        """Return the changes to the params of a part with these keys."""
        stated = self._params.attributes
        sources = zip(self._params.covariates, self._rows, strict=True)
        return {
            "attributes": {key: stated[key] for key in keys if key in stated},
            "covariates": [_cut(source, rows, keys) for source, rows in sources],
        }


def _by_series(
    rows: list[CovariateRow] | None,
) -> Mapping[str | None, list[CovariateRow]]:
    found: dict[str | None, list[CovariateRow]] = {}
    for row in rows or ():
        found.setdefault(row.unique_id, []).append(row)
    return found


def _cut(
    source: CovariateSource,
    rows: Mapping[str | None, list[CovariateRow]],
    keys: Sequence[str],
) -> CovariateSource:
    if isinstance(source.series, dict):
        own = {key: source.series[key] for key in keys if key in source.series}
        # A source names at least one series, also where none of a part has it.
        return source.model_copy(
            update={"series": own or dict(islice(source.series.items(), 1))}
        )
    if source.rows is None:
        return source
    kept = [row for key in (None, *keys) for row in rows.get(key, ())]
    return source.model_copy(update={"rows": kept or source.rows[:1]})
