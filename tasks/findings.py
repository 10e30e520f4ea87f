"""From what a look at the series found to findings: opened, kept, closed, told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from db import findings
from db.findings import CLOSED, OPENED, Finding
from db.ids import new_id
from db.session import Connection
from tasks import submit
from tasks.context import JobContext
from tasks.errors import InvalidParams, QuotaExceeded
from tasks.submission import Submission

TRAINING = "forecast.train"
_PLACE = "{series}"


@dataclass(frozen=True)
class Look:
    """What was seen of a series: whether it drifts, calmed down, or neither."""

    series_id: int
    kind: str
    drifted: bool
    calm: bool
    forecaster: str | None
    detail: Mapping[str, Any]


def finding_json(found: Finding) -> dict[str, Any]:
    """Return a finding as the API, the events and the webhooks show it."""
    return {
        "id": found.id,
        "unique_id": found.unique_id,
        "kind": found.kind,
        "state": "open" if found.closed_at is None else "closed",
        "forecaster": found.forecaster,
        "detail": found.detail,
        "opened_at": found.opened_at,
        "updated_at": found.updated_at,
        "closed_at": found.closed_at,
        "job_id": found.opened_by,
        "retrain_job_id": found.retrain_job_id,
        "links": {
            "self": f"/v1/drift/{found.id}",
            "series": f"/v1/series/{found.unique_id}",
        },
    }


def training(template: Mapping[str, Any], *, key: str) -> dict[str, Any]:
    """Return the params of a training for a series.

    Args:
        template: params of a ``forecast.train`` job; without ``series`` and ``data``
            the series is put in, and ``{series}`` in the name becomes its key.
        key: of the series that drifts.
    """
    params = dict(template)
    if "series" not in params and "data" not in params:
        params["series"] = [key]
    if isinstance(params.get("name"), str):
        # An entry's name has no colon, which a key may have.
        params["name"] = params["name"].replace(_PLACE, key.replace(":", "-"))
    return params


def settle(
    connection: Connection,
    context: JobContext,
    looks: Sequence[Look],
    *,
    retrain: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Open, keep and close findings as the looks say, and tell of it once.

    A second run with the same looks changes nothing. The caller holds the tenant's
    drift.

    Args:
        connection: the transaction that ends the job.
        context: of the job.
        looks: at most one for each series and kind.
        retrain: params of a training that each open finding gets once; None for none.

    Returns:
        What the job's result says of it.
    """
    tenant_id, now = context.tenant_id, context.now
    ids = sorted({look.series_id for look in looks})
    before = findings.open_ones(connection, tenant_id=tenant_id, series_ids=ids)
    known = {(one.series_id, one.kind): one for one in before}
    opened = [
        {"id": new_id("drf"), **_item(look)}
        for look in looks
        if look.drifted and (look.series_id, look.kind) not in known
    ]
    kept, closed = [], []
    for look in looks:
        one = known.get((look.series_id, look.kind))
        if one is not None and look.calm:
            closed.append(one.id)
        elif one is not None:
            kept.append({"id": one.id, **_item(look)})
    findings.add(
        connection, tenant_id=tenant_id, job_id=context.job_id, items=opened, now=now
    )
    findings.update(connection, tenant_id=tenant_id, items=kept, now=now)
    findings.close(connection, tenant_id=tenant_id, ids=closed, now=now)
    after = findings.open_ones(connection, tenant_id=tenant_id, series_ids=ids)
    trained = _retrain(connection, context, retrain, _drifting(after, looks))
    return {
        "opened": _tell(connection, context, OPENED, [one["id"] for one in opened]),
        "closed": _tell(connection, context, CLOSED, closed),
        "open": len(after),
        **trained,
    }


def _item(look: Look) -> dict[str, Any]:
    return {
        "series_id": look.series_id,
        "kind": look.kind,
        "forecaster": look.forecaster,
        "detail": look.detail,
    }


def _drifting(after: Sequence[Finding], looks: Sequence[Look]) -> list[Finding]:
    drifted = {(look.series_id, look.kind) for look in looks if look.drifted}
    return [one for one in after if (one.series_id, one.kind) in drifted]


def _tell(
    connection: Connection, context: JobContext, kind: str, ids: Sequence[str]
) -> list[dict[str, Any]]:
    found = findings.by_id(connection, tenant_id=context.tenant_id, ids=ids)
    if found:
        findings.tell(
            connection,
            tenant_id=context.tenant_id,
            job_id=context.job_id,
            kind=kind,
            told=[finding_json(one) for one in found],
        )
    names = ("id", "unique_id", "kind", "forecaster", "detail", "retrain_job_id")
    return [{name: getattr(one, name) for name in names} for one in found]


def _retrain(
    connection: Connection,
    context: JobContext,
    template: Mapping[str, Any] | None,
    drifting: Sequence[Finding],
) -> dict[str, Any]:
    """Submit a training for each finding that had none; equal ones share a job."""
    wanted: dict[bytes, tuple[dict[str, Any], list[Finding]]] = {}
    for one in drifting if template is not None else ():
        if one.retrain_job_id is None:
            params = training(template or {}, key=one.unique_id)
            mark = submit.fingerprint(TRAINING, params)
            wanted.setdefault(mark, (params, []))[1].append(one)
    jobs: list[str] = []
    refused: list[dict[str, str]] = []
    for mark, (params, group) in wanted.items():
        try:
            job_id = _submit(connection, context, (mark, params), group)
        except (InvalidParams, QuotaExceeded) as error:
            # The finding stands all the same; the next run asks again.
            refused += [{"id": one.id, "detail": str(error)} for one in group]
        else:
            jobs.append(job_id)
    return {"retrain": jobs, "refused": refused}


def _submit(
    connection: Connection,
    context: JobContext,
    wanted: tuple[bytes, dict[str, Any]],
    group: Sequence[Finding],
) -> str:
    mark, params = wanted
    job, _ = submit.submit(
        connection,
        tenant_id=context.tenant_id,
        submission=Submission(
            type=TRAINING, params=params, labels={"finding": group[0].id}
        ),
        once=(f"drift:{group[0].id}", mark),
    )
    findings.note_retrain(
        connection,
        tenant_id=context.tenant_id,
        ids=[one.id for one in group],
        job_id=job.id,
    )
    return job.id
