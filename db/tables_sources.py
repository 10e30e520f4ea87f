"""The tables of sources and of what was read from them; see db/tables.py."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, DOUBLE_PRECISION, JSONB

from db.metadata import INSTANT as _INSTANT
from db.metadata import metadata
from db.metadata import tenant as _tenant

credentials = sa.Table(
    "credentials",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    _tenant(),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("fields", ARRAY(sa.Text), nullable=False),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    sa.Column("created_at", _INSTANT, nullable=False),
    sa.Column("updated_at", _INSTANT, nullable=False),
    sa.UniqueConstraint("tenant_id", "name"),
)

sources = sa.Table(
    "sources",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    _tenant(),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("connector", sa.Text, nullable=False),
    sa.Column("config", JSONB, nullable=False),
    sa.Column("credential", sa.Text),
    sa.Column("options", JSONB, nullable=False),
    sa.Column("schedule_id", sa.Text),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("failures", sa.Integer, nullable=False, server_default="0"),
    sa.Column("open_until", _INSTANT),
    sa.Column("created_at", _INSTANT, nullable=False),
    sa.Column("updated_at", _INSTANT, nullable=False),
    sa.UniqueConstraint("tenant_id", "name"),
)

source_series = sa.Table(
    "source_series",
    metadata,
    sa.Column("source_id", sa.Text, sa.ForeignKey("sources.id"), primary_key=True),
    sa.Column("local_key", sa.Text, primary_key=True),
    _tenant(),
    sa.Column("series_id", sa.Integer, sa.ForeignKey("series.id"), nullable=False),
    sa.Column("unit", sa.Text),
    sa.Column("watermark", _INSTANT),
    sa.Column("loaded_at", _INSTANT),
    sa.Column("freshness", sa.Text),
    sa.Column("freshness_since", _INSTANT),
    sa.CheckConstraint(
        "freshness IN ('fresh', 'late', 'stale', 'dead')", name="freshness"
    ),
    sa.Index(None, "series_id"),
)

source_windows = sa.Table(
    "source_windows",
    metadata,
    sa.Column("source_id", sa.Text, sa.ForeignKey("sources.id"), primary_key=True),
    sa.Column("partition_id", sa.Text, primary_key=True),
    _tenant(),
    sa.Column("start_at", _INSTANT),
    sa.Column("end_at", _INSTANT),
    sa.Column("part", JSONB, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("detail", sa.Text),
    sa.Column("run_id", sa.Text, nullable=False),
    sa.Column("job_id", sa.Text),
    sa.Column("counts", JSONB, nullable=False),
    sa.Column("finished_at", _INSTANT, nullable=False),
    sa.CheckConstraint(
        "state IN ('done', 'empty', 'not_available', 'failed', 'held')", name="state"
    ),
)

raw_fetches = sa.Table(
    "raw_fetches",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    _tenant(),
    sa.Column("source_id", sa.Text, sa.ForeignKey("sources.id"), nullable=False),
    sa.Column("job_id", sa.Text, nullable=False),
    sa.Column("partition_id", sa.Text, nullable=False),
    sa.Column("request", JSONB, nullable=False),
    sa.Column("fingerprint", sa.Text, nullable=False),
    sa.Column("status", sa.Integer, nullable=False),
    sa.Column("headers", JSONB, nullable=False),
    sa.Column("whole", sa.Boolean, nullable=False),
    sa.Column("verdict", sa.Text, nullable=False),
    sa.Column("sha256", sa.Text, nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("fetched_at", _INSTANT, nullable=False),
    sa.Index(None, "job_id", "partition_id", "id"),
    sa.Index(None, "source_id", "partition_id", "id"),
    sa.Index(None, "tenant_id", "fetched_at"),
)

quarantine = sa.Table(
    "quarantine",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    _tenant(),
    sa.Column("source_id", sa.Text, sa.ForeignKey("sources.id"), nullable=False),
    sa.Column("partition_id", sa.Text, nullable=False),
    sa.Column("run_id", sa.Text, nullable=False),
    sa.Column("raw_sha256", sa.Text),
    sa.Column("row_no", sa.BigInteger, nullable=False),
    sa.Column("code", sa.Text, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Column("row_text", sa.Text),
    sa.Column("contract_version", sa.Integer, nullable=False),
    sa.Column("first_seen", _INSTANT, nullable=False),
    sa.Column("last_seen", _INSTANT, nullable=False),
    sa.Column("seen", sa.Integer, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("row_hash", sa.Text, nullable=False),
    sa.Column("series_key", sa.Text),
    sa.Column("ts", _INSTANT),
    sa.Column("resolved_by", sa.Text),
    sa.CheckConstraint(
        "state IN ('held', 'replayed', 'superseded', 'discarded')", name="state"
    ),
    sa.UniqueConstraint("source_id", "row_hash", "code"),
    sa.Index(None, "source_id", "id"),
    sa.Index(
        "ix_quarantine_held",
        "source_id",
        "ts",
        postgresql_where=sa.text("state = 'held'"),
    ),
)

rate_limits = sa.Table(
    "rate_limits",
    metadata,
    sa.Column("scope", sa.Text, primary_key=True),
    sa.Column("ready_at", _INSTANT, nullable=False),
    sa.Column("day", sa.Date, nullable=False),
    sa.Column("used", DOUBLE_PRECISION, nullable=False),
    sa.Column("cooldown_until", _INSTANT),
)
