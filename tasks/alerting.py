"""Alert rules at work: which incident is told to whom, once, and when it is over.

A rule fires when an incident opens that it is for, and again when the incident gets
worse; about one scope no more than once in its cooldown. What it held back is kept
too. It says that an incident is over where it said that it began, and then that it
opened again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from db import alert_rules, channels, notifications
from db.alert_rules import AlertRule
from db.channels import Channel
from db.incident_cases import RESOLVED
from db.notifications import FIRED, NewNotification, Told
from db.session import Connection
from tasks.channels import Notice, body_of
from tasks.grouping import SEVERITIES

MOST_RULES = 200
_SPOKEN = (*FIRED, "resolved")
_ALL = (*_SPOKEN, "held")


@dataclass(frozen=True)
class Change:
    """An incident as it is shown, and the kind of the event that tells of it."""

    incident: Mapping[str, Any]
    kind: str


@dataclass(frozen=True)
class Past:
    """What the rules told before: of the incidents, and of their scopes."""

    spoken: Mapping[tuple[str, str], Told]
    last: Mapping[tuple[str, str], Told]
    scopes: Mapping[tuple[str, str], Told]

    def fired(self, mark: tuple[str, str]) -> Told | None:
        """Return what was told last of an incident, unless it is that it is over.

        Who was told so must hear of it when it opens again.
        """
        told = self.spoken.get(mark)
        return None if told is None or told.occasion == "resolved" else told


def matches(rule: AlertRule, incident: Mapping[str, Any]) -> bool:
    """Return whether a rule is for an incident: each filter that is given must hold."""
    if SEVERITIES.index(incident["severity"]) < SEVERITIES.index(rule.min_severity):
        return False
    keys = [one["unique_id"] for one in incident["series"]]
    filters = (
        (rule.tags, incident["tags"]),
        (rule.kinds, incident["kinds"]),
        (rule.series, keys),
    )
    return all(not wanted or set(wanted) & set(there) for wanted, there in filters)


def occasion(
    rule: AlertRule, change: Change, *, past: Past, now: datetime
) -> str | None:
    """Return on what occasion a rule speaks, ``held`` if it may not, or None."""
    incident = change.incident
    mark = (rule.id, incident["id"])
    fired, last = past.fired(mark), past.last.get(mark)
    if change.kind == RESOLVED:
        return "resolved" if fired and rule.tell_resolved else None
    if incident["state"] == "resolved" or not matches(rule, incident):
        return None
    if fired is not None and not _worse(incident["severity"], fired.severity):
        return None
    if now - incident["last_seen_at"] > timedelta(seconds=rule.max_age_s):
        return None
    silent = past.scopes.get((rule.id, incident["scope"]))
    if silent and now < silent.at + timedelta(seconds=rule.cooldown_s):
        return None if last is not None and last.occasion == "held" else "held"
    return "opened" if fired is None else "worse"


def _worse(now: str, before: str | None) -> bool:
    return before is None or SEVERITIES.index(now) > SEVERITIES.index(before)


def evaluate(
    connection: Connection,
    *,
    tenant_id: int,
    changes: Sequence[Change],
    now: datetime,
) -> list[str]:
    """Let all rules look at what happened to incidents; return notifications' ids.

    Args:
        connection: the transaction that changes the incidents, which are held.
        tenant_id: whose they are.
        changes: in order.
        now: when; cooldowns are counted by it.
    """
    rules = alert_rules.enabled(connection, tenant_id=tenant_id) if changes else []
    made: list[str] = []
    for change in changes if rules else ():
        past = _past(connection, tenant_id, rules, change.incident)
        spoken = [
            (rule, word)
            for rule in rules
            if (word := occasion(rule, change, past=past, now=now)) is not None
        ]
        items = [
            item
            for rule, word in spoken
            for item in _items(connection, tenant_id, rule, (word, change), now)
        ]
        made += notifications.add(connection, tenant_id=tenant_id, items=items, now=now)
    return made


def _past(
    connection: Connection,
    tenant_id: int,
    rules: Sequence[AlertRule],
    incident: Mapping[str, Any],
) -> Past:
    def last(occasions: Sequence[str]) -> Mapping[tuple[str, str], Told]:
        return notifications.last_of_incidents(
            connection,
            tenant_id=tenant_id,
            ids=[incident["id"]],
            occasions=occasions,
        )

    scopes = notifications.last_of_scopes(
        connection,
        tenant_id=tenant_id,
        rules=[one.id for one in rules],
        scopes=[incident["scope"]],
    )
    return Past(last(_SPOKEN), last(_ALL), scopes)


def _items(
    connection: Connection,
    tenant_id: int,
    rule: AlertRule,
    what: tuple[str, Change],
    now: datetime,
) -> list[NewNotification]:
    word, change = what
    told = {
        "rule_id": rule.id,
        "rule": rule.name,
        "incident_id": change.incident["id"],
        "occasion": word,
        "severity": change.incident["severity"],
        "scope": change.incident["scope"],
    }
    found = channels.by_ids(connection, tenant_id=tenant_id, ids=rule.channels)
    if word == "held" or not found:
        return [NewNotification(**told)]
    notice = Notice(word, rule.name, now, change.incident)
    return [_through(one, notice, told) for one in found]


def _through(
    channel: Channel, notice: Notice, told: Mapping[str, Any]
) -> NewNotification:
    return NewNotification(
        **told,
        channel_id=channel.id,
        webhook_id=channel.webhook_id,
        kind=notice.kind,
        body=body_of(channel.kind, notice),
    )


def fire_test(
    connection: Connection,
    *,
    tenant_id: int,
    rule: tuple[str | None, str],
    through: Sequence[Channel],
    now: datetime,
) -> list[str]:
    """Send a test message through channels; return the notifications' ids.

    Args:
        connection: a transaction of the tenant.
        tenant_id: whose they are.
        rule: the id of the rule that is tested, or None, and its name.
        through: the channels.
        now: when.
    """
    rule_id, name = rule
    told = {
        "rule_id": rule_id,
        "rule": name,
        "incident_id": None,
        "occasion": "test",
        "severity": None,
        "scope": "",
    }
    notice = Notice("test", name, now)
    items = [_through(one, notice, told) for one in through]
    return notifications.add(connection, tenant_id=tenant_id, items=items, now=now)
