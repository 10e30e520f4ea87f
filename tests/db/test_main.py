"""The command line of the database room."""

import psycopg
import pytest

from db import keys, limits, migrate
from db.__main__ import main
from db.limits import Limits

pytestmark = pytest.mark.servers


@pytest.fixture
def url(database_url, monkeypatch) -> str:
    monkeypatch.setenv("FOREBAY_DATABASE_URL", database_url)
    return database_url


def test_upgrade_tells_where_the_observations_are(url, capsys):
    assert main(["upgrade"]) == 0
    storage = capsys.readouterr().out.strip()
    assert storage in (
        "at head; observations in: plain table",
        "at head; observations in: hypertable",
    )


def test_downgrade_drops_what_came_later(postgres_server, monkeypatch, capsys):
    url = postgres_server.create_database("forebay_downgraded")
    migrate.upgrade(url)
    monkeypatch.setenv("FOREBAY_DATABASE_URL", url)
    assert main(["downgrade", "--revision", "base"]) == 0
    assert capsys.readouterr().out == "at base\n"
    with psycopg.connect(url) as connection:
        left = connection.execute("SELECT to_regclass('jobs')").fetchone()
    postgres_server.drop_database("forebay_downgraded")
    assert left == (None,)


def test_new_key_shows_a_secret_that_works(url, database, capsys):
    assert main(["new-key", "--tenant", "new", "--role", "admin"]) == 0
    secret = capsys.readouterr().out.strip()
    with database.system() as connection:
        found = keys.identify(connection, secret=secret)
    assert (found.tenant, found.role) == ("new", "admin")


def test_limit_sets_what_a_tenant_may_use_and_forgets_the_rest(url, database, capsys):
    words = ["limit", "--tenant", "new", "--weight", "2", "--max-running", "3"]
    assert main(words) == 0
    assert "weight=2.0, max_running=3, max_queued=None" in capsys.readouterr().out
    with database.system() as connection:
        tenant_id = keys.ensure_tenant(connection, name="new")
        found = limits.of_tenant(connection, tenant_id=tenant_id)
    assert found == Limits(weight=2.0, max_running=3)


def test_a_revoked_key_speaks_for_nobody(url, database, tenant_id, issue_key, capsys):
    secret = issue_key(tenant_id)
    with database.system() as connection:
        found = keys.identify(connection, secret=secret)
    assert main(["revoke-key", "--id", found.key_id]) == 0
    assert main(["revoke-key", "--id", found.key_id]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told == ["revoked", "there is no such key, or it was revoked"]
    with database.system() as connection:
        assert keys.identify(connection, secret=secret) is None


def test_without_a_database_url_it_says_so(monkeypatch, capsys):
    monkeypatch.delenv("FOREBAY_DATABASE_URL", raising=False)
    assert main(["upgrade"]) == 2
    assert capsys.readouterr().err == "FOREBAY_DATABASE_URL is not set\n"


@pytest.mark.parametrize(
    "words", [[], ["sideways"], ["downgrade"], ["new-key", "--role", "god"]]
)
def test_unusable_words_are_refused(words):
    with pytest.raises(SystemExit) as left:
        main(words)
    assert left.value.code == 2
