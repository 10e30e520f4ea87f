"""A shelf of connectors of the tests' own, for what a door checks; none is asked."""

from datetime import date, timedelta
from typing import Any

import pytest
from pydantic import Field

from ingest.contract import (
    Config,
    Limits,
    SecretField,
    Spec,
    Tier,
)
from tasks import connectors

__all__ = ["shelf"]


class Plain(Config):
    """Which regions to read."""

    regions: tuple[str, ...] = Field(
        title="Regions", description="Codes of regions.", min_length=1
    )
    first: date | None = Field(default=None, description="The first day.")
    base_url: str = Field(default="https://a.example", description="The address.")


def _kind(**known: Any) -> Any:
    spec = Spec(**{"title": "A source", "licence": "Free.", **known})
    return type("Kind", (), {"spec": spec, "config_type": Plain})


@pytest.fixture
def shelf(monkeypatch) -> dict[str, Any]:
    """Three connectors: ``open``, ``keyed`` with a secret, ``wary`` that is off."""
    kinds = {
        "keyed": _kind(
            secrets=(
                SecretField("api_key", "API key"),
                SecretField("user", "User", required=False),
            ),
            limits=Limits(2.0, burst=4.0, per_day=1_000.0),
        ),
        "open": _kind(
            limits=Limits(1.0),
            tiers=(Tier("hot", timedelta(days=10), timedelta(days=1)),),
            lag=timedelta(hours=6),
            documentation="https://a.example/manual",
        ),
        "wary": _kind(
            title="A wary source",
            licence="Personal use only.",
            limits=Limits(0.2),
            enabled=False,
        ),
    }
    monkeypatch.setattr(connectors, "_shelf", lambda: kinds)
    return kinds
