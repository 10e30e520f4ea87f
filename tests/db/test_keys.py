"""Keys are shown once and stored as a hash."""

import hashlib

import pytest
from sqlalchemy import text

from db import keys
from tests.db import rows

pytestmark = pytest.mark.servers


def _identify(database, **given) -> keys.Identity | None:
    with database.system() as connection:
        return keys.identify(connection, **given)


def test_a_key_speaks_for_its_tenant_in_its_role(database, tenant_id, issue_key):
    secret = issue_key(tenant_id, role="viewer")
    found = _identify(database, secret=secret)
    assert (found.tenant_id, found.tenant, found.role) == (
        tenant_id,
        "tenant",
        "viewer",
    )
    assert _identify(database, key_id=found.key_id) == found


def test_only_the_hash_of_a_secret_is_stored(database, tenant_id, issue_key):
    secret = issue_key(tenant_id)
    with database.system() as connection:
        row = connection.execute(text("SELECT * FROM api_keys")).one()
    assert row.hash == hashlib.sha256(secret.encode()).digest()
    kept = b" ".join(
        value if isinstance(value, bytes) else str(value).encode() for value in row
    )
    assert secret.encode() not in kept
    assert secret.removeprefix("fbk_").encode() not in kept


def test_secrets_are_long_and_never_alike(tenant_id, issue_key):
    secrets = {issue_key(tenant_id) for _ in range(20)}
    assert len(secrets) == 20
    assert all(one.startswith("fbk_") and len(one) >= 47 for one in secrets)


@pytest.mark.parametrize("secret", ["", "fbk_", "nonsense", "fbk_" + "A" * 43])
def test_an_unknown_secret_speaks_for_nobody(database, tenant_id, issue_key, secret):
    issue_key(tenant_id)
    assert _identify(database, secret=secret) is None
    assert _identify(database, key_id="key_0") is None
    assert _identify(database) is None


def test_a_stored_hash_is_not_a_secret(database, tenant_id, issue_key):
    issue_key(tenant_id)
    stored = rows.value(database, "SELECT encode(hash, 'hex') FROM api_keys")
    assert _identify(database, secret=stored) is None


@pytest.mark.parametrize(
    ("column", "moment", "speaks"),
    [
        ("expires_at", "now()", False),
        ("expires_at", "now() + interval '1 hour'", True),
        ("revoked_at", "now()", False),
    ],
)
def test_an_expired_or_revoked_key_speaks_for_nobody(
    database, tenant_id, issue_key, column, moment, speaks
):
    secret = issue_key(tenant_id)
    key_id = _identify(database, secret=secret).key_id
    rows.change(database, f"UPDATE api_keys SET {column} = {moment}")
    assert (_identify(database, secret=secret) is not None) == speaks
    assert (_identify(database, key_id=key_id) is not None) == speaks


def test_a_key_can_be_issued_with_its_end(database, tenant_id, issue_key):
    assert _identify(database, secret=issue_key(tenant_id, expires_at=rows.AT)) is None


def test_the_latest_use_is_noted_once_a_minute_at_most(database, tenant_id, issue_key):
    secret = issue_key(tenant_id)
    used = "SELECT last_used_at FROM api_keys"
    assert rows.value(database, used) is None
    _identify(database, secret=secret)
    first = rows.value(database, used)
    assert first is not None
    _identify(database, secret=secret)
    assert rows.value(database, used) == first
    rows.change(
        database, "UPDATE api_keys SET last_used_at = now() - interval '61 seconds'"
    )
    _identify(database, secret=secret)
    assert rows.value(database, used) > first


def test_a_tenant_is_made_once(database):
    with database.system() as connection:
        first = keys.ensure_tenant(connection, name="a")
        assert keys.ensure_tenant(connection, name="a") == first
        assert keys.ensure_tenant(connection, name="b") != first


def test_a_tenant_is_known_by_name_and_as_the_only_one(database, tenant_id):
    with database.system() as connection:
        assert keys.known(connection, tenant_id=tenant_id) == ("tenant", True)
        keys.ensure_tenant(connection, name="another")
        assert keys.known(connection, tenant_id=tenant_id) == ("tenant", False)


def test_a_tenant_learns_what_its_own_keys_are_called_and_no_other_s(
    database, tenant_id, issue_key
):
    with database.system() as connection:
        other_id = keys.ensure_tenant(connection, name="another")
    found = [
        _identify(database, secret=issue_key(one)).key_id
        for one in (tenant_id, other_id)
    ]
    with database.tenant(tenant_id) as connection:
        known = keys.names(connection, tenant_id=tenant_id, ids=[*found, "key_x"])
    assert known == {found[0]: "test"}
