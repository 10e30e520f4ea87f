"""Sources, credentials, the raw archive, the ledger of windows, quarantine, limits."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_TABLES = {
    "credentials": """
        id text CONSTRAINT pk_credentials PRIMARY KEY,
        tenant_id integer NOT NULL
            CONSTRAINT fk_credentials_tenant_id REFERENCES tenants,
        name text NOT NULL,
        fields text[] NOT NULL,
        sealed bytea NOT NULL,
        created_at timestamptz NOT NULL,
        updated_at timestamptz NOT NULL,
        CONSTRAINT uq_credentials_tenant_id_name UNIQUE (tenant_id, name)""",
    "sources": """
        id text CONSTRAINT pk_sources PRIMARY KEY,
        tenant_id integer NOT NULL
            CONSTRAINT fk_sources_tenant_id REFERENCES tenants,
        name text NOT NULL,
        connector text NOT NULL,
        config jsonb NOT NULL,
        credential text,
        options jsonb NOT NULL,
        schedule_id text,
        enabled boolean NOT NULL,
        failures integer NOT NULL DEFAULT 0,
        open_until timestamptz,
        created_at timestamptz NOT NULL,
        updated_at timestamptz NOT NULL,
        CONSTRAINT uq_sources_tenant_id_name UNIQUE (tenant_id, name)""",
    "source_series": """
        source_id text NOT NULL
            CONSTRAINT fk_source_series_source_id REFERENCES sources,
        local_key text NOT NULL,
        tenant_id integer NOT NULL
            CONSTRAINT fk_source_series_tenant_id REFERENCES tenants,
        series_id integer NOT NULL
            CONSTRAINT fk_source_series_series_id REFERENCES series,
        unit text,
        watermark timestamptz,
        loaded_at timestamptz,
        freshness text CONSTRAINT ck_source_series_freshness
            CHECK (freshness IN ('fresh', 'late', 'stale', 'dead')),
        freshness_since timestamptz,
        CONSTRAINT pk_source_series PRIMARY KEY (source_id, local_key)""",
    "source_windows": """
        source_id text NOT NULL
            CONSTRAINT fk_source_windows_source_id REFERENCES sources,
        partition_id text NOT NULL,
        tenant_id integer NOT NULL
            CONSTRAINT fk_source_windows_tenant_id REFERENCES tenants,
        start_at timestamptz,
        end_at timestamptz,
        part jsonb NOT NULL,
        state text NOT NULL CONSTRAINT ck_source_windows_state CHECK (state IN
            ('done', 'empty', 'not_available', 'failed', 'held')),
        reason text,
        detail text,
        run_id text NOT NULL,
        job_id text,
        counts jsonb NOT NULL,
        finished_at timestamptz NOT NULL,
        CONSTRAINT pk_source_windows PRIMARY KEY (source_id, partition_id)""",
    "raw_fetches": """
        id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_raw_fetches PRIMARY KEY,
        tenant_id integer NOT NULL
            CONSTRAINT fk_raw_fetches_tenant_id REFERENCES tenants,
        source_id text NOT NULL
            CONSTRAINT fk_raw_fetches_source_id REFERENCES sources,
        job_id text NOT NULL,
        partition_id text NOT NULL,
        request jsonb NOT NULL,
        fingerprint text NOT NULL,
        status integer NOT NULL,
        headers jsonb NOT NULL,
        whole boolean NOT NULL,
        verdict text NOT NULL,
        sha256 text NOT NULL,
        bytes bigint NOT NULL,
        fetched_at timestamptz NOT NULL""",
    "quarantine": """
        id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_quarantine PRIMARY KEY,
        tenant_id integer NOT NULL
            CONSTRAINT fk_quarantine_tenant_id REFERENCES tenants,
        source_id text NOT NULL
            CONSTRAINT fk_quarantine_source_id REFERENCES sources,
        partition_id text NOT NULL,
        run_id text NOT NULL,
        raw_sha256 text,
        row_no bigint NOT NULL,
        code text NOT NULL,
        detail text NOT NULL,
        row_text text,
        contract_version integer NOT NULL,
        first_seen timestamptz NOT NULL,
        last_seen timestamptz NOT NULL,
        seen integer NOT NULL,
        state text NOT NULL CONSTRAINT ck_quarantine_state
            CHECK (state IN ('held', 'replayed', 'discarded')),
        CONSTRAINT uq_quarantine_source_id_row_hash_code
            UNIQUE (source_id, row_hash, code),
        row_hash text NOT NULL""",
    "rate_limits": """
        scope text CONSTRAINT pk_rate_limits PRIMARY KEY,
        ready_at timestamptz NOT NULL,
        day date NOT NULL,
        used double precision NOT NULL,
        cooldown_until timestamptz""",
}

_CHANGES = """
ALTER TABLE obs_version ADD issued_at timestamptz;
ALTER TABLE series ADD kind text NOT NULL DEFAULT 'observed'
    CONSTRAINT ck_series_kind CHECK (kind IN ('observed', 'forecast'));
ALTER TABLE ingest_runs
    ADD source_id text CONSTRAINT fk_ingest_runs_source_id REFERENCES sources,
    ADD partition_id text,
    ADD state text NOT NULL DEFAULT 'succeeded'
        CONSTRAINT ck_ingest_runs_state CHECK (state IN
            ('succeeded', 'partial', 'failed')),
    ADD detail jsonb;
CREATE INDEX ix_obs_version_series_id_issued_at
    ON obs_version (series_id, issued_at, ts, known_from) WHERE issued_at IS NOT NULL;
CREATE INDEX ix_ingest_runs_source_id_id ON ingest_runs (source_id, id)
    WHERE source_id IS NOT NULL;
CREATE INDEX ix_source_series_series_id ON source_series (series_id);
CREATE INDEX ix_raw_fetches_job_id_partition_id_id
    ON raw_fetches (job_id, partition_id, id);
CREATE INDEX ix_raw_fetches_source_id_partition_id_id
    ON raw_fetches (source_id, partition_id, id);
CREATE INDEX ix_raw_fetches_tenant_id_fetched_at
    ON raw_fetches (tenant_id, fetched_at);
CREATE INDEX ix_quarantine_source_id_id ON quarantine (source_id, id)
"""

_UNDO = """
ALTER TABLE ingest_runs DROP source_id, DROP partition_id, DROP state, DROP detail;
ALTER TABLE series DROP kind;
ALTER TABLE obs_version DROP issued_at
"""

_HIDDEN = ("rate_limits",)


def _protect(table: str) -> None:
    """Give the tenant role its own rows only, and the system role all of them."""
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(
        f"CREATE POLICY system ON {table} TO forebay_system "
        "USING (true) WITH CHECK (true)"
    )
    rights = "SELECT, INSERT, UPDATE, DELETE"
    op.execute(f"GRANT {rights} ON {table} TO forebay_system")
    if table in _HIDDEN:
        return
    mine = (
        "tenant_id = (SELECT nullif(current_setting('forebay.tenant', true), '')::int)"
    )
    op.execute(
        f"CREATE POLICY tenant ON {table} TO forebay_tenant "
        f"USING ({mine}) WITH CHECK ({mine})"
    )
    op.execute(f"GRANT {rights} ON {table} TO forebay_tenant")


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '10s'")
    for table, columns in _TABLES.items():
        op.execute(f"CREATE TABLE {table} ({columns})")
    op.execute(_CHANGES)
    for table in _TABLES:
        _protect(table)
    op.execute("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO forebay_tenant")
    op.execute("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO forebay_system")


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '10s'")
    op.execute(_UNDO)
    for table in reversed(_TABLES):
        op.execute(f"DROP TABLE {table} CASCADE")
