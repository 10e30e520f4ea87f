"""Credentials are sealed, open with their key alone, and only where they belong."""

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import text

from db import credentials as rows
from db import sources
from db.credentials import NewCredential
from db.sources import Setup
from tasks import credentials
from tasks.credentials import Keys, NoKey
from tasks.errors import InvalidData, NotFound, StateConflict
from tasks.settings import Settings
from tests.db.rows import AT

pytestmark = pytest.mark.servers

OLD, NEW = (Fernet.generate_key().decode() for _ in range(2))
KEYS = Keys((OLD,))
SECRETS = {"api_key": "hunter2-\N{SNOWMAN}", "user": "ann"}


def settings(**given) -> Settings:
    return Settings(database_url="postgresql://x/y", **given)


@pytest.fixture
def put(database, tenant_id):
    def run(name="eia", secrets=SECRETS, keys=KEYS):
        with database.tenant(tenant_id) as connection:
            return credentials.put(
                connection,
                tenant_id=tenant_id,
                named=(name, secrets),
                keys=keys,
                now=AT,
            )

    return run


@pytest.fixture
def opened(database, tenant_id):
    def run(name="eia", *, keys=KEYS, tenant_id=tenant_id):
        with database.tenant(tenant_id) as connection:
            return credentials.opened(
                connection, tenant_id=tenant_id, name=name, keys=keys
            )

    return run


def test_what_was_put_is_opened_again(put, opened):
    stored = put()
    assert stored.fields == ["api_key", "user"]
    assert opened() == SECRETS
    put(secrets={"token": "t"})
    assert opened() == {"token": "t"}


def test_two_seals_of_the_same_secret_differ(database, tenant_id, put):
    seen = set()
    for _ in range(2):
        put()
        with database.tenant(tenant_id) as connection:
            seen.add(rows.sealed(connection, tenant_id=tenant_id, name="eia"))
    assert len(seen) == 2
    assert not any(b"hunter2" in sealed for sealed in seen)


def test_a_new_key_in_front_seals_and_the_old_one_still_opens(put, opened):
    put("before")
    both = credentials.keys_of(settings(credentials_key=f"{NEW}, {OLD}"))
    put("after", keys=both)
    assert opened("before", keys=both) == opened("after", keys=both) == SECRETS
    assert opened("after", keys=Keys((NEW,))) == SECRETS
    with pytest.raises(InvalidData, match="no key of this worker opens"):
        opened("before", keys=Keys((NEW,)))


def test_a_file_of_keys_is_as_good_as_a_variable(put, opened, tmp_path):
    path = tmp_path / "keys"
    path.write_text(f"{NEW}\n{OLD}\n")
    keys = credentials.keys_of(settings(credentials_key_file=str(path)))
    put(keys=keys)
    assert opened(keys=Keys((NEW,))) == SECRETS
    assert NEW not in repr(keys)


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({}, "Fernet.generate_key"),
        ({"credentials_key": "x"}, "FOREBAY_CREDENTIALS_KEY holds what is no key"),
        ({"credentials_key": f"{OLD},x"}, "holds what is no key"),
        ({"credentials_key_file": "/none"}, "cannot be read"),
    ],
)
def test_without_a_good_key_nothing_is_sealed_or_opened(put, opened, given, fault):
    keys = credentials.keys_of(settings(**given))
    with pytest.raises(NoKey, match=fault):
        put(keys=keys)
    put()
    with pytest.raises(InvalidData, match=fault) as caught:
        opened(keys=keys)
    assert OLD not in str(caught.value)


def test_the_command_that_is_told_makes_a_key():
    code = credentials.MAKE_A_KEY.removeprefix('python -c "').removesuffix('"')
    made = []
    exec(code, {"print": made.append})
    assert credentials.keys_of(settings(credentials_key=made[0])).fault is None


def test_a_row_that_was_given_another_name_does_not_open(
    database, tenant_id, put, opened
):
    put("eia")
    put("fred", {"api_key": "other"})
    with database.tenant(tenant_id) as connection:
        sealed = rows.sealed(connection, tenant_id=tenant_id, name="eia")
        new = NewCredential("fred", ["api_key", "user"], sealed)
        rows.put(connection, tenant_id=tenant_id, new=new, now=AT)
    with pytest.raises(InvalidData, match="is another one"):
        opened("fred")


def test_a_row_that_was_given_to_another_tenant_does_not_open(
    database, other_tenant_id, put, opened
):
    put()
    with database.system() as connection:
        connection.execute(
            text("UPDATE credentials SET tenant_id = :id"), {"id": other_tenant_id}
        )
    with pytest.raises(InvalidData, match="is another one"):
        opened(tenant_id=other_tenant_id)


def test_what_was_tampered_with_does_not_open(database, put, opened):
    put()
    with database.system() as connection:
        connection.execute(
            text("UPDATE credentials SET sealed = set_byte(sealed, 40, 65)")
        )
        connection.execute(
            text("UPDATE credentials SET sealed = set_byte(sealed, 41, 66)")
        )
    with pytest.raises(InvalidData, match="no key of this worker opens"):
        opened()


def test_what_is_not_there_cannot_be_opened(put, opened, other_tenant_id):
    put()
    with pytest.raises(InvalidData, match="no credential 'fred'"):
        opened("fred")
    with pytest.raises(InvalidData, match="no credential 'eia'"):
        opened(tenant_id=other_tenant_id)


def test_a_used_credential_stays_and_an_unused_one_goes(database, tenant_id, put):
    put()
    named = {"tenant_id": tenant_id, "name": "eia"}
    setup = Setup(name="grid", connector="x", config={}, credential="eia", options={})
    with database.tenant(tenant_id) as connection:
        sources.create(connection, tenant_id=tenant_id, setup=setup, now=AT)
        with pytest.raises(StateConflict, match="used by grid"):
            credentials.remove(connection, **named)
        held = sources.hold(connection, tenant_id=tenant_id, name="grid")
        sources.delete(connection, source=held)
        credentials.remove(connection, **named)
        with pytest.raises(NotFound):
            credentials.remove(connection, **named)
