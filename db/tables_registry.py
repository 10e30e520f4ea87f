"""The tables of trained versions and of who was champion when; see db/tables.py."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, DOUBLE_PRECISION, JSON, JSONB

from db.metadata import INSTANT as _INSTANT
from db.metadata import metadata
from db.metadata import tenant as _tenant

sa.Table(
    "registry_entries",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    _tenant(),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("latest", sa.Integer, nullable=False),
    sa.Column("created_at", _INSTANT, nullable=False),
    sa.Column("updated_at", _INSTANT, nullable=False),
    sa.UniqueConstraint("tenant_id", "name"),
)

_versions = sa.Table(
    "registry_versions",
    metadata,
    sa.Column(
        "entry_id", sa.Text, sa.ForeignKey("registry_entries.id"), primary_key=True
    ),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    _tenant(),
    sa.Column("stage", sa.Text, nullable=False),
    sa.Column("created_at", _INSTANT, nullable=False),
    sa.Column("job_id", sa.Text),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("members", ARRAY(sa.Text), nullable=False),
    sa.Column("window_start", _INSTANT, nullable=False),
    sa.Column("window_end", _INSTANT, nullable=False),
    sa.Column("series_count", sa.Integer, nullable=False),
    sa.Column("horizon", sa.Integer, nullable=False),
    sa.Column("frequency", sa.Text, nullable=False),
    sa.Column("quantiles", ARRAY(DOUBLE_PRECISION), nullable=False),
    sa.Column("code_revision", sa.Text, nullable=False),
    sa.Column("seed", sa.BigInteger, nullable=False),
    sa.Column("libraries", JSONB, nullable=False),
    sa.Column("metrics", JSONB, nullable=False),
    sa.Column("evaluation", JSONB, nullable=False),
    sa.Column("compared", JSONB),
    sa.Column("params", JSON, nullable=False),
    sa.Column("artifact_sha256", sa.Text, nullable=False),
    sa.Column("artifact_bytes", sa.BigInteger, nullable=False),
    sa.Column("artifact_store", sa.Text, nullable=False),
    sa.CheckConstraint("stage IN ('champion', 'challenger', 'archived')", name="stage"),
)
sa.Index(
    "uq_registry_versions_champion",
    _versions.c.entry_id,
    unique=True,
    postgresql_where=_versions.c.stage == "champion",
)

sa.Table(
    "registry_moves",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    _tenant(),
    sa.Column("entry_id", sa.Text, nullable=False),
    sa.Column("act", sa.Text, nullable=False),
    sa.Column("done", sa.Boolean, nullable=False),
    sa.Column("forced", sa.Boolean, nullable=False),
    sa.Column("from_version", sa.Integer),
    sa.Column("to_version", sa.Integer, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("verdict", JSONB),
    sa.Column("job_id", sa.Text),
    sa.Column("key_id", sa.Text),
    sa.Column("at", _INSTANT, nullable=False),
    sa.CheckConstraint("act IN ('promote', 'rollback')", name="act"),
    sa.ForeignKeyConstraint(
        ["entry_id", "to_version"],
        ["registry_versions.entry_id", "registry_versions.number"],
    ),
    sa.Index(None, "entry_id", "id"),
)
