"""A source called grid, as a tenant makes it and as a run leaves it."""

import pytest

from db import series as series_rows
from db import source_series, sources
from db.source_series import Bound
from tests.db import kept
from tests.db.rows import AT

__all__ = ["BASE", "CRON", "GRID", "audited", "create", "pointers", "read"]

BASE = "/v1/sources"
CRON = {"cron": "30 2 * * *", "timezone": "America/New_York"}
GRID = {"name": "grid", "connector": "open", "config": {"regions": ["pjm"]}}


def create(api, **changes) -> dict:
    answer = api.post(BASE, json={**GRID, **changes})
    assert answer.status_code == 201, answer.text
    return answer.json


def pointers(answer) -> list[str]:
    assert answer.status_code == 422, answer.text
    return [one["pointer"] for one in answer.json["errors"]]


def audited(api) -> list[str]:
    return [one["action"] for one in api.get("/v1/audit").json["items"]]


@pytest.fixture
def read(database, tenant_id):
    """Keep what a run of the source ``grid`` would have: ledger, series, quarantine."""

    def run() -> None:
        named = {"tenant_id": tenant_id}
        with database.tenant(tenant_id) as connection:
            owner = sources.find_by_name(connection, **named, name="grid")
            kept.all_of_it(connection, owner)
            ids = series_rows.ids(connection, **named, keys=["grid.pjm"], now=AT)
            source_series.upsert(
                connection,
                **named,
                source_id=owner.id,
                found={"pjm": Bound(ids["grid.pjm"], "MW")},
            )
            source_series.advance(
                connection, **named, source_id=owner.id, marks={"pjm": AT}, now=AT
            )

    return run
