"""The tables of what came of forecasts and of the drift found; see db/tables.py."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import DOUBLE_PRECISION, JSONB

from db.metadata import INSTANT as _INSTANT
from db.metadata import metadata
from db.metadata import tenant as _tenant

sa.Table(
    "forecast_scores",
    metadata,
    sa.Column("forecast_id", sa.Text, sa.ForeignKey("forecasts.id"), primary_key=True),
    _tenant(),
    sa.Column("series_id", sa.Integer, sa.ForeignKey("series.id"), nullable=False),
    sa.Column("forecaster", sa.Text, nullable=False),
    sa.Column("last_at", _INSTANT, nullable=False),
    sa.Column("matched_until", _INSTANT),
    sa.Column("steps", sa.Integer, nullable=False),
    sa.Column("points", sa.Integer, nullable=False),
    sa.Column("mae", DOUBLE_PRECISION),
    sa.Column("scaled", DOUBLE_PRECISION),
    sa.Column("pinball", DOUBLE_PRECISION),
    sa.Column("wql", DOUBLE_PRECISION),
    sa.Column("coverage", DOUBLE_PRECISION),
    sa.Column("nominal_coverage", DOUBLE_PRECISION),
    sa.Column("size", DOUBLE_PRECISION),
    sa.Column("baseline_mae", DOUBLE_PRECISION),
    sa.Column("scored_at", _INSTANT, nullable=False),
    sa.Index(None, "series_id", "matched_until"),
)

_findings = sa.Table(
    "drift_findings",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    _tenant(),
    sa.Column("series_id", sa.Integer, sa.ForeignKey("series.id"), nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("forecaster", sa.Text),
    sa.Column("detail", JSONB, nullable=False),
    sa.Column("opened_by", sa.Text, nullable=False),
    sa.Column("opened_at", _INSTANT, nullable=False),
    sa.Column("updated_at", _INSTANT, nullable=False),
    sa.Column("closed_at", _INSTANT),
    sa.Column("retrain_job_id", sa.Text),
    sa.CheckConstraint("kind IN ('performance', 'input')", name="kind"),
    sa.Index(None, "tenant_id", "id"),
)
sa.Index(
    "uq_drift_findings_open",
    _findings.c.series_id,
    _findings.c.kind,
    unique=True,
    postgresql_where=_findings.c.closed_at.is_(None),
)
