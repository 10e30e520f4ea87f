"""A short run with cheap faults, on real servers; `make chaos` does the long ones."""

import pytest

from tests.chaos import harness
from tests.chaos.plan import CHEAP
from tests.servers import choice

pytestmark = [pytest.mark.servers, pytest.mark.slow]

ORDER = harness.Order(
    jobs=300, faults=44, seed=1, kinds=CHEAP, rate=15, clients=6, held_within_s=0
)


@pytest.fixture(scope="module")
def own_postgres():
    """A PostgreSQL that may be restarted, with fsync on."""
    with choice.postgres(fsync=True) as server:
        yield server


@pytest.fixture(scope="module")
def own_rabbitmq():
    """A RabbitMQ of the run's own."""
    with choice.rabbitmq() as server:
        yield server


def test_a_platform_that_meets_faults_does_all_it_promised_once(
    own_postgres, own_rabbitmq, tmp_path
):
    run = harness.run(
        ORDER, postgres=own_postgres, rabbitmq=own_rabbitmq, folder=tmp_path, say=print
    )
    assert run.findings == []
    assert len(run.facts.told.jobs) == ORDER.jobs
    kinds = {one.fault.kind for one in run.faults.struck}
    assert kinds | run.faults.not_possible.keys() == set(CHEAP)
    assert run.faults.not_possible.keys() <= {"full artifacts"}
    assert any(row["attempt"] > 1 for row in run.facts.rows("jobs"))
    assert run.streams.counted["reconnections"] > 0
