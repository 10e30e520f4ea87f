"""The tables as SQLAlchemy sees them; the migrations are what creates them.

A test compares both, so a column added in one place only is a failure.
"""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, DOUBLE_PRECISION, JSON, JSONB

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_INSTANT = sa.DateTime(timezone=True)


def _tenant() -> sa.Column[int]:
    return sa.Column(
        "tenant_id", sa.Integer, sa.ForeignKey("tenants.id"), nullable=False
    )


tenants = sa.Table(
    "tenants",
    metadata,
    sa.Column("id", sa.Integer, sa.Identity(always=True), primary_key=True),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    sa.Column("created_at", _INSTANT, nullable=False),
)

api_keys = sa.Table(
    "api_keys",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    _tenant(),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("hash", sa.LargeBinary, nullable=False, unique=True),
    sa.Column("created_at", _INSTANT, nullable=False),
    sa.Column("expires_at", _INSTANT),
    sa.Column("revoked_at", _INSTANT),
    sa.Column("last_used_at", _INSTANT),
)

jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    _tenant(),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("queue", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("params", JSON, nullable=False),
    sa.Column("labels", JSONB, nullable=False),
    sa.Column("priority", sa.SmallInteger, nullable=False),
    sa.Column("timeout_s", sa.Integer, nullable=False),
    sa.Column("deadline", _INSTANT),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("max_attempts", sa.Integer, nullable=False),
    sa.Column("retry_of", sa.Text),
    sa.Column("traceparent", sa.Text),
    sa.Column("worker", sa.Text),
    sa.Column("progress", JSONB),
    sa.Column("error", JSON),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("created_at", _INSTANT, nullable=False),
    sa.Column("dispatched_at", _INSTANT),
    sa.Column("started_at", _INSTANT),
    sa.Column("finished_at", _INSTANT),
    sa.Column("lease_until", _INSTANT),
    sa.Column("cancel_requested_at", _INSTANT),
    sa.CheckConstraint(
        "state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')",
        name="state",
    ),
)
sa.Index("ix_jobs_tenant_id_id", jobs.c.tenant_id, jobs.c.id)
sa.Index(
    "ix_jobs_lease_until",
    jobs.c.lease_until,
    postgresql_where=jobs.c.state == "running",
)
sa.Index(
    "ix_jobs_queue_dispatched_at",
    jobs.c.queue,
    jobs.c.dispatched_at,
    postgresql_where=jobs.c.state == "queued",
)

job_results = sa.Table(
    "job_results",
    metadata,
    sa.Column("job_id", sa.Text, sa.ForeignKey("jobs.id"), primary_key=True),
    _tenant(),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("body", JSON, nullable=False),
    sa.Column("created_at", _INSTANT, nullable=False),
)

job_events = sa.Table(
    "job_events",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    _tenant(),
    sa.Column("job_id", sa.Text, sa.ForeignKey("jobs.id"), nullable=False),
    sa.Column("at", _INSTANT, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("body", JSON, nullable=False),
    sa.Index(None, "job_id", "id"),
)

outbox = sa.Table(
    "outbox",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    _tenant(),
    sa.Column("job_id", sa.Text, sa.ForeignKey("jobs.id"), nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("queue", sa.Text, nullable=False),
    sa.Column("priority", sa.SmallInteger, nullable=False),
    sa.Column("traceparent", sa.Text),
    sa.Column("available_at", _INSTANT, nullable=False),
    sa.UniqueConstraint("job_id", "attempt"),
)
sa.Index(
    "ix_outbox_queue_priority_id", outbox.c.queue, outbox.c.priority.desc(), outbox.c.id
)

idempotency_keys = sa.Table(
    "idempotency_keys",
    metadata,
    sa.Column("tenant_id", sa.ForeignKey("tenants.id"), primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("fingerprint", sa.LargeBinary, nullable=False),
    sa.Column("resource_id", sa.Text, nullable=False),
    sa.Column("created_at", _INSTANT, nullable=False),
    sa.Index(None, "created_at"),
)

processes = sa.Table(
    "processes",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("queues", ARRAY(sa.Text), nullable=False),
    sa.Column("detail", JSONB, nullable=False),
    sa.Column("started_at", _INSTANT, nullable=False),
    sa.Column("seen_at", _INSTANT, nullable=False),
)

series = sa.Table(
    "series",
    metadata,
    sa.Column("id", sa.Integer, sa.Identity(always=True), primary_key=True),
    _tenant(),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("unit", sa.Text),
    sa.Column("frequency", sa.Text),
    sa.Column("timezone", sa.Text, nullable=False),
    sa.Column("tags", ARRAY(sa.Text), nullable=False),
    sa.Column("created_at", _INSTANT, nullable=False),
    sa.Column("updated_at", _INSTANT, nullable=False),
    sa.UniqueConstraint("tenant_id", "key"),
    sa.Index(None, "tags", postgresql_using="gin"),
)

# Four-byte tenant and series numbers keep an observation row at 8 bytes of keys;
# no foreign keys here: a check a row would halve the load (see adr/0007).
obs_current = sa.Table(
    "obs_current",
    metadata,
    sa.Column("tenant_id", sa.Integer, nullable=False),
    sa.Column("series_id", sa.Integer, primary_key=True),
    sa.Column("ts", _INSTANT, primary_key=True),
    sa.Column("value", DOUBLE_PRECISION),
    sa.Column("status", sa.Text),
    sa.Column("known_from", _INSTANT, nullable=False),
    sa.Column("run_id", sa.Text, nullable=False),
)

obs_version = sa.Table(
    "obs_version",
    metadata,
    sa.Column("tenant_id", sa.Integer, nullable=False),
    sa.Column("series_id", sa.Integer, primary_key=True),
    sa.Column("ts", _INSTANT, primary_key=True),
    sa.Column("known_from", _INSTANT, primary_key=True),
    sa.Column("ingested_at", _INSTANT, nullable=False),
    sa.Column("value", DOUBLE_PRECISION),
    sa.Column("status", sa.Text),
    sa.Column("basis", sa.Text, nullable=False),
    sa.Column("run_id", sa.Text, nullable=False),
)

uploads = sa.Table(
    "uploads",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    _tenant(),
    sa.Column("filename", sa.Text, nullable=False),
    sa.Column("content_type", sa.Text, nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("sha256", sa.Text, nullable=False),
    sa.Column("created_at", _INSTANT, nullable=False),
)

ingest_runs = sa.Table(
    "ingest_runs",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    _tenant(),
    sa.Column("job_id", sa.Text, sa.ForeignKey("jobs.id")),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("sha256", sa.Text),
    sa.Column("counts", JSONB, nullable=False),
    sa.Column("created_at", _INSTANT, nullable=False),
)

forecasts = sa.Table(
    "forecasts",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    _tenant(),
    sa.Column("job_id", sa.Text, sa.ForeignKey("jobs.id"), nullable=False),
    sa.Column("series_id", sa.Integer, sa.ForeignKey("series.id"), nullable=False),
    sa.Column("cutoff", _INSTANT, nullable=False),
    sa.Column("issued_at", _INSTANT, nullable=False),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("quantiles", ARRAY(DOUBLE_PRECISION), nullable=False),
    sa.Column("evaluation", JSON),
    sa.Column("warnings", JSON, nullable=False),
    sa.UniqueConstraint("job_id", "series_id"),
    sa.Index(None, "series_id", "issued_at"),
)

forecast_points = sa.Table(
    "forecast_points",
    metadata,
    _tenant(),
    sa.Column("forecast_id", sa.Text, sa.ForeignKey("forecasts.id"), primary_key=True),
    sa.Column("ts", _INSTANT, primary_key=True),
    sa.Column("mean", DOUBLE_PRECISION, nullable=False),
    sa.Column("q", ARRAY(DOUBLE_PRECISION), nullable=False),
)

analyses = sa.Table(
    "analyses",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    _tenant(),
    sa.Column("job_id", sa.Text, sa.ForeignKey("jobs.id"), nullable=False),
    sa.Column("series_id", sa.Integer, sa.ForeignKey("series.id"), nullable=False),
    sa.Column("mode", sa.Text, nullable=False),
    sa.Column("start_at", _INSTANT, nullable=False),
    sa.Column("end_at", _INSTANT, nullable=False),
    sa.Column("created_at", _INSTANT, nullable=False),
    sa.UniqueConstraint("job_id", "series_id"),
)

anomalies = sa.Table(
    "anomalies",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    _tenant(),
    sa.Column("analysis_id", sa.Text, sa.ForeignKey("analyses.id"), nullable=False),
    sa.Column("series_id", sa.Integer, sa.ForeignKey("series.id"), nullable=False),
    sa.Column("start_at", _INSTANT, nullable=False),
    sa.Column("end_at", _INSTANT, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("severity", sa.Text, nullable=False),
    sa.Column("score", DOUBLE_PRECISION, nullable=False),
    sa.Column("explanation", sa.Text, nullable=False),
    sa.UniqueConstraint("analysis_id", "start_at", "kind"),
    sa.Index(None, "series_id", "start_at"),
)

schedules = sa.Table(
    "schedules",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    _tenant(),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("cron", sa.Text, nullable=False),
    sa.Column("timezone", sa.Text, nullable=False),
    sa.Column("job_type", sa.Text, nullable=False),
    sa.Column("params", JSON, nullable=False),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("next_fire_at", _INSTANT, nullable=False),
    sa.Column("created_at", _INSTANT, nullable=False),
    sa.UniqueConstraint("tenant_id", "name"),
)

schedule_firings = sa.Table(
    "schedule_firings",
    metadata,
    _tenant(),
    sa.Column("schedule_id", sa.Text, sa.ForeignKey("schedules.id"), primary_key=True),
    sa.Column("fire_at", _INSTANT, primary_key=True),
    sa.Column("job_id", sa.Text, sa.ForeignKey("jobs.id"), nullable=False),
    sa.Column("fired_at", _INSTANT, nullable=False),
)
