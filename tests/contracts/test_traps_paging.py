"""Tables of more than 5,000 rows, read to the last row from servers that cut them."""

import pytest

from tests.contracts.long_tables import WORLDS, opened
from tests.contracts.traps import ROWS, Long
from tests.sources.patient import read_patiently, values_of

LONG = 5_000


def test_each_connector_that_is_said_to_be_played_here_is():
    assert set(WORLDS) == {
        name for name, row in ROWS.items() if isinstance(row.paging, Long)
    }


@pytest.mark.parametrize("name", sorted(WORLDS))
def test_all_rows_of_a_long_table_arrive_and_none_twice(name):
    with opened(name) as (truth, connector, plan, transport):
        found = values_of(read_patiently(connector, plan, transport))
    told = truth.values()
    assert len(told) > LONG
    assert len({key for key, _ in found}) == len(truth.series)
    assert sorted((ts, value) for (_, ts), value in found.items()) == sorted(
        (ts, value) for (_, ts), value in told.items()
    )
