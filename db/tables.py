"""The tables as SQLAlchemy sees them; the migrations are what creates them.

A test compares both, so a column added in one place only is a failure. The tables of
webhooks, schedules and limits are in ``db/tables_delivery.py``, those of trained
versions in ``db/tables_registry.py``, those of drift in ``db/tables_monitoring.py``,
those of sources in ``db/tables_sources.py``, those of incidents in
``db/tables_incidents.py``.
"""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, DOUBLE_PRECISION, JSON, JSONB

from db.metadata import INSTANT as _INSTANT
from db.metadata import metadata
from db.metadata import tenant as _tenant

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
    sa.Column("lane", sa.Text, nullable=False, server_default="normal"),
    sa.Column("retry", JSONB, nullable=False, server_default="{}"),
    sa.Column("forgiven", sa.SmallInteger, nullable=False, server_default="0"),
    sa.Column("concurrency_key", sa.Text),
    sa.Column("concurrency_limit", sa.SmallInteger),
    sa.Column("starts_per_minute", sa.Integer),
    sa.Column("blocked", sa.Boolean, nullable=False, server_default="false"),
    sa.Column("parent_id", sa.Text, sa.ForeignKey("jobs.id")),
    sa.Column("step", sa.Text),
    sa.Column("part", sa.Integer),
    sa.Column("replayed_at", _INSTANT),
    sa.CheckConstraint("lane IN ('normal', 'backfill')", name="lane"),
    sa.CheckConstraint("step IN ('parts', 'part', 'finish')", name="step"),
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
for _name, _columns, _where in (
    ("type_finished_at", "type finished_at", jobs.c.finished_at.is_not(None)),
    ("tenant_id_failed", "tenant_id id", jobs.c.state == "failed"),
    (
        "concurrency_key",
        "tenant_id concurrency_key dispatched_at",
        jobs.c.concurrency_key.is_not(None),
    ),
    (
        "key_live",
        "tenant_id concurrency_key state dispatched_at",
        jobs.c.concurrency_key.is_not(None) & jobs.c.state.in_(["queued", "running"]),
    ),
    ("live", "tenant_id queue state", jobs.c.state.in_(["queued", "running"])),
    ("blocked", "id", jobs.c.blocked),
    ("retry_of", "retry_of", jobs.c.retry_of.is_not(None)),
    ("parent_id", "parent_id part", jobs.c.parent_id.is_not(None)),
    ("parts", "id", (jobs.c.step == "parts") & (jobs.c.state == "running")),
):
    sa.Index(
        f"ix_jobs_{_name}",
        *(jobs.c[one] for one in _columns.split()),
        postgresql_where=_where,
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
    sa.Column("job_id", sa.Text, sa.ForeignKey("jobs.id")),
    sa.Column("at", _INSTANT, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("body", JSON, nullable=False),
    sa.Column(
        "xid",
        sa.BigInteger,
        nullable=False,
        server_default=sa.text("pg_current_xact_id()::text::bigint"),
    ),
    sa.Index(None, "job_id", "id"),
    sa.Index(None, "tenant_id", "xid"),
    sa.Index(
        "ix_job_events_difference",
        "tenant_id",
        "id",
        postgresql_where=sa.text("kind IN ('difference.opened', 'difference.closed')"),
    ),
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
    sa.Column("lane", sa.Text, nullable=False, server_default="normal"),
    sa.Column("concurrency_key", sa.Text),
    sa.Column("admitted", sa.Boolean, nullable=False, server_default="true"),
    sa.UniqueConstraint("job_id", "attempt"),
)
sa.Index(
    "ix_outbox_line",
    outbox.c.queue,
    outbox.c.lane,
    outbox.c.tenant_id,
    outbox.c.priority.desc(),
    outbox.c.id,
    postgresql_where=outbox.c.admitted,
)
sa.Index(
    "ix_outbox_keyed",
    outbox.c.tenant_id,
    outbox.c.concurrency_key,
    outbox.c.priority.desc(),
    outbox.c.id,
    postgresql_where=sa.not_(outbox.c.admitted),
)

sa.Index(
    "ix_outbox_admitted_key",
    outbox.c.tenant_id,
    outbox.c.concurrency_key,
    postgresql_where=outbox.c.admitted & outbox.c.concurrency_key.is_not(None),
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
    sa.Column("kind", sa.Text, nullable=False, server_default="observed"),
    sa.CheckConstraint("kind IN ('observed', 'forecast')", name="kind"),
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
    sa.Column("issued_at", _INSTANT),
)
sa.Index(
    "ix_obs_version_series_id_issued_at",
    *(obs_version.c[one] for one in ("series_id", "issued_at", "ts", "known_from")),
    postgresql_where=obs_version.c.issued_at.is_not(None),
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
    sa.Column("source_id", sa.Text, sa.ForeignKey("sources.id")),
    sa.Column("partition_id", sa.Text),
    sa.Column("state", sa.Text, nullable=False, server_default="succeeded"),
    sa.Column("detail", JSONB),
    sa.CheckConstraint("state IN ('succeeded', 'partial', 'failed')", name="state"),
)
sa.Index(
    "ix_ingest_runs_source_id_id",
    ingest_runs.c.source_id,
    ingest_runs.c.id,
    postgresql_where=ingest_runs.c.source_id.is_not(None),
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
    sa.Column("evidence", JSONB, nullable=False, server_default="{}"),
    sa.UniqueConstraint("analysis_id", "start_at", "kind"),
    sa.Index(None, "series_id", "start_at"),
)
