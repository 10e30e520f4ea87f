"""Trained versions for tests: what a job would register, without training anything."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from db import registry
from db.registry import NewVersion
from db.session import Database
from tests.db.rows import AT

GOOD: dict[str, float | None] = {
    "mae": 10.0,
    "mase": 0.9,
    "coverage": 0.81,
    "skill_vs_naive": 0.2,
    "windows": 3.0,
    "points": 72.0,
}
_NEW = NewVersion(
    job_id="job_of_training",
    model="auto",
    members=["theta", "lightgbm"],
    window_start=AT - timedelta(days=365),
    window_end=AT,
    series_count=12,
    horizon=24,
    frequency="PT1H",
    quantiles=[0.1, 0.5, 0.9],
    code_revision="2026.1+f0123456789ab",
    seed=2**31 - 1,
    libraries={"numpy": "2.4.0", "lightgbm": "4.7.0"},
    metrics=GOOD,
    evaluation={"windows": 3, "end": "2026-03-01T12:00:00Z"},
    compared=None,
    params={"horizon": 24, "series": {"tag": "load"}},
    artifact_sha256="0" * 64,
    artifact_bytes=3,
    artifact_store="file",
)


def new(**changes: Any) -> NewVersion:
    """A version; ``metrics`` are added to good ones."""
    metrics = {**GOOD, **changes.pop("metrics", {})}
    return replace(_NEW, metrics=metrics, **changes)


def add(
    database: Database, tenant_id: int, name: str = "load-day-ahead", **changes: Any
) -> int:
    """Register a version; return its number."""
    with database.tenant(tenant_id) as connection:
        return registry.add(
            connection, tenant_id=tenant_id, name=name, new=new(**changes)
        )


def stages(
    database: Database, tenant_id: int, name: str = "load-day-ahead"
) -> dict[int, str]:
    """The stage of each version, by number."""
    with database.tenant(tenant_id) as connection:
        found = registry.versions(
            connection, tenant_id=tenant_id, name=name, before=None, limit=1_000
        )
    return {one.number: one.stage for one in reversed(found)}
