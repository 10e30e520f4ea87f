"""What every connector promises; a new file in the shelf is tested by being there."""

import itertools
import socket
from datetime import UTC, datetime

import pytest

from ingest.batch import ROWS
from ingest.connectors import Partition, connector, connectors
from ingest.parse import KEY

WINDOW = (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC))


@pytest.fixture(params=sorted(connectors()))
def kind(request):
    return connectors()[request.param]


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    def refuse(*_args):
        raise AssertionError("a connector's example reached for the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.mark.parametrize("window", [WINDOW, (None, None)])
def test_a_plan_is_the_same_each_time_and_covers_the_window(kind, window):
    plan = kind.example().plan(*window)
    assert plan == kind.example().plan(*window)
    assert (plan[0].start, plan[-1].end) == window
    assert len({partition.id for partition in plan}) == len(plan)
    for before, after in itertools.pairwise(plan):
        assert before.end == after.start
    for partition in plan:
        assert isinstance(partition, Partition)
        if partition.start and partition.end:
            assert partition.start < partition.end


def test_the_recorded_answer_parses_to_rows_of_the_schema(kind):
    example = kind.example()
    batches = [b for part in example.plan(None, None) for b in example.fetch(part)]
    assert sum(batch.rows.num_rows for batch in batches) > 0
    for batch in batches:
        batch.rows.validate(full=True)
        assert batch.rows.schema == ROWS
        assert batch.missing >= 0
        assert all(column.null_count == 0 for column in batch.rows.columns)
        assert all(map(KEY.fullmatch, batch.rows["series_key"].to_pylist()))


def test_fetching_twice_yields_the_same(kind):
    example = kind.example()
    (partition, *_) = example.plan(None, None)
    assert list(example.fetch(partition)) == list(example.fetch(partition))


def test_bad_rows_of_the_recorded_answer_have_a_number_a_code_and_a_reason(kind):
    example = kind.example()
    batches = [b for part in example.plan(None, None) for b in example.fetch(part)]
    rejected = [bad for batch in batches for bad in batch.rejected]
    assert rejected
    for bad in rejected:
        assert bad.row >= 1
        assert bad.code.replace("_", "").isalpha()
        assert bad.detail


def test_a_name_taken_twice_is_refused(kind):
    (name,) = (name for name, found in connectors().items() if found is kind)
    with pytest.raises(ValueError, match="registered twice"):
        connector(name)(type("Other", (), {}))
