"""What came of stored forecasts, and the drift that was found."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_TABLES = {
    "forecast_scores": """
        forecast_id text CONSTRAINT pk_forecast_scores PRIMARY KEY
            CONSTRAINT fk_forecast_scores_forecast_id REFERENCES forecasts,
        tenant_id integer NOT NULL
            CONSTRAINT fk_forecast_scores_tenant_id REFERENCES tenants,
        series_id integer NOT NULL
            CONSTRAINT fk_forecast_scores_series_id REFERENCES series,
        forecaster text NOT NULL,
        last_at timestamptz NOT NULL,
        matched_until timestamptz,
        steps integer NOT NULL,
        points integer NOT NULL,
        mae double precision,
        scaled double precision,
        pinball double precision,
        wql double precision,
        coverage double precision,
        nominal_coverage double precision,
        size double precision,
        baseline_mae double precision,
        scored_at timestamptz NOT NULL""",
    "drift_findings": """
        id text CONSTRAINT pk_drift_findings PRIMARY KEY,
        tenant_id integer NOT NULL
            CONSTRAINT fk_drift_findings_tenant_id REFERENCES tenants,
        series_id integer NOT NULL
            CONSTRAINT fk_drift_findings_series_id REFERENCES series,
        kind text NOT NULL CONSTRAINT ck_drift_findings_kind
            CHECK (kind IN ('performance', 'input')),
        forecaster text,
        detail jsonb NOT NULL,
        opened_by text NOT NULL,
        opened_at timestamptz NOT NULL,
        updated_at timestamptz NOT NULL,
        closed_at timestamptz,
        retrain_job_id text""",
}

_INDEXES = (
    """CREATE INDEX ix_forecast_scores_series_id_matched_until
        ON forecast_scores (series_id, matched_until)""",
    "CREATE INDEX ix_drift_findings_tenant_id_id ON drift_findings (tenant_id, id)",
    """CREATE UNIQUE INDEX uq_drift_findings_open ON drift_findings (series_id, kind)
        WHERE closed_at IS NULL""",
)


def _protect(table: str) -> None:
    """Give the tenant role its own rows only, and the system role all of them."""
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(
        f"CREATE POLICY system ON {table} TO forebay_system "
        "USING (true) WITH CHECK (true)"
    )
    mine = (
        "tenant_id = (SELECT nullif(current_setting('forebay.tenant', true), '')::int)"
    )
    op.execute(
        f"CREATE POLICY tenant ON {table} TO forebay_tenant "
        f"USING ({mine}) WITH CHECK ({mine})"
    )
    for role in ("forebay_system", "forebay_tenant"):
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO {role}")


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '10s'")
    for table, columns in _TABLES.items():
        op.execute(f"CREATE TABLE {table} ({columns})")
    for index in _INDEXES:
        op.execute(index)
    for table in _TABLES:
        _protect(table)


def downgrade() -> None:
    for table in reversed(_TABLES):
        op.execute(f"DROP TABLE {table} CASCADE")
