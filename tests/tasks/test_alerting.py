"""Alert rules fire on what they are for, once in their cooldown, and say it is over."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text

from db import alert_rules, channels, incident_cases, notifications
from db.channels import NewChannel
from db.notifications import Notification, Wanted
from tasks import incident_acts
from tasks.channels import Notice, body_of
from tasks.errors import StateConflict
from tests.db import rows
from tests.db.rows import AT
from tests.tasks.sightings import HOUR, HOURLY, anomaly, listed, load, store

__all__ = ["listed", "load", "store"]

pytestmark = pytest.mark.servers

RULE = {
    "name": "desk",
    "tags": [],
    "series": [],
    "kinds": [],
    "min_severity": "low",
    "cooldown_s": 3_600,
    "max_age_s": 86_400,
    "tell_resolved": True,
    "enabled": True,
}


@pytest.fixture
def plug(database, tenant_id):
    """Make a channel; return its id."""

    def make(name="hook", kind="webhook") -> str:
        new = NewChannel(name, kind, {"url": "https://a.example/"}, None, "")
        with database.tenant(tenant_id) as connection:
            return channels.create(
                connection, tenant_id=tenant_id, new=new, most=9, now=AT
            )

    return make


@pytest.fixture
def rule(database, tenant_id, plug):
    """Make a rule with a channel of its own; return it."""

    def make(**changes):
        name = changes.get("name", "desk")
        fields = {**RULE, "channels": [plug(f"for {name}")], **changes}
        with database.tenant(tenant_id) as connection:
            return alert_rules.create(
                connection, tenant_id=tenant_id, fields=fields, most=9, now=AT
            )

    return make


@pytest.fixture
def told(database, tenant_id):
    """What was told, the first first."""

    def read(**wanted) -> list[Notification]:
        with database.tenant(tenant_id) as connection:
            found = notifications.page(
                connection,
                tenant_id=tenant_id,
                wanted=Wanted(**wanted),
                before=None,
                limit=100,
            )
        return found[::-1]

    return read


def occasions(found: list[Notification]) -> list[str]:
    return [one.occasion for one in found]


def test_a_rule_fires_once_and_says_that_it_is_over(load, store, rule, told, database):
    made = rule()
    east = load("east", "load")
    for _ in range(2):
        store({east: [anomaly(0)]}, seen={east: 1})
    assert occasions(told()) == ["opened"]
    for _ in range(2):
        store(seen={east: 4})
    found = told(rule=made.id)
    assert occasions(found) == ["opened", "resolved"]
    assert {one.state for one in found} == {"pending"}
    assert {one.channel for one in found} == {"for desk"}
    body = rows.value(
        database,
        "SELECT body FROM webhook_deliveries WHERE id = :id",
        id=found[0].delivery_id,
    )
    assert body["type"] == "alert.opened"
    assert body["data"]["incident"]["headline"] == "spike in east"
    assert body["data"]["incident"]["recommendations"][0]["text"]
    assert body["data"]["title"] == "[high] spike in east"


@pytest.mark.parametrize(
    ("filters", "fires"),
    [
        ({}, True),
        ({"tags": ["load", "x"]}, True),
        ({"tags": ["x"]}, False),
        ({"series": ["east"]}, True),
        ({"series": ["west"]}, False),
        ({"kinds": ["spike"]}, True),
        ({"kinds": ["dip"]}, False),
        ({"min_severity": "high"}, True),
        ({"min_severity": "critical"}, False),
        ({"tags": ["load"], "kinds": ["dip"]}, False),
        ({"enabled": False}, False),
    ],
)
def test_a_rule_is_for_what_its_filters_let_through(
    load, store, rule, told, filters, fires
):
    rule(**filters)
    store({load("east", "load"): [anomaly(0)]})
    assert occasions(told()) == (["opened"] if fires else [])


def test_within_the_cooldown_a_scope_is_told_of_once_and_what_was_held_is_kept(
    load, store, rule, told
):
    rule(cooldown_s=7_200)
    east, gas = load("east", "load"), load("g", "gas")
    quick = replace(HOURLY, cooldown_s=0)
    store({east: [anomaly(0)]}, grouping=quick)
    store(seen={east: 3})
    later = AT + HOUR
    store({east: [anomaly(4)]}, grouping=quick, now=later)
    store({east: [anomaly(4, kind="dip")]}, grouping=quick, now=later)
    assert occasions(told()) == ["opened", "resolved", "held"]
    held = told()[-1]
    assert (held.channel, held.state, held.delivery_id) == (None, None, None)
    store({gas: [anomaly(4)]}, grouping=quick, now=later)
    assert occasions(told())[-1] == "opened"


def test_what_was_held_back_and_goes_on_is_told_after_the_cooldown(
    load, store, rule, told
):
    rule(cooldown_s=7_200)
    east = load("east", "load")
    quick = replace(HOURLY, cooldown_s=0)
    store({east: [anomaly(0)]}, grouping=quick)
    store(seen={east: 3})
    store({east: [anomaly(4)]}, grouping=quick, now=AT + HOUR)
    assert occasions(told())[-1] == "held"
    store({east: [anomaly(4, hours=2)]}, grouping=quick, now=AT + 2 * HOUR)
    assert occasions(told())[-1] == "opened"


def test_an_incident_that_gets_worse_is_told_again_after_the_cooldown(
    load, store, rule, told
):
    rule()
    east = load("east", "load")
    store({east: [anomaly(0, severity="medium")]})
    store({east: [anomaly(0, severity="high")]}, now=AT + 2 * HOUR)
    store({east: [anomaly(0, severity="high", hours=2)]}, now=AT + 4 * HOUR)
    found = told()
    assert occasions(found) == ["opened", "worse"]
    assert [one.severity for one in found] == ["medium", "high"]


def test_what_is_over_before_anybody_could_hear_of_it_is_not_told(
    load, store, rule, told
):
    rule()
    east = load("east", "load")
    store({east: [anomaly(0)]}, seen={east: 100})
    assert told() == []


def test_old_news_is_no_news(load, store, rule, told):
    rule(max_age_s=3_600)
    store({load("east"): [anomaly(0)]}, now=AT + timedelta(days=2))
    assert told() == []


def test_a_rule_that_does_not_tell_of_ends_does_not(load, store, rule, told):
    rule(tell_resolved=False)
    east = load("east")
    store({east: [anomaly(0)]})
    store(seen={east: 9})
    assert occasions(told()) == ["opened"]


def test_each_rule_tells_through_each_of_its_channels(load, store, rule, plug, told):
    rule(channels=[plug("one"), plug("two", "slack")])
    rule(name="other", channels=[plug("three", "email")])
    store({load("east"): [anomaly(0)]})
    assert sorted((one.rule, one.channel) for one in told()) == [
        *(("desk", "one"), ("desk", "two")),
        ("other", "three"),
    ]


@pytest.fixture
def act(database, tenant_id, listed):
    """Acknowledge or resolve the only incident; return whether that was new."""

    def run(act_) -> bool:
        (one,) = listed()
        with database.tenant(tenant_id) as connection:
            return act_(
                connection,
                tenant_id=tenant_id,
                incident_id=one.id,
                key_id="k",
                now=AT,
            )

    return run


def test_resolving_by_hand_is_told_and_acknowledging_is_not(
    load, store, rule, told, act
):
    rule()
    store({load("east"): [anomaly(0)]})
    acts = (incident_acts.acknowledge, incident_acts.resolve)
    assert [act(one) for one in acts for _ in range(2)] == [True, False, True, False]
    assert occasions(told()) == ["opened", "resolved"]


def test_what_opens_again_after_its_end_was_told_is_told_again_and_ends_once(
    load, store, rule, told
):
    rule()
    east = load("east")
    store({east: [anomaly(0)]}, seen={east: 1})
    store(seen={east: 4})
    store({east: [anomaly(4, severity="critical")]}, seen={east: 5})
    assert occasions(told()) == ["opened", "resolved", "held"]
    later = AT + HOUR
    store({east: [anomaly(5)]}, seen={east: 6}, now=later)
    store({east: [anomaly(6)]}, seen={east: 7}, now=later)
    assert occasions(told()) == ["opened", "resolved", "held", "opened"]
    for _ in range(2):
        store(seen={east: 12}, now=later)
    assert occasions(told())[3:] == ["opened", "resolved"]


def test_who_resolved_and_who_acknowledged_is_kept(load, store, listed, act):
    store({load("east"): [anomaly(0)]})
    act(incident_acts.acknowledge)
    act(incident_acts.resolve)
    (after,) = listed()
    assert (after.state, after.reason) == ("resolved", "by request")
    assert (after.acknowledged_by, after.closed_at, after.version) == ("k", AT, 3)
    with pytest.raises(StateConflict, match="is resolved"):
        act(incident_acts.acknowledge)


def test_an_incident_that_gets_worse_wants_to_be_acknowledged_again(
    load, store, listed, act
):
    east = load("east")
    store({east: [anomaly(0)]})
    act(incident_acts.acknowledge)
    store({east: [anomaly(1, kind="dip")]})
    assert listed()[0].state == "acknowledged"
    store({east: [anomaly(1.5, kind="flatline", severity="critical")]})
    assert (listed()[0].state, listed()[0].acknowledged_by) == ("open", None)


def test_a_webhook_that_wants_incidents_is_told_of_each_change(
    database, tenant_id, load, store
):
    rows.change(
        database,
        "INSERT INTO webhooks (id, tenant_id, url, events, description, enabled, "
        "generation, created_at, updated_at) VALUES ('whk_1', :tenant, "
        "'https://a.example/', :events, '', true, 1, now(), now())",
        tenant=tenant_id,
        events=[incident_cases.OPENED, incident_cases.RESOLVED],
    )
    east = load("east")
    store({east: [anomaly(0)]})
    store({east: [anomaly(1, kind="dip")]})
    store(seen={east: 9})
    with database.system() as connection:
        kinds = connection.scalars(
            text("SELECT kind FROM webhook_deliveries ORDER BY created_at, id")
        ).all()
    assert kinds == ["incident.opened", "incident.resolved"]


def test_slack_reads_no_markup_in_what_a_tenant_named():
    incident = {
        "severity": "high",
        "headline": "spike in <a>&b",
        "series": [{"unique_id": "<a>&b"}],
        "start_at": AT,
        "last_seen_at": AT + HOUR,
        "anomalies": 1,
        "kinds": ["spike"],
        "recommendations": [{"text": "look at <a>"}],
        "links": {"self": "/v1/incidents/inc_1"},
    }
    notice = Notice("worse", "desk", AT, incident)
    told = json.loads(body_of("slack", notice))
    assert told["text"] == "🟠 Worse: [high] spike in &lt;a&gt;&amp;b"
    section = told["blocks"][1]["text"]["text"]
    assert "<a>" not in section
    assert "To do: look at &lt;a&gt;" in section
    mail = json.loads(body_of("email", notice))
    assert mail["subject"] == "[Forebay] Worse: [high] spike in <a>&b"
    assert "From 2026-03-01 12:00 UTC to 2026-03-01 13:00 UTC" in mail["text"]
