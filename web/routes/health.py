"""Whether the platform lives, is ready, and what it counts."""

from typing import Any

from apiflask import APIBlueprint
from flask import Response, request
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from db import migrate, processes
from db.processes import Process
from db.session import Connection
from tasks.catalog import QUEUES
from web.door import door
from web.errors import Forbidden
from web.guard import open_to_all
from web.metrics import registry
from web.openapi import answers
from web.representation import json_response
from web.schemas.health import HealthOut, ReadyOut

bp = APIBlueprint("health", __name__, tag="Health")


@bp.get("/health")
@bp.doc(responses=answers(200, "It answers", HealthOut))
@open_to_all
def health() -> Response:
    """Say that this process answers; depends on nothing else."""
    return json_response({"status": "ok"})


@bp.get("/ready")
@bp.doc(
    responses={
        **answers(200, "All parts are there", ReadyOut),
        **answers(503, "Some part is not", ReadyOut),
    }
)
@open_to_all
def ready() -> Response:
    """Say whether jobs can be taken and run; 503 names each part that fails."""
    checks: dict[str, dict[str, Any]] = {}
    try:
        with door().database.system() as connection:
            checks["database"] = {"ok": True}
            checks["migration"] = _migration(connection)
            checks["observations"] = {
                "ok": True,
                "detail": migrate.observation_storage(connection),
            }
            checks.update(_processes(processes.alive(connection)))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is not ready
        checks.setdefault("database", {"ok": False, "detail": type(error).__name__})
    well = all(check["ok"] for check in checks.values())
    body = {"status": "ready" if well else "not ready", "checks": checks}
    answer = json_response(body, 200 if well else 503)
    if not well:
        answer.headers["Retry-After"] = "2"
    return answer


@bp.get("/metrics")
@bp.doc(responses=answers(200, "Prometheus text", None, "text/plain"))
@open_to_all
def metrics() -> Response:
    """Give Prometheus metrics to the addresses that the settings allow."""
    allowed = door().settings.metrics_hosts.split(",")
    if request.remote_addr not in allowed:
        raise Forbidden("metrics are for the hosts in FOREBAY_METRICS_HOSTS")
    return Response(generate_latest(registry()), content_type=CONTENT_TYPE_LATEST)


def _migration(connection: Connection) -> dict[str, Any]:
    at, wanted = migrate.current(connection), migrate.head()
    if at == wanted:
        return {"ok": True, "detail": at}
    return {"ok": False, "detail": f"at {at}, this code needs {wanted}"}


def _processes(alive: list[Process]) -> dict[str, dict[str, Any]]:
    dispatchers = [one for one in alive if one.role == "dispatcher"]
    brokers = [one.detail.get("broker", {}) for one in dispatchers]
    consumed = {queue for one in alive for queue in one.queues}
    idle = [queue for queue in QUEUES if queue not in consumed]
    return {
        "dispatcher": _check(bool(dispatchers), "no dispatcher was seen lately"),
        "broker": _check(
            any(broker.get("state") == "ok" for broker in brokers),
            "no dispatcher is connected to the broker",
        ),
        "workers": _check(not idle, f"no worker reads {', '.join(idle)}"),
        "beat": _check(
            any(one.role == "beat" for one in alive), "no beat was seen lately"
        ),
    }


def _check(well: bool, fault: str) -> dict[str, Any]:  # noqa: FBT001 - a check's outcome
    return {"ok": True} if well else {"ok": False, "detail": fault}
