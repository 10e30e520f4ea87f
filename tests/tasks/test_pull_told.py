"""Each end of a run is told once: as an event of its job, and to webhooks."""

from dataclasses import replace

import pytest
from sqlalchemy import text

from db.sources import find_by_name
from tasks import sources
from tasks.errors import SourceRefused
from tasks.submit import submit
from tasks.webhooks import FOUND_KINDS
from tests.sources.faults import FaultPlan
from tests.sources.server import Reply, serve
from tests.sources.table import KEY, Table
from tests.sources.truth import DAY, START, Truth, grid
from tests.tasks.source_runs import at_once, desk
from workers.runner import Runtime, run

__all__ = ["at_once", "desk"]

pytestmark = [pytest.mark.servers, pytest.mark.usefixtures("at_once")]

NIGHT = START + 3 * DAY


@pytest.fixture
def truth() -> Truth:
    return Truth(5, starts=grid(START, 48), revised=0.0, missing=0.0)


def table(desk, url, *, credential=None, **more):
    layout = {"series_columns": ["zone"], "ts_column": "t", "value_columns": ["v"]}
    config = {
        "base_url": f"{url}/whole.csv",
        "format": "csv",
        "layout": layout,
        "start_param": "from",
        "end_param": "to",
        "window_format": "%Y-%m-%dT%H:%M:%SZ",
        "span_days": 1,
        **more,
    }
    since = START.isoformat()
    desk.source("load", "http_table", config, credential=credential, since=since)
    with desk.database.tenant(desk.tenant_id) as connection:
        connection.execute(
            text(
                "INSERT INTO webhooks (id, tenant_id, url, events, description, "
                "generation, enabled, created_at, updated_at) VALUES ('whk_1', "
                ":tenant, 'http://127.0.0.1/x', :events, '', 1, true, now(), now())"
            ),
            {"tenant": desk.tenant_id, "events": list(FOUND_KINDS)},
        )


def told(desk):
    found = desk.rows(
        "SELECT kind, body FROM job_events WHERE kind LIKE 'ingest.%' ORDER BY id"
    )
    assert desk.rows("SELECT count(*) FROM webhook_deliveries") == [(len(found),)]
    return [(kind, body["finding"]) for kind, body in found]


def test_a_run_that_succeeded_says_what_it_wrote(desk, truth):
    with serve(Table(truth)) as served:
        table(desk, served.url)
        result = desk.run("load", now=NIGHT)
    ((kind, body),) = told(desk)
    assert (kind, body["state"]) == ("ingest.succeeded", "succeeded")
    assert (body["source"], body["written"]) == ("load", len(desk.stored()))
    assert (body["run_id"], body["failed"]) == (result["run_id"], [])
    assert body["links"]["self"] == "/v1/sources/load/runs"


def test_a_run_that_is_partial_names_what_failed(desk, truth):
    class Half(Table):
        def answer(self, call):
            bad = call.one("from").startswith(f"{START + DAY:%Y-%m-%d}")
            return Reply(500, b"down") if bad else super().answer(call)

    with serve(Half(truth)) as served:
        table(desk, served.url)
        desk.run("load", now=NIGHT, tries=2)
    ((kind, body),) = told(desk)
    assert (kind, body["failed_total"]) == ("ingest.partial", 1)
    (failed,) = body["failed"]
    assert (failed["state"], failed["reason"]) == ("failed", "transient")
    assert failed["partition"].startswith(f"{START + DAY:%Y%m%d}")
    assert failed["partition"] in body["message"]


def test_a_run_that_failed_is_told_although_its_job_stores_nothing(desk, truth):
    with serve(Table(truth), FaultPlan(dict.fromkeys(range(1, 99), "500"))) as served:
        table(desk, served.url)
        with pytest.raises(SourceRefused):
            desk.run("load", now=NIGHT, tries=1)
    ((kind, body),) = told(desk)
    assert (kind, body["failed_total"]) == ("ingest.failed", body["windows"])
    assert desk.rows("SELECT state FROM ingest_runs") == [("failed",)]


def test_a_run_that_had_nothing_to_say_is_a_success(desk, truth):
    with serve(Table(truth)) as served:
        table(desk, served.url)
        desk.run("load", now=NIGHT)
        desk.run("load", now=NIGHT)
    assert [kind for kind, _ in told(desk)] == ["ingest.succeeded"] * 2
    assert told(desk)[1][1]["message"].startswith("nothing was new")


@pytest.mark.parametrize(
    ("key", "kind"), [("another", "source-refused"), (None, "missing-secret")]
)
def test_the_job_of_a_run_that_failed_fails_at_once_with_its_problem(
    desk, truth, tmp_path, key, kind
):
    if key is not None:
        desk.credential("keys", api_key=key)
    settings = replace(desk.settings, artifacts=str(tmp_path))
    with serve(Table(truth, key=KEY)) as served:
        table(
            desk,
            served.url,
            credential=key and "keys",
            headers={"X-Api-Key": "{secret:api_key}"},
            span_days=3_000,
        )
        with desk.database.tenant(desk.tenant_id) as connection:
            source = find_by_name(connection, tenant_id=desk.tenant_id, name="load")
            job, _ = submit(
                connection,
                tenant_id=desk.tenant_id,
                submission=sources.run(source, mode="full"),
            )
        runtime = Runtime(desk.database, settings, "here/1")
        assert run(runtime, job_id=job.id, attempt=1) == "failed"
    ((reason, error),) = desk.rows("SELECT reason, error FROM jobs")
    assert (reason, error["type"]) == ("source_refused", f"/problems/{kind}")
    ((kind_told, body),) = told(desk)
    assert (kind_told, body["job_id"]) == ("ingest.failed", job.id)
