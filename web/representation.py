"""Rows as the API shows them."""

from datetime import UTC, datetime
from typing import Any

import orjson
from flask import Response

from db.jobs import Job
from db.place import Place


def json_response(body: Any, status: int = 200) -> Response:
    """Return a body as JSON; aware times become RFC 3339 with a Z."""
    return Response(
        orjson.dumps(body, option=orjson.OPT_UTC_Z),
        status=status,
        mimetype="application/json",
    )


def job_json(job: Job, *, now: datetime | None = None) -> dict[str, Any]:
    """Return a job as the API shows it; ``queue`` is filled in by the caller."""
    base = f"/v1/jobs/{job.id}"
    return {
        "id": job.id,
        "type": job.type,
        "state": job.state,
        "reason": job.reason,
        "progress": job.progress,
        "eta_s": _eta_s(job, now or datetime.now(UTC)),
        "queue": place_json(Place()),
        "attempt": job.attempt,
        "max_attempts": job.max_attempts,
        "priority": job.priority,
        "timeout_s": job.timeout_s,
        "deadline": job.deadline,
        "labels": job.labels,
        "retry_of": job.retry_of,
        "replayed_at": job.replayed_at,
        "lane": job.lane,
        "retry": job.retry,
        "concurrency_key": job.concurrency_key,
        "concurrency_limit": job.concurrency_limit,
        "starts_per_minute": job.starts_per_minute,
        "created_at": job.created_at,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
        "params": job.params,
        "error": job.error,
        "links": {
            "self": base,
            "result": f"{base}/result",
            "events": f"{base}/events",
            "cancel": f"{base}/cancel",
            "parts": f"{base}/parts",
            "chart": f"{base}/chart",
            "page": f"/console/jobs/{job.id}",
        },
    }


def place_json(place: Place) -> dict[str, Any]:
    """Return where a queued job stands, as the API shows it."""
    return {
        "position": place.position,
        "blocked_by": place.blocked_by,
        "waits_for": place.waits_for,
        "not_before": place.not_before,
        "estimated_start": place.estimated_start,
        "estimated_start_p90": place.estimated_start_p90,
    }


def etag(job: Job) -> str:
    """Return a tag that changes whenever the job's row does."""
    return f"{job.id}-{job.version}"


def _eta_s(job: Job, now: datetime) -> float | None:
    """Estimate the seconds left from the pace so far; None where there is none."""
    if job.state != "running" or not job.progress or job.started_at is None:
        return None
    done, total = job.progress["done"], job.progress["total"]
    if not done or not total:
        return None
    spent = (now - job.started_at).total_seconds()
    left: float = spent * (total - done) / done
    return round(max(0.0, left), 1)
