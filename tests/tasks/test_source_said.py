"""What is said of the series of a source, by the source and by its owner."""

import pytest

from db import series
from tests.sources.server import serve
from tests.tasks.source_runs import NOW, at_once, desk
from tests.tasks.test_pull_quarantine import GOOD, NIGHT, Csv

__all__ = ["at_once", "desk"]

pytestmark = [pytest.mark.servers, pytest.mark.usefixtures("at_once")]

LAYOUT = {"series_columns": ["zone"], "ts_column": "t", "value_columns": ["v"]}


def loaded(desk, *, frequency=None, **mapping):
    """Read a table; return what is known of its series."""
    with serve(Csv(*GOOD)) as served:
        layout = {**LAYOUT, "frequency": frequency}
        config = {"base_url": f"{served.url}/x.csv", "format": "csv", "layout": layout}
        desk.source("load", "http_table", config, mapping=mapping)
        desk.run("load", now=NIGHT)
    with desk.database.tenant(desk.tenant_id) as connection:
        found = series.find(connection, tenant_id=desk.tenant_id, key="load.a")
    return found.frequency, found.unit, found.tags


@pytest.mark.parametrize(
    ("step", "expected"),
    [(None, None), ("1h", "1h"), ("PT1H", "PT1H"), ("1w", "7D"), ("90t", "90min")],
)
def test_the_step_of_a_layout_becomes_that_of_its_series(desk, step, expected):
    assert loaded(desk, frequency=step) == (expected, None, [])


def test_the_owner_of_a_table_gives_its_series_a_unit_and_tags(desk):
    told = loaded(desk, unit="MW", tags=["load", "pjm"])
    assert told == (None, "MW", ["load", "pjm"])


def test_what_was_said_of_a_series_stays(desk):
    with desk.database.tenant(desk.tenant_id) as connection:
        series.upsert(
            connection,
            tenant_id=desk.tenant_id,
            key="load.a",
            fields={"unit": "kW", "tags": ["mine"], "frequency": "30min"},
            now=NOW,
        )
    told = loaded(desk, frequency="1h", unit="MW", tags=["load"])
    assert told == ("30min", "kW", ["mine"])
