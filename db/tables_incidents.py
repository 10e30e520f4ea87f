"""The tables of incidents, who is told, what is advised and learned; see tables.py."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, DOUBLE_PRECISION, JSON, JSONB

from db.metadata import INSTANT as _INSTANT
from db.metadata import metadata
from db.metadata import tenant as _tenant

_SEVERITIES = "('low', 'medium', 'high', 'critical')"

incidents = sa.Table(
    "incidents",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    _tenant(),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("severity", sa.Text, nullable=False),
    sa.Column("headline", sa.Text, nullable=False),
    sa.Column("dedup_key", sa.Text, nullable=False),
    sa.Column("scope", sa.Text, nullable=False),
    sa.Column("tags", ARRAY(sa.Text), nullable=False),
    sa.Column("kinds", ARRAY(sa.Text), nullable=False),
    sa.Column("anomalies", sa.Integer, nullable=False),
    sa.Column("reopened", sa.Integer, nullable=False),
    sa.Column("grouping", JSONB, nullable=False),
    sa.Column("start_at", _INSTANT, nullable=False),
    sa.Column("last_seen_at", _INSTANT, nullable=False),
    sa.Column("opened_at", _INSTANT, nullable=False),
    sa.Column("updated_at", _INSTANT, nullable=False),
    sa.Column("acknowledged_at", _INSTANT),
    sa.Column("acknowledged_by", sa.Text),
    sa.Column("closed_at", _INSTANT),
    sa.Column("merged_into", sa.Text),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.CheckConstraint("state IN ('open', 'acknowledged', 'resolved')", name="state"),
    sa.CheckConstraint(f"severity IN {_SEVERITIES}", name="severity"),
    sa.UniqueConstraint("tenant_id", "dedup_key"),
    sa.Index(None, "tenant_id", "id"),
    sa.Index(None, "tenant_id", "last_seen_at"),
)
sa.Index(
    "ix_incidents_open",
    incidents.c.tenant_id,
    postgresql_where=incidents.c.state != "resolved",
)


def _incident(*, key: bool = False) -> sa.Column[str]:
    return sa.Column(
        "incident_id",
        sa.Text,
        sa.ForeignKey("incidents.id"),
        primary_key=key,
        nullable=False,
    )


def _series(*, key: bool = False) -> sa.Column[int]:
    return sa.Column(
        "series_id",
        sa.Integer,
        sa.ForeignKey("series.id"),
        primary_key=key,
        nullable=False,
        autoincrement=False,
    )


sa.Table(
    "incident_series",
    metadata,
    _incident(key=True),
    _series(key=True),
    _tenant(),
    sa.Column("start_at", _INSTANT, nullable=False),
    sa.Column("last_seen_at", _INSTANT, nullable=False),
    sa.Column("seen_until", _INSTANT, nullable=False),
    sa.Index(None, "series_id"),
)

sa.Table(
    "incident_anomalies",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    _tenant(),
    _incident(),
    _series(),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("severity", sa.Text, nullable=False),
    sa.Column("score", DOUBLE_PRECISION, nullable=False),
    sa.Column("start_at", _INSTANT, nullable=False),
    sa.Column("end_at", _INSTANT, nullable=False),
    sa.Column("explanation", sa.Text, nullable=False),
    sa.Column("evidence", JSONB, nullable=False),
    sa.Column("dedup_key", sa.Text, nullable=False),
    sa.Column("joined_at", _INSTANT, nullable=False),
    sa.CheckConstraint(f"severity IN {_SEVERITIES}", name="severity"),
    sa.UniqueConstraint("tenant_id", "dedup_key"),
    sa.Index(None, "incident_id", "id"),
    sa.Index(None, "series_id", "kind", "start_at"),
)

sa.Table(
    "incident_events",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    _tenant(),
    _incident(),
    sa.Column("at", _INSTANT, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("key_id", sa.Text),
    sa.Column("body", JSON, nullable=False),
    sa.Index(None, "incident_id", "id"),
)

sa.Table(
    "channels",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    _tenant(),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("config", JSONB, nullable=False),
    sa.Column("credential", sa.Text),
    sa.Column("webhook_id", sa.Text, sa.ForeignKey("webhooks.id"), nullable=False),
    sa.Column("created_at", _INSTANT, nullable=False),
    sa.Column("updated_at", _INSTANT, nullable=False),
    sa.CheckConstraint("kind IN ('webhook', 'email', 'slack')", name="kind"),
    sa.UniqueConstraint("tenant_id", "name"),
    sa.UniqueConstraint("webhook_id"),
)

sa.Table(
    "alert_rules",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    _tenant(),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("tags", ARRAY(sa.Text), nullable=False),
    sa.Column("series", ARRAY(sa.Text), nullable=False),
    sa.Column("kinds", ARRAY(sa.Text), nullable=False),
    sa.Column("min_severity", sa.Text, nullable=False),
    sa.Column("cooldown_s", sa.Integer, nullable=False),
    sa.Column("max_age_s", sa.Integer, nullable=False),
    sa.Column("channels", ARRAY(sa.Text), nullable=False),
    sa.Column("tell_resolved", sa.Boolean, nullable=False),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("created_at", _INSTANT, nullable=False),
    sa.Column("updated_at", _INSTANT, nullable=False),
    sa.CheckConstraint(f"min_severity IN {_SEVERITIES}", name="min_severity"),
    sa.UniqueConstraint("tenant_id", "name"),
)

sa.Table(
    "notifications",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    _tenant(),
    sa.Column("rule_id", sa.Text),
    sa.Column("rule", sa.Text, nullable=False),
    sa.Column("incident_id", sa.Text, sa.ForeignKey("incidents.id")),
    sa.Column("channel_id", sa.Text),
    sa.Column("occasion", sa.Text, nullable=False),
    sa.Column("severity", sa.Text),
    sa.Column("scope", sa.Text, nullable=False),
    sa.Column(
        "delivery_id",
        sa.Text,
        sa.ForeignKey("webhook_deliveries.id", ondelete="SET NULL"),
    ),
    sa.Column("created_at", _INSTANT, nullable=False),
    sa.CheckConstraint(
        "occasion IN ('opened', 'worse', 'resolved', 'held', 'test')", name="occasion"
    ),
    sa.Index(None, "tenant_id", "id"),
    sa.Index(None, "incident_id"),
    sa.Index(None, "rule_id", "scope", "id"),
    sa.Index(None, "delivery_id"),
)

sa.Table(
    "recommendation_templates",
    metadata,
    sa.Column("tenant_id", sa.Integer, sa.ForeignKey("tenants.id"), primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("tag", sa.Text),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("key_id", sa.Text),
    sa.Column("created_at", _INSTANT, nullable=False),
)

sa.Table(
    "recommendations",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    _tenant(),
    _incident(),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("template", sa.Text, nullable=False),
    sa.Column("template_version", sa.Integer, nullable=False),
    sa.Column("rank", sa.Integer, nullable=False),
    sa.Column("score", DOUBLE_PRECISION, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("evidence", JSONB, nullable=False),
    sa.Column("given_at", _INSTANT, nullable=False),
    sa.Column("applied_at", _INSTANT),
    sa.Column("applied_by", sa.Text),
    sa.Column("outcome", sa.Text),
    sa.Column("outcome_at", _INSTANT),
    sa.Column("outcome_by", sa.Text),
    sa.Column("note", sa.Text),
    sa.CheckConstraint(
        "outcome IN ('helped', 'did_not_help', 'unknown')", name="outcome"
    ),
    sa.UniqueConstraint("incident_id", "template"),
    sa.Index(None, "tenant_id", "id"),
    sa.Index(None, "tenant_id", "template", "outcome"),
)

sa.Table(
    "feedback",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    _tenant(),
    _series(),
    sa.Column("start_at", _INSTANT, nullable=False),
    sa.Column("end_at", _INSTANT, nullable=False),
    sa.Column("label", sa.Text, nullable=False),
    sa.Column("kind", sa.Text),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("key_id", sa.Text),
    sa.Column("created_at", _INSTANT, nullable=False),
    sa.Column("revoked_at", _INSTANT),
    sa.Column("revoked_by", sa.Text),
    sa.CheckConstraint("label IN ('true', 'false', 'expected')", name="label"),
    sa.CheckConstraint("start_at < end_at", name="span"),
    sa.Index(None, "tenant_id", "id"),
    sa.Index(None, "series_id", "start_at"),
)

sa.Table(
    "stream_states",
    metadata,
    _series(key=True),
    sa.Column("name", sa.Text, primary_key=True),
    _tenant(),
    sa.Column("format", sa.Integer, nullable=False),
    sa.Column("settings", JSONB, nullable=False),
    sa.Column("packed", sa.LargeBinary, nullable=False),
    sa.Column("points", sa.BigInteger, nullable=False),
    sa.Column("upto", _INSTANT, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("updated_at", _INSTANT, nullable=False),
)
