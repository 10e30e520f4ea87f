"""Who is told that series which say the same thing begin to differ, or agree again."""

from collections.abc import Mapping, Sequence
from typing import Any

from db import findings, reconciliations
from db.reconciliations import CLOSED, OPENED
from db.session import Connection
from tasks.context import JobContext

_SUMMARY = ("beyond", "compared", "median_difference", "max_difference", "max_at")


def tell(
    connection: Connection, context: JobContext, groups: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Tell once where a pair begins to differ, and once where it agrees again."""
    tenant_id = context.tenant_id
    now = {
        (group["name"], group["preferred"], pair["other"]): (group, pair)
        for group in groups
        for pair in group["pairs"]
    }
    reconciliations.hold(connection, tenant_id=tenant_id)
    before = reconciliations.open_pairs(connection, tenant_id=tenant_id, pairs=[*now])
    changes: dict[str, list[dict[str, Any]]] = {OPENED: [], CLOSED: []}
    for key, (group, pair) in now.items():
        if pair["state"] == "differs" and key not in before:
            changes[OPENED].append(_finding(group, pair, "open"))
        elif pair["state"] == "agrees" and key in before:
            changes[CLOSED].append(_finding(group, pair, "closed"))
    for kind, told in changes.items():
        if told:
            findings.tell(
                connection,
                tenant_id=tenant_id,
                job_id=context.job_id,
                kind=kind,
                told=told,
            )
    opened, closed = changes[OPENED], changes[CLOSED]
    still = len(before) + len(opened) - len(closed)
    return {"opened": opened, "closed": closed, "open": still}


def _finding(
    group: Mapping[str, Any], pair: Mapping[str, Any], state: str
) -> dict[str, Any]:
    return {
        "group": group["name"],
        "preferred": group["preferred"],
        "other": pair["other"],
        "state": state,
        "tolerance": group["tolerance"],
        **{name: pair[name] for name in _SUMMARY},
        "links": {
            "preferred": f"/v1/series/{group['preferred']}",
            "other": f"/v1/series/{pair['other']}",
        },
    }
