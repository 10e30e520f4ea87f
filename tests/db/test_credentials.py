"""Credentials as rows: by name, whole, and only the tenant's."""

from datetime import timedelta

import pytest

from db import credentials, sources
from db.credentials import NewCredential
from db.sources import Setup
from tests.db.rows import AT

pytestmark = pytest.mark.servers


@pytest.fixture
def put(database, tenant_id):
    """Store a credential: ``put("eia", later_s=60)``."""

    def run(name="eia", *, fields=("api_key",), sealed=b"sealed", later_s=0):
        new = NewCredential(name, list(fields), sealed)
        with database.tenant(tenant_id) as connection:
            now = AT + timedelta(seconds=later_s)
            return credentials.put(connection, tenant_id=tenant_id, new=new, now=now)

    return run


def test_a_second_put_replaces_all_but_the_id_and_the_creation(
    database, tenant_id, put
):
    first = put(fields=["api_key", "user"], sealed=b"one")
    second = put(sealed=b"two", later_s=60)
    assert first.id == second.id
    assert (second.fields, second.created_at) == (["api_key"], AT)
    assert second.updated_at == AT + timedelta(seconds=60)
    with database.tenant(tenant_id) as connection:
        named = {"tenant_id": tenant_id, "name": "eia"}
        assert credentials.find(connection, **named) == second
        assert credentials.sealed(connection, **named) == b"two"


def test_another_tenant_finds_nothing_and_deletes_nothing(
    database, other_tenant_id, put
):
    put()
    named = {"tenant_id": other_tenant_id, "name": "eia"}
    with database.tenant(other_tenant_id) as connection:
        assert credentials.find(connection, **named) is None
        assert credentials.sealed(connection, **named) is None
        assert not credentials.delete(connection, **named)
        assert not credentials.page(
            connection, tenant_id=other_tenant_id, after=None, limit=9
        )


def test_pages_are_in_the_order_of_names(database, tenant_id, put):
    for name in ("fred", "eia", "noaa"):
        put(name)
    with database.tenant(tenant_id) as connection:
        first = credentials.page(connection, tenant_id=tenant_id, after=None, limit=2)
        rest = credentials.page(connection, tenant_id=tenant_id, after="fred", limit=2)
    assert [one.name for one in first] == ["eia", "fred"]
    assert [one.name for one in rest] == ["noaa"]


def test_who_uses_a_credential_is_known(database, tenant_id, put):
    put()
    setup = {"connector": "eia", "config": {}, "options": {}}
    with database.tenant(tenant_id) as connection:
        for name, credential in (("b", "eia"), ("a", "eia"), ("c", None)):
            sources.create(
                connection,
                tenant_id=tenant_id,
                setup=Setup(name=name, credential=credential, **setup),
                now=AT,
            )
        used = sources.using(connection, tenant_id=tenant_id, credential="eia")
    assert used == ["a", "b"]
