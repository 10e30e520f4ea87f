"""Anomalies that tests let workers store, and the incidents that come of them."""

from datetime import timedelta

import pytest

from db import incidents
from db.analyses import FoundAnomaly
from db.incidents import Incident, Wanted
from tasks.grouping import Grouping
from tasks.incidents import Settled, settle
from tests.db import rows
from tests.db.rows import AT

HOUR = timedelta(hours=1)
HOURLY = Grouping(join_s=3_600, recover_s=7_200, cooldown_s=6 * 3_600)


def anomaly(at: float, *, hours: float = 1, kind="spike", severity="high", **more):
    """An anomaly some hours after the beginning."""
    given = {"score": 0.9, "explanation": "too much", "evidence": {"value": 8.5}}
    start = AT + at * HOUR
    return FoundAnomaly(
        start, start + hours * HOUR, kind, severity, **{**given, **more}
    )


@pytest.fixture
def load(database, tenant_id):
    """Make a series: ``load("a", "load", "east")`` gives one with two tags."""

    def make(key: str, *tags: str) -> int:
        number = rows.series(database, tenant_id, key)
        rows.change(
            database,
            "UPDATE series SET tags = :tags WHERE id = :id",
            tags=list(tags),
            id=number,
        )
        return number

    return make


@pytest.fixture
def store(database, tenant_id):
    """Settle anomalies as a worker does; ``seen`` is in hours."""

    def run(found=None, *, seen=None, grouping=HOURLY, now=AT) -> Settled:
        until_ = {number: AT + hours * HOUR for number, hours in (seen or {}).items()}
        with database.tenant(tenant_id) as connection:
            return settle(
                connection,
                tenant_id=tenant_id,
                found=found or {},
                seen=until_,
                grouping=grouping,
                now=now,
            )

    return run


@pytest.fixture
def listed(database, tenant_id):
    """All incidents, the first of the series' time first."""

    def read(**wanted) -> list[Incident]:
        with database.tenant(tenant_id) as connection:
            found = incidents.page(
                connection,
                tenant_id=tenant_id,
                wanted=Wanted(**wanted),
                before=None,
                limit=100,
            )
        return sorted(found, key=lambda one: (one.start_at, one.id))

    return read
