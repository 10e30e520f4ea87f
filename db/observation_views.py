"""The query of a view of a series: newest values, versions, or issues of a forecast.

A forecast from outside is issued again and again: each issue says something of many
times, and each time is in many issues. A view says which of them is meant.
"""

from datetime import datetime, timedelta
from typing import Any, Literal, TypeAlias

from db.observations import THEN, Stretch, asking, known

Versions: TypeAlias = Literal["none", "newest", "all"]

_MINE = (
    "tenant_id = (SELECT nullif(current_setting('forebay.tenant', true), '')::integer)"
)
_COLUMNS = "ts, value, known_from, received_at, issued_at"
_TOLD = """
SELECT {distinct} ts, coalesce(value, 'NaN') AS value, known_from,
    ingested_at AS received_at, coalesce(issued_at, '-infinity') AS issued_at
FROM obs_version
WHERE {conditions} AND ts >= %(start)s AND ts < %(end)s
"""
_NEWEST = (
    "SELECT {columns} FROM ({told} ORDER BY {order}) AS newest WHERE value <> 'NaN'"
)
_DISTINCT = "DISTINCT ON (series_id, ts)"
_LATEST = "issued_at = (SELECT max(issued_at) FROM obs_version WHERE {conditions})"


class View(Stretch, total=False):
    """What of a series to show.

    Attributes:
        versions: "none" gives the newest value of each time, "newest" the same with
            since when it was known, received and issued, "all" every version there is,
            also those that withdrew a value.
        issue: only what was issued at this instant, or in the latest issue.
        lead: for each time only what was issued at least so long before it; the newest
            issue counts.
    """

    versions: Versions
    issue: datetime | Literal["latest"] | None
    lead: timedelta | None


def detailed(view: View) -> bool:
    """Return whether rows say where their values come from."""
    return view.get("versions", "none") != "none"


def is_plain(view: View) -> bool:
    """Return whether the newest values are all that is wanted."""
    return not (detailed(view) or view.get("issue") or view.get("lead") is not None)


def parameters(view: View, **series: Any) -> dict[str, Any]:
    """Return the parameters of the query."""
    more = {"issue": view.get("issue"), "lead": view.get("lead")}
    return {**asking(view, **series), **more}


def rows(view: View, *, wanted: str) -> str:
    """Return the query of ts and value, and of whence they are if that is wanted."""
    if is_plain(view):
        return known(view, wanted=wanted)
    conditions = " AND ".join(_conditions(view, wanted))
    if view.get("versions") == "all":
        return _TOLD.format(distinct="", conditions=conditions)
    by_issue = view.get("lead") is not None
    issues = "issued_at DESC, " if by_issue else ""
    return _NEWEST.format(
        columns=_COLUMNS,
        told=_TOLD.format(distinct=_DISTINCT, conditions=conditions),
        order=f"series_id DESC, ts DESC, {issues}known_from DESC",
    )


def _conditions(view: View, wanted: str) -> list[str]:
    found = [_MINE, f"series_id = {wanted}"]
    issue, lead = view.get("issue"), view.get("lead")
    if view.get("as_of") is not None:
        found.append(THEN[view.get("known_by", "published")])
    if issue is None and lead is None:
        return found
    found.append("issued_at IS NOT NULL")
    if view.get("as_of") is not None:
        found.append("issued_at <= %(as_of)s")
    if lead is not None:
        return [*found, "issued_at <= ts - %(lead)s"]
    if issue == "latest":
        return [*found, _LATEST.format(conditions=" AND ".join(found))]
    return [*found, "issued_at = %(issue)s"]
