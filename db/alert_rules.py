"""Alert rules: which incidents are told through which channels."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text

from db.ids import new_id
from db.session import Connection


@dataclass(frozen=True)
class AlertRule:
    """A rule; an empty filter holds for all.

    ``cooldown_s`` is how long the rule stays silent about a scope after it fired,
    ``max_age_s`` how long ago an incident may have been seen last to be news.
    """

    id: str
    name: str
    tags: list[str]
    series: list[str]
    kinds: list[str]
    min_severity: str
    cooldown_s: int
    max_age_s: int
    channels: list[str]
    tell_resolved: bool
    enabled: bool
    created_at: datetime
    updated_at: datetime


_COLUMNS = (
    "id, name, tags, series, kinds, min_severity, cooldown_s, max_age_s, channels, "
    "tell_resolved, enabled, created_at, updated_at"
)
_FIELDS = (
    *("name", "tags", "series", "kinds", "min_severity", "cooldown_s", "max_age_s"),
    *("channels", "tell_resolved", "enabled"),
)
_RULE = f"SELECT {_COLUMNS} FROM alert_rules WHERE tenant_id = :tenant_id"  # noqa: S608 - only our own list of columns is spliced in
_FIND = text(f"{_RULE} AND id = :id")
_ENABLED = text(f"{_RULE} AND enabled ORDER BY id")
_PAGE = text(f"""{_RULE} AND (CAST(:before AS text) IS NULL OR id < :before)
ORDER BY id DESC LIMIT :limit""")
_LOCK = text(
    "SELECT pg_advisory_xact_lock(hashtextextended('alert_rules', "
    "CAST(:tenant_id AS bigint)))"
)
_TAKEN = text("""
SELECT EXISTS (SELECT FROM alert_rules
    WHERE tenant_id = :tenant_id AND name = :name AND id <> :id)
""")
_COUNT = text("SELECT count(*) FROM alert_rules WHERE tenant_id = :tenant_id")
_CREATE = text(f"""
INSERT INTO alert_rules ({_COLUMNS}, tenant_id)
VALUES (:id, :name, :tags, :series, :kinds, :min_severity, :cooldown_s, :max_age_s,
    :channels, :tell_resolved, :enabled, :now, :now, :tenant_id)
""")  # noqa: S608 - see above
_CHANGE = text(f"""
UPDATE alert_rules SET {", ".join(f"{one} = :{one}" for one in _FIELDS)},
    updated_at = :now
WHERE tenant_id = :tenant_id AND id = :id
""")  # noqa: S608 - only our own list of columns is spliced in
_DELETE = text("DELETE FROM alert_rules WHERE tenant_id = :tenant_id AND id = :id")
_USING = text("""
SELECT name FROM alert_rules WHERE tenant_id = :tenant_id AND :channel = ANY(channels)
ORDER BY name
""")


def hold(connection: Connection, *, tenant_id: int) -> None:
    """Let nobody else change the tenant's rules, or unplug a channel, until the commit.

    Who looks whether a channel is there for a rule, or whether a rule uses a channel,
    holds them first: else the one comes while the other goes.
    """
    connection.execute(_LOCK, {"tenant_id": tenant_id})


class RuleRefused(Exception):
    """The tenant has as many rules as it may (``full``), or one of this name."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


def create(
    connection: Connection,
    *,
    tenant_id: int,
    fields: Mapping[str, Any],
    most: int,
    now: datetime,
) -> AlertRule:
    """Insert a rule with all of its fields.

    Raises:
        RuleRefused: there are ``most`` already, or one has the name.
    """
    rule_id = new_id("alr")
    _check(connection, tenant_id, rule_id, fields["name"])
    if int(connection.scalar(_COUNT, {"tenant_id": tenant_id}) or 0) >= most:
        raise RuleRefused("full")
    named = {"id": rule_id, "tenant_id": tenant_id, "now": now}
    connection.execute(_CREATE, {**fields, **named})
    return _found(connection, tenant_id, rule_id)


def change(
    connection: Connection,
    *,
    tenant_id: int,
    rule_id: str,
    fields: Mapping[str, Any],
    now: datetime,
) -> AlertRule | None:
    """Set the given fields; None where there is no such rule.

    Raises:
        RuleRefused: another rule has the name.
    """
    hold(connection, tenant_id=tenant_id)
    before = find(connection, tenant_id=tenant_id, rule_id=rule_id)
    if before is None:
        return None
    after = {**{one: getattr(before, one) for one in _FIELDS}, **fields}
    _check(connection, tenant_id, rule_id, after["name"])
    named = {"id": rule_id, "tenant_id": tenant_id, "now": now}
    connection.execute(_CHANGE, {**after, **named})
    return _found(connection, tenant_id, rule_id)


def _check(connection: Connection, tenant_id: int, rule_id: str, name: str) -> None:
    hold(connection, tenant_id=tenant_id)
    given = {"tenant_id": tenant_id, "id": rule_id, "name": name}
    if connection.scalar(_TAKEN, given):
        raise RuleRefused("taken")


def find(connection: Connection, *, tenant_id: int, rule_id: str) -> AlertRule | None:
    """Return a rule, or None."""
    row = connection.execute(_FIND, {"tenant_id": tenant_id, "id": rule_id}).first()
    return None if row is None else AlertRule(**row._mapping)


def _found(connection: Connection, tenant_id: int, rule_id: str) -> AlertRule:
    row = connection.execute(_FIND, {"tenant_id": tenant_id, "id": rule_id}).one()
    return AlertRule(**row._mapping)


def enabled(connection: Connection, *, tenant_id: int) -> list[AlertRule]:
    """Return all rules that may fire, the oldest first."""
    rows = connection.execute(_ENABLED, {"tenant_id": tenant_id})
    return [AlertRule(**row._mapping) for row in rows]


def page(
    connection: Connection, *, tenant_id: int, before: str | None, limit: int
) -> list[AlertRule]:
    """Return up to ``limit`` rules older than the id ``before``, newest first."""
    given = {"tenant_id": tenant_id, "before": before, "limit": limit}
    return [AlertRule(**row._mapping) for row in connection.execute(_PAGE, given)]


def delete(connection: Connection, *, tenant_id: int, rule_id: str) -> bool:
    """Delete a rule; what it told stays. Return whether there was one."""
    given = {"tenant_id": tenant_id, "id": rule_id}
    return bool(connection.execute(_DELETE, given).rowcount)


def using(connection: Connection, *, tenant_id: int, channel_id: str) -> list[str]:
    """Return the names of the rules that tell through a channel."""
    given = {"tenant_id": tenant_id, "channel": channel_id}
    return list(connection.scalars(_USING, given))
