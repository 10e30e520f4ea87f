"""Prometheus metrics: what they count, who may read them, where they are explained."""

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from db import counts, keys, processes
from db.session import Database
from tests.web import samples
from tests.web.caller import Caller
from tests.web.work import Work
from web import gauges

pytestmark = pytest.mark.servers

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference" / "metrics.md"
ALERTS = ROOT / "compose" / "alerts.yaml"


def scrape(api: Caller, **environ) -> dict[str, float]:
    """Return all samples by name and labels."""
    answer = api.get("/metrics", environ_overrides=environ)
    assert answer.status_code == 200, answer.text
    return {
        name + "".join(f" {key}={labels[key]}" for key in sorted(labels)): value
        for family in text_string_to_metric_families(answer.text)
        for name, labels, value, *_ in family.samples
    }


_UNHEARD = (
    """INSERT INTO incidents (id, tenant_id, state, severity, headline, dedup_key,
        scope, tags, kinds, anomalies, reopened, grouping, start_at, last_seen_at,
        opened_at, updated_at, version)
    SELECT 'inc_' || n, min(tenants.id), (ARRAY['open', 'acknowledged', 'resolved'])[n],
        'high', '', n, '', '{}', '{}', 1, 0, '{}', now(), now(), now(), now(), 1
    FROM tenants, generate_series(1, 3) AS n GROUP BY n""",
    """INSERT INTO webhooks (id, tenant_id, url, events, description, enabled,
        generation, created_at, updated_at, channel)
    SELECT 'whk_' || coalesce(kind, 'plain'), min(tenants.id), '', '{}', '', true, 1,
        now(), now(), kind
    FROM tenants, unnest(ARRAY['slack', NULL]) AS kind GROUP BY kind""",
    """INSERT INTO webhook_deliveries (id, tenant_id, webhook_id, kind, body, state,
        attempts, created_at, ended_at)
    SELECT gen_random_uuid(), tenant_id, hook, 'alert.opened', '{}', one.state,
        one.attempts, now(), now() - one.ago
    FROM (VALUES ('whk_slack', 'pending', 0, NULL::interval),
        ('whk_slack', 'pending', 1, NULL), ('whk_slack', 'pending', 5, NULL),
        ('whk_slack', 'failed', 8, '1 minute'), ('whk_slack', 'failed', 8, '1 hour'),
        ('whk_slack', 'delivered', 1, '1 minute'), ('whk_plain', 'pending', 3, NULL),
        ('whk_plain', 'failed', 8, '1 minute')) AS one (hook, state, attempts, ago)
    JOIN webhooks ON webhooks.id = hook""",
)


@pytest.fixture
def busy(own_settings, make_app) -> Caller:
    """A platform that has run a job, holds another, and has a dispatcher."""
    app = make_app(own_settings)
    database: Database = app.extensions["forebay"].database
    with database.system() as connection:
        tenant_id = keys.ensure_tenant(connection, name="tenant")
        secret = keys.issue(connection, tenant_id=tenant_id, name="a", role="member")
        old = {"ready": {"forecast": 9, "system": 1}, "broker": {"state": "gone"}}
        processes.seen(connection, name="c", role="dispatcher", detail=old)
    with database.system() as connection:
        ready = {"ready": {"forecast": 3}, "broker": {"state": "ok"}}
        processes.seen(connection, name="d", role="dispatcher", detail=ready)
        processes.seen(connection, name="w", role="worker", queues=["forecast"])
    api, work = Caller(app, secret), Work(database, own_settings)
    api.database = database
    done = api.submit()
    work.end(done["id"])
    api.submit(**samples.forecast(series=["a"]))
    return api


def test_jobs_are_counted_from_the_tables(busy):
    found = scrape(busy)
    assert found["forebay_ended_jobs reason= state=succeeded type=system.echo"] == 1
    assert found["forebay_jobs state=queued type=forecast.run"] == 1
    assert found["forebay_jobs state=running type=forecast.run"] == 0
    assert found["forebay_queued_jobs queue=forecast"] == 1
    assert found["forebay_queued_jobs queue=ingest"] == 0
    assert found["forebay_blocked_jobs queue=forecast"] == 0
    assert found["forebay_retrying_jobs queue=forecast"] == 0
    assert found["forebay_extra_attempts type=system.echo"] == 0
    assert found["forebay_oldest_queued_seconds queue=forecast"] > 0
    assert found["forebay_oldest_queued_seconds queue=ingest"] == 0
    assert found["forebay_outbox_messages queue=forecast"] == 1
    assert found["forebay_outbox_age_seconds queue=forecast"] > 0
    assert found["forebay_job_run_seconds quantile=0.5 type=system.echo"] >= 0
    assert found["forebay_job_wait_seconds quantile=0.95 type=system.echo"] >= 0
    assert found["forebay_webhook_deliveries state=pending"] == 0
    assert found["forebay_webhook_due_seconds"] == 0


def test_lost_jobs_are_those_that_wait_again_and_those_given_up(busy):
    made = busy.submit()["id"], busy.submit()["id"]
    with busy.database.system() as connection:
        for job_id, state in zip(made, ("queued", "failed"), strict=True):
            connection.exec_driver_sql(
                "UPDATE jobs SET state = %s, reason = 'worker_lost', attempt = 2, "
                "finished_at = CASE WHEN %s = 'failed' THEN now() END WHERE id = %s",
                (state, state, job_id),
            )
    found = scrape(busy)
    assert found["forebay_lost_jobs type=system.echo"] == 2
    assert found["forebay_retrying_jobs queue=system"] == 1
    assert found["forebay_extra_attempts type=system.echo"] == 1


def test_processes_are_counted_and_the_latest_dispatcher_is_believed(busy):
    found = scrape(busy)
    assert found["forebay_processes role=dispatcher"] == 2
    assert found["forebay_processes role=beat"] == 0
    assert found["forebay_silent_processes role=worker"] == 0
    assert found["forebay_queue_workers queue=forecast"] == 1
    assert found["forebay_queue_workers queue=system"] == 0
    assert found["forebay_broker_up"] == 1
    assert found["forebay_queue_ready_messages queue=forecast"] == 3


def test_open_incidents_and_messages_that_did_not_arrive_are_counted(busy, monkeypatch):
    found = scrape(busy)
    assert found["forebay_open_incidents severity=high"] == 0
    assert found["forebay_undelivered_notifications state=failed"] == 0
    with busy.database.system() as connection:
        for statement in _UNHEARD:
            connection.exec_driver_sql(statement)
    monkeypatch.setattr(gauges.time, "monotonic", lambda: float("inf"))
    found = scrape(busy)
    for severity, total in {"low": 0, "medium": 0, "high": 2, "critical": 0}.items():
        assert found[f"forebay_open_incidents severity={severity}"] == total
    for state, total in {"pending": 1, "retrying": 2, "failed": 1}.items():
        assert found[f"forebay_undelivered_notifications state={state}"] == total
    assert found["forebay_webhook_deliveries state=pending"] == 4


def test_scrapes_within_a_second_read_the_tables_once(busy, monkeypatch):
    read = []
    counted = counts.counts
    monkeypatch.setattr(counts, "counts", lambda c: read.append(1) or counted(c))
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: scrape(busy), range(8)))
    assert len(read) == 1
    assert len({one["forebay_queued_jobs queue=forecast"] for one in answers}) == 1
    busy.submit(**samples.forecast(series=["a"]))
    assert scrape(busy)["forebay_queued_jobs queue=forecast"] == 1
    monkeypatch.setattr(gauges.time, "monotonic", lambda: float("inf"))
    assert scrape(busy)["forebay_queued_jobs queue=forecast"] == 2


def test_a_failed_look_at_the_tables_is_not_kept(busy, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setattr(counts, "counts", lambda _: 1 / 0)
        assert busy.get("/metrics").status_code == 500
    assert scrape(busy)["forebay_queued_jobs queue=forecast"] == 1


def test_held_requests_and_open_streams_are_counted_until_they_end(busy, settings):
    assert scrape(busy)["forebay_held_requests_limit"] == settings.streams
    job_id = busy.submit()["id"]
    answer = busy.get(f"/v1/jobs/{job_id}/events", buffered=False)
    next(answer.iter_encoded())
    found = scrape(busy)
    assert (found["forebay_held_requests"], found["forebay_event_streams"]) == (1, 1)
    answer.close()
    found = scrape(busy)
    assert (found["forebay_held_requests"], found["forebay_event_streams"]) == (0, 0)


def test_requests_are_counted_by_route_and_not_by_address(busy):
    before = scrape(busy)
    for job_id in ("job_a", "job_b"):
        assert busy.get(f"/v1/jobs/{job_id}").status_code == 404
    Caller(busy._client.application, None).get("/v1/jobs/job_a")
    name = "forebay_http_requests_total method=GET route=/v1/jobs/<job_id> status="
    after = scrape(busy)
    assert after[name + "404"] - before.get(name + "404", 0) == 2
    assert after[name + "401"] == 1
    assert after["forebay_http_request_seconds_count route=/v1/jobs/<job_id>"] >= 3
    assert not any("job_a" in key for key in after)


def test_a_stranger_cannot_make_the_metrics_grow(busy):
    scrape(busy)
    before = len(scrape(busy))
    for number in range(20):
        busy.call(f"METHOD{number}", f"/nowhere/{number}")
        busy.get(f"/elsewhere/{number}")
    grown = len(scrape(busy)) - before
    assert grown < 25, "one histogram and two counters"


def test_only_the_listed_hosts_may_read_metrics(api):
    for allowed in ("127.0.0.1", "::1"):
        assert scrape(api, REMOTE_ADDR=allowed)
    answer = api.get("/metrics", environ_overrides={"REMOTE_ADDR": "10.0.0.9"})
    assert answer.status_code == 403
    forged = api.get(
        "/metrics",
        headers={"X-Forwarded-For": "127.0.0.1"},
        environ_overrides={"REMOTE_ADDR": "10.0.0.9"},
    )
    assert forged.status_code == 403


def test_metrics_of_a_database_that_is_away_are_a_problem_not_a_crash(
    make_app, settings
):
    gone = replace(settings, database_url="postgresql://nobody@127.0.0.1:1/nothing")
    answer = Caller(make_app(gone), None).get("/metrics")
    assert answer.status_code == 503


def test_every_metric_is_explained_and_nothing_else_is(busy):
    text = busy.get("/metrics").text
    served = set(re.findall(r"^# TYPE (\S+) ", text, re.MULTILINE))
    served = {name for name in served if not name.endswith("_created")}
    table = re.findall(r"^\| `(\S+)` \| (\w+) \|", REFERENCE.read_text(), re.MULTILINE)
    assert {name for name, _ in table} == served
    for name, kind in table:
        assert f"# TYPE {name} {kind}\n" in text


def test_every_metric_of_an_alert_is_served(busy):
    used = set(re.findall(r"\bforebay_\w+", ALERTS.read_text()))
    assert len(used) > 10
    busy.get("/ready")
    served = {key.split(" ")[0] for key in scrape(busy)}
    # A family with labels is served from its first job on.
    served |= set(
        re.findall(r"^# TYPE (\S+) gauge", busy.get("/metrics").text, re.MULTILINE)
    )
    assert used <= served


def test_every_label_of_an_alert_is_served(busy):
    text = ALERTS.read_text()
    used = set(re.findall(r"[{,]\s*(\w+)(?:=|!=|=~|!~)\"", text))
    used |= {
        label
        for group in re.findall(r"\b(?:by|on) \(([\w, ]+)\)", text)
        for label in group.split(", ")
    }
    assert used > {"role", "queue", "type"}
    busy.get("/ready")
    served = {label for key in scrape(busy) for label in re.findall(r" (\w+)=", key)}
    assert used - served == {"job", "instance"}, "these come from Prometheus"
