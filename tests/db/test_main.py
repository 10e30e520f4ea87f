"""The command line of the database room."""

import psycopg
import pytest

from db import keys, migrate
from db.__main__ import main

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
