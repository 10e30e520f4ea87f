"""The tables of lines, limits, webhooks, schedules and the audit; see db/tables.py."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, DOUBLE_PRECISION, JSON, JSONB

from db.metadata import INSTANT as _INSTANT
from db.metadata import metadata
from db.metadata import tenant as _tenant

sa.Table(
    "schedules",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    _tenant(),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("cron", sa.Text),
    sa.Column("every_s", sa.Integer),
    sa.Column("timezone", sa.Text, nullable=False),
    sa.Column("jobs", JSON, nullable=False),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("catch_up_s", sa.Integer, nullable=False, server_default="3600"),
    sa.Column("overlap", sa.Text, nullable=False, server_default="queue"),
    sa.Column("fault", sa.Text),
    sa.Column("next_fire_at", _INSTANT, nullable=False),
    sa.Column("created_at", _INSTANT, nullable=False),
    sa.Column("updated_at", _INSTANT, nullable=False),
    sa.UniqueConstraint("tenant_id", "name"),
    sa.CheckConstraint("overlap IN ('skip', 'queue', 'cancel')", name="overlap"),
    sa.CheckConstraint("(cron IS NULL) <> (every_s IS NULL)", name="rule"),
)

sa.Table(
    "schedule_firings",
    metadata,
    _tenant(),
    sa.Column("schedule_id", sa.Text, sa.ForeignKey("schedules.id"), primary_key=True),
    sa.Column("fire_at", _INSTANT, primary_key=True),
    sa.Column("job_id", sa.Text, sa.ForeignKey("jobs.id")),
    sa.Column("fired_at", _INSTANT, nullable=False),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Column("job_ids", ARRAY(sa.Text), nullable=False),
    sa.CheckConstraint("outcome IN ('fired', 'skipped', 'missed')", name="outcome"),
)

sa.Table(
    "job_dependencies",
    metadata,
    sa.Column("job_id", sa.Text, sa.ForeignKey("jobs.id"), primary_key=True),
    sa.Column("after_id", sa.Text, sa.ForeignKey("jobs.id"), primary_key=True),
    _tenant(),
    sa.Column("on_failure", sa.Text, nullable=False),
    sa.CheckConstraint("on_failure IN ('cancel', 'fail', 'run')", name="on_failure"),
    sa.Index(None, "after_id"),
)

sa.Table(
    "flows",
    metadata,
    sa.Column("queue", sa.Text, primary_key=True),
    sa.Column("lane", sa.Text, primary_key=True),
    sa.Column("tenant_id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("vtime", DOUBLE_PRECISION, nullable=False),
)

sa.Table(
    "tenant_limits",
    metadata,
    sa.Column("tenant_id", sa.ForeignKey("tenants.id"), primary_key=True),
    sa.Column("weight", DOUBLE_PRECISION, nullable=False, server_default="1"),
    sa.Column("max_running", sa.Integer),
    sa.Column("max_queued", sa.Integer),
    sa.Column("starts_per_minute", sa.Integer),
    sa.Column("tokens", DOUBLE_PRECISION),
    sa.Column("tokens_at", _INSTANT),
    sa.CheckConstraint("weight > 0", name="weight"),
)

sa.Table(
    "queue_pauses",
    metadata,
    sa.Column("tenant_id", sa.ForeignKey("tenants.id"), primary_key=True),
    sa.Column("queue", sa.Text, primary_key=True),
    sa.Column("paused_at", _INSTANT, nullable=False),
    sa.Column("paused_by", sa.Text, nullable=False),
)

sa.Table(
    "pace",
    metadata,
    sa.Column("type", sa.Text, primary_key=True),
    sa.Column("jobs", sa.Integer, nullable=False),
    sa.Column("mean_s", DOUBLE_PRECISION, nullable=False),
    sa.Column("sd_s", DOUBLE_PRECISION, nullable=False),
    sa.Column("unit_s", DOUBLE_PRECISION),
    sa.Column("computed_at", _INSTANT, nullable=False),
)

sa.Table(
    "webhooks",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    _tenant(),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("events", ARRAY(sa.Text), nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("disabled_reason", sa.Text),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("rotated_at", _INSTANT),
    sa.Column("created_at", _INSTANT, nullable=False),
    sa.Column("updated_at", _INSTANT, nullable=False),
    sa.Column("channel", sa.Text),
    sa.CheckConstraint("channel IN ('webhook', 'email', 'slack')", name="channel"),
    sa.Index(None, "tenant_id"),
)

_deliveries = sa.Table(
    "webhook_deliveries",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    _tenant(),
    sa.Column(
        "webhook_id",
        sa.Text,
        sa.ForeignKey("webhooks.id", ondelete="CASCADE"),
        nullable=False,
    ),
    sa.Column("event_id", sa.BigInteger),
    sa.Column("job_id", sa.Text),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("body", JSON, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("next_attempt_at", _INSTANT),
    sa.Column("last_status", sa.Integer),
    sa.Column("last_error", sa.Text),
    sa.Column("created_at", _INSTANT, nullable=False),
    sa.Column("ended_at", _INSTANT),
    sa.CheckConstraint("state IN ('pending', 'delivered', 'failed')", name="state"),
    sa.UniqueConstraint("webhook_id", "event_id"),
    sa.Index(None, "webhook_id", "id"),
)
sa.Index(
    "ix_webhook_deliveries_due",
    _deliveries.c.webhook_id,
    _deliveries.c.next_attempt_at,
    _deliveries.c.id,
    postgresql_where=_deliveries.c.state == "pending",
)

sa.Index(
    "ix_webhook_deliveries_ended_at",
    _deliveries.c.ended_at,
    postgresql_where=_deliveries.c.ended_at.is_not(None),
)

sa.Table(
    "webhook_attempts",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    _tenant(),
    sa.Column(
        "delivery_id",
        sa.Text,
        sa.ForeignKey("webhook_deliveries.id", ondelete="CASCADE"),
        nullable=False,
    ),
    sa.Column("at", _INSTANT, nullable=False),
    sa.Column("status", sa.Integer),
    sa.Column("error", sa.Text),
    sa.Column("duration_ms", sa.Integer, nullable=False),
    sa.Index(None, "delivery_id"),
)

sa.Table(
    "audit",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    _tenant(),
    sa.Column("at", _INSTANT, nullable=False),
    sa.Column("key_id", sa.Text),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("target", sa.Text),
    sa.Column("detail", JSONB, nullable=False),
    sa.Index(None, "tenant_id", "id"),
)
