"""The same request twice makes one thing."""

import pytest

from db import idempotency
from db.errors import KeyInFlight, KeyReused
from tests.db import rows

pytestmark = pytest.mark.servers

MARK = b"\x00\xff" * 16


def _recall(connection, tenant_id, key="key", mark=MARK) -> str | None:
    return idempotency.recall(
        connection, tenant_id=tenant_id, key=key, fingerprint=mark
    )


def _remember(connection, tenant_id, key="key") -> None:
    idempotency.remember(
        connection,
        tenant_id=tenant_id,
        key=key,
        fingerprint=MARK,
        resource_id="job_1",
    )


@pytest.fixture
def remembered(database, tenant_id) -> None:
    with database.tenant(tenant_id) as connection:
        assert _recall(connection, tenant_id) is None
        _remember(connection, tenant_id)


@pytest.mark.usefixtures("remembered")
def test_the_same_key_and_body_give_what_was_made(database, tenant_id):
    with database.tenant(tenant_id) as connection:
        assert _recall(connection, tenant_id) == "job_1"
        assert _recall(connection, tenant_id, key="another") is None


@pytest.mark.usefixtures("remembered")
def test_the_same_key_with_another_body_is_refused(database, tenant_id):
    with database.tenant(tenant_id) as connection, pytest.raises(KeyReused):
        _recall(connection, tenant_id, mark=b"other")


@pytest.mark.usefixtures("remembered")
def test_a_key_is_its_tenants_own(database, other_tenant_id):
    with database.tenant(other_tenant_id) as connection:
        assert _recall(connection, other_tenant_id, mark=b"other") is None


def test_a_key_in_use_by_another_transaction_is_in_flight(
    database, tenant_id, other_tenant_id
):
    with database.tenant(tenant_id) as first:
        assert _recall(first, tenant_id) is None
        with database.tenant(tenant_id) as second:
            with pytest.raises(KeyInFlight):
                _recall(second, tenant_id)
            assert _recall(second, tenant_id, key="another") is None
        with database.tenant(other_tenant_id) as third:
            assert _recall(third, other_tenant_id) is None
        _remember(first, tenant_id)
    with database.tenant(tenant_id) as later:
        assert _recall(later, tenant_id) == "job_1"


def test_a_request_that_failed_frees_its_key(database, tenant_id):
    def fail_after_recall() -> None:
        with database.tenant(tenant_id) as connection:
            _recall(connection, tenant_id)
            _remember(connection, tenant_id)
            raise KeyError

    with pytest.raises(KeyError):
        fail_after_recall()
    with database.tenant(tenant_id) as connection:
        assert _recall(connection, tenant_id, mark=b"other") is None


@pytest.mark.usefixtures("remembered")
@pytest.mark.parametrize(
    ("age", "forgotten"), [("47 hours 59 minutes", 0), ("48 hours 1 minute", 1)]
)
def test_a_key_is_forgotten_after_two_days(database, tenant_id, age, forgotten):
    rows.change(
        database,
        f"UPDATE idempotency_keys SET created_at = now() - interval '{age}'",
    )
    with database.system() as connection:
        assert idempotency.forget_old(connection) == forgotten
    with database.tenant(tenant_id) as connection:
        assert _recall(connection, tenant_id) == (None if forgotten else "job_1")
