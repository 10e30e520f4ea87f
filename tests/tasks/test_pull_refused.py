"""What only its owner can mend ends the run at once, and says what to do."""

from datetime import UTC, datetime

import pytest

from ingest.wire import Wire
from tasks import ingest_probe
from tasks.errors import InvalidData, SourceRefused
from tests.sources.server import Reply, serve
from tests.sources.table import KEY, Table
from tests.sources.truth import START, Truth, grid
from tests.tasks.source_runs import at_once, desk

__all__ = ["at_once", "desk"]

pytestmark = [pytest.mark.servers, pytest.mark.usefixtures("at_once")]

NIGHT = datetime(2026, 1, 4, tzinfo=UTC)


@pytest.fixture
def truth() -> Truth:
    return Truth(5, starts=grid(START, 48), revised=0.0)


def table(desk, url, *, credential=None, **more):
    config = {
        "base_url": f"{url}/whole.csv",
        "format": "csv",
        "layout": {
            "series_columns": ["zone"],
            "ts_column": "t",
            "value_columns": ["v"],
        },
        **more,
    }
    desk.source(
        "load", "http_table", config, credential=credential, since=START.isoformat()
    )


def refused(desk):
    """Run the source; return why it failed, and how many windows the ledger has."""
    with pytest.raises(SourceRefused) as caught:
        desk.run("load", now=NIGHT, tries=3)
    assert desk.stored() == {}
    assert desk.rows("SELECT state, reason FROM source_windows") == [
        ("failed", caught.value.why)
    ]
    assert desk.rows("SELECT state FROM ingest_runs") == [("failed",)]
    return caught.value


HEADERS = {"X-Api-Key": "{secret:api_key}"}


def test_a_secret_that_the_credential_lacks(desk, truth):
    desk.credential("keys", token="x")
    with serve(Table(truth, key=KEY)) as served:
        table(desk, served.url, credential="keys", headers=HEADERS)
        error = refused(desk)
        assert served.calls == []
    assert error.why == "missing_secret"
    assert "put the credential keys again, with api_key" in str(error)


def test_a_source_without_any_credential(desk, truth):
    with serve(Table(truth, key=KEY)) as served:
        table(desk, served.url, headers=HEADERS)
        error = refused(desk)
    assert error.why == "missing_secret"
    assert "put a credential with api_key, and name it in the source" in str(error)


def test_a_credential_that_is_gone(desk, truth):
    with serve(Table(truth, key=KEY)) as served:
        table(desk, served.url, credential="gone", headers=HEADERS)
        error = refused(desk)
    assert (error.why, "there is no credential 'gone'" in str(error)) == (
        "missing_secret",
        True,
    )


def test_a_secret_that_does_not_fit_into_a_header(desk, truth):
    desk.credential("keys", api_key="two\nlines")
    with serve(Table(truth, key=KEY)) as served:
        table(desk, served.url, credential="keys", headers=HEADERS)
        error = refused(desk)
        assert served.calls == []
    assert error.why == "unfit_secret"
    assert "two" not in str(error)


def test_an_answer_that_is_too_large(desk, truth, monkeypatch):
    small = tuple({**vars(Wire()), "most_bytes": 100}.values())
    monkeypatch.setattr(Wire.__init__, "__defaults__", small)
    with serve(Table(truth)) as served:
        table(desk, served.url)
        error = refused(desk)
        assert len(served.calls) == 1
    assert error.why == "too_large_answer"
    assert "a shorter window" in str(error)


def test_an_address_that_is_not_listed(desk, truth):
    with serve(Table(truth)) as served:
        table(desk, served.url.replace("127.0.0.1", "127.0.0.2"))
        error = refused(desk)
    assert error.why == "not_allowed"
    assert "FOREBAY_SOURCE_HOSTS" in str(error)


def test_a_probe_fails_in_the_same_words(desk, truth):
    with serve(Table(truth, key=KEY)) as served:
        table(desk, served.url, headers=HEADERS)
        params = ingest_probe.ProbeParams(source="load")
        with pytest.raises(SourceRefused, match="missing_secret") as caught:
            ingest_probe.probe(params, desk.attempt(now=NIGHT))
    assert caught.value.why == "missing_secret"


def test_a_probe_says_that_the_list_of_series_cannot_be_reached(desk, monkeypatch):
    monkeypatch.setattr(ingest_probe, "_tried", lambda *_args, **_more: {})
    with serve(Table(Truth(5, starts=grid(START, 48)))) as served:
        url = served.url
    config = {"route": "a/b", "frequency": "hourly", "base_url": url}
    desk.credential("keys", api_key=KEY)
    desk.source("load", "eia", config, credential="keys")
    params = ingest_probe.ProbeParams(source="load", discover=True)
    with pytest.raises(SourceRefused, match=r"transient: 127\.0\.0\.1: no address"):
        ingest_probe.probe(params, desk.attempt(now=NIGHT))


def test_a_paused_source_is_not_read_whoever_submits_the_job(desk, truth):
    with serve(Table(truth)) as served:
        table(desk, served.url)
        with desk.database.tenant(desk.tenant_id) as connection:
            connection.exec_driver_sql("UPDATE sources SET enabled = false")
        with pytest.raises(InvalidData, match="the source load is paused"):
            desk.run("load", now=NIGHT)
        assert served.calls == []


def test_a_table_that_is_no_json_is_asked_for_once_and_says_what_to_set(desk, truth):
    with serve(Table(truth)) as served:
        table(desk, served.url, format="json")
        error = refused(desk)
        assert len(served.calls) == 1
    assert error.why == "config"
    assert "the answer is csv, not json: set format: csv in the config" in str(error)


class Nothing:
    def answer(self, call):
        assert call.path == "/whole.csv"
        page = b"<html><title>Error response</title><h1>Error response</h1>"
        return Reply(404, page + b"<p>Error code: 404</p></html>")


def test_an_address_at_which_nothing_lies_is_named_without_its_parameters(desk):
    with serve(Nothing()) as served:
        table(desk, served.url, params={"key": "private"})
        error = refused(desk)
    assert error.why == "config"
    detail = f"Error response Error code: 404 (asked: {served.url}/whole.csv)"
    assert f"config: {detail}" in str(error)
