"""Tenants, jobs and their outbox, series and observations, results, schedules."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_IDENTITY = {
    "tenants": """
        id integer GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_tenants PRIMARY KEY,
        name text NOT NULL CONSTRAINT uq_tenants_name UNIQUE,
        created_at timestamptz NOT NULL""",
    "api_keys": """
        id text CONSTRAINT pk_api_keys PRIMARY KEY,
        tenant_id integer NOT NULL
            CONSTRAINT fk_api_keys_tenant_id REFERENCES tenants,
        name text NOT NULL,
        role text NOT NULL,
        hash bytea NOT NULL CONSTRAINT uq_api_keys_hash UNIQUE,
        created_at timestamptz NOT NULL,
        expires_at timestamptz,
        revoked_at timestamptz,
        last_used_at timestamptz""",
    "processes": """
        name text CONSTRAINT pk_processes PRIMARY KEY,
        role text NOT NULL,
        queues text[] NOT NULL,
        detail jsonb NOT NULL,
        started_at timestamptz NOT NULL,
        seen_at timestamptz NOT NULL""",
}

_JOBS = {
    "jobs": """
        id text CONSTRAINT pk_jobs PRIMARY KEY,
        tenant_id integer NOT NULL CONSTRAINT fk_jobs_tenant_id REFERENCES tenants,
        type text NOT NULL,
        queue text NOT NULL,
        state text NOT NULL CONSTRAINT ck_jobs_state CHECK (state IN
            ('queued', 'running', 'succeeded', 'failed', 'cancelled')),
        reason text,
        params json NOT NULL,
        labels jsonb NOT NULL,
        priority smallint NOT NULL,
        timeout_s integer NOT NULL,
        deadline timestamptz,
        attempt integer NOT NULL,
        max_attempts integer NOT NULL,
        retry_of text,
        traceparent text,
        worker text,
        progress jsonb,
        error json,
        version bigint NOT NULL,
        created_at timestamptz NOT NULL,
        dispatched_at timestamptz,
        started_at timestamptz,
        finished_at timestamptz,
        lease_until timestamptz,
        cancel_requested_at timestamptz""",
    "job_results": """
        job_id text CONSTRAINT pk_job_results PRIMARY KEY
            CONSTRAINT fk_job_results_job_id REFERENCES jobs,
        tenant_id integer NOT NULL
            CONSTRAINT fk_job_results_tenant_id REFERENCES tenants,
        attempt integer NOT NULL,
        body json NOT NULL,
        created_at timestamptz NOT NULL""",
    "job_events": """
        id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_job_events PRIMARY KEY,
        tenant_id integer NOT NULL
            CONSTRAINT fk_job_events_tenant_id REFERENCES tenants,
        job_id text NOT NULL CONSTRAINT fk_job_events_job_id REFERENCES jobs,
        at timestamptz NOT NULL,
        kind text NOT NULL,
        body json NOT NULL""",
    "outbox": """
        id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_outbox PRIMARY KEY,
        tenant_id integer NOT NULL CONSTRAINT fk_outbox_tenant_id REFERENCES tenants,
        job_id text NOT NULL CONSTRAINT fk_outbox_job_id REFERENCES jobs,
        attempt integer NOT NULL,
        type text NOT NULL,
        queue text NOT NULL,
        priority smallint NOT NULL,
        traceparent text,
        available_at timestamptz NOT NULL,
        CONSTRAINT uq_outbox_job_id_attempt UNIQUE (job_id, attempt)""",
    "idempotency_keys": """
        tenant_id integer NOT NULL
            CONSTRAINT fk_idempotency_keys_tenant_id REFERENCES tenants,
        key text NOT NULL,
        fingerprint bytea NOT NULL,
        resource_id text NOT NULL,
        created_at timestamptz NOT NULL,
        CONSTRAINT pk_idempotency_keys PRIMARY KEY (tenant_id, key)""",
}

_OBSERVATIONS = {
    "series": """
        id integer GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_series PRIMARY KEY,
        tenant_id integer NOT NULL CONSTRAINT fk_series_tenant_id REFERENCES tenants,
        key text NOT NULL,
        title text NOT NULL,
        unit text,
        frequency text,
        timezone text NOT NULL,
        tags text[] NOT NULL,
        created_at timestamptz NOT NULL,
        updated_at timestamptz NOT NULL,
        CONSTRAINT uq_series_tenant_id_key UNIQUE (tenant_id, key)""",
    "obs_current": """
        tenant_id integer NOT NULL,
        series_id integer NOT NULL,
        ts timestamptz NOT NULL,
        value double precision,
        status text,
        known_from timestamptz NOT NULL,
        run_id text NOT NULL,
        CONSTRAINT pk_obs_current PRIMARY KEY (series_id, ts)""",
    "obs_version": """
        tenant_id integer NOT NULL,
        series_id integer NOT NULL,
        ts timestamptz NOT NULL,
        known_from timestamptz NOT NULL,
        ingested_at timestamptz NOT NULL,
        value double precision,
        status text,
        basis text NOT NULL,
        run_id text NOT NULL,
        CONSTRAINT pk_obs_version PRIMARY KEY (series_id, ts, known_from)""",
    "uploads": """
        id text CONSTRAINT pk_uploads PRIMARY KEY,
        tenant_id integer NOT NULL CONSTRAINT fk_uploads_tenant_id REFERENCES tenants,
        filename text NOT NULL,
        content_type text NOT NULL,
        bytes bigint NOT NULL,
        sha256 text NOT NULL,
        created_at timestamptz NOT NULL""",
    "ingest_runs": """
        id text CONSTRAINT pk_ingest_runs PRIMARY KEY,
        tenant_id integer NOT NULL
            CONSTRAINT fk_ingest_runs_tenant_id REFERENCES tenants,
        job_id text CONSTRAINT fk_ingest_runs_job_id REFERENCES jobs,
        source text NOT NULL,
        sha256 text,
        counts jsonb NOT NULL,
        created_at timestamptz NOT NULL""",
}

_RESULTS = {
    "forecasts": """
        id text CONSTRAINT pk_forecasts PRIMARY KEY,
        tenant_id integer NOT NULL
            CONSTRAINT fk_forecasts_tenant_id REFERENCES tenants,
        job_id text NOT NULL CONSTRAINT fk_forecasts_job_id REFERENCES jobs,
        series_id integer NOT NULL CONSTRAINT fk_forecasts_series_id REFERENCES series,
        cutoff timestamptz NOT NULL,
        issued_at timestamptz NOT NULL,
        model text NOT NULL,
        quantiles double precision[] NOT NULL,
        evaluation json,
        warnings json NOT NULL,
        CONSTRAINT uq_forecasts_job_id_series_id UNIQUE (job_id, series_id)""",
    "forecast_points": """
        tenant_id integer NOT NULL
            CONSTRAINT fk_forecast_points_tenant_id REFERENCES tenants,
        forecast_id text NOT NULL
            CONSTRAINT fk_forecast_points_forecast_id REFERENCES forecasts,
        ts timestamptz NOT NULL,
        mean double precision NOT NULL,
        q double precision[] NOT NULL,
        CONSTRAINT pk_forecast_points PRIMARY KEY (forecast_id, ts)""",
    "analyses": """
        id text CONSTRAINT pk_analyses PRIMARY KEY,
        tenant_id integer NOT NULL CONSTRAINT fk_analyses_tenant_id REFERENCES tenants,
        job_id text NOT NULL CONSTRAINT fk_analyses_job_id REFERENCES jobs,
        series_id integer NOT NULL CONSTRAINT fk_analyses_series_id REFERENCES series,
        mode text NOT NULL,
        start_at timestamptz NOT NULL,
        end_at timestamptz NOT NULL,
        created_at timestamptz NOT NULL,
        CONSTRAINT uq_analyses_job_id_series_id UNIQUE (job_id, series_id)""",
    "anomalies": """
        id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_anomalies PRIMARY KEY,
        tenant_id integer NOT NULL
            CONSTRAINT fk_anomalies_tenant_id REFERENCES tenants,
        analysis_id text NOT NULL
            CONSTRAINT fk_anomalies_analysis_id REFERENCES analyses,
        series_id integer NOT NULL CONSTRAINT fk_anomalies_series_id REFERENCES series,
        start_at timestamptz NOT NULL,
        end_at timestamptz NOT NULL,
        kind text NOT NULL,
        severity text NOT NULL,
        score double precision NOT NULL,
        explanation text NOT NULL,
        CONSTRAINT uq_anomalies_analysis_id_start_at_kind
            UNIQUE (analysis_id, start_at, kind)""",
    "schedules": """
        id text CONSTRAINT pk_schedules PRIMARY KEY,
        tenant_id integer NOT NULL
            CONSTRAINT fk_schedules_tenant_id REFERENCES tenants,
        name text NOT NULL,
        cron text NOT NULL,
        timezone text NOT NULL,
        job_type text NOT NULL,
        params json NOT NULL,
        enabled boolean NOT NULL,
        next_fire_at timestamptz NOT NULL,
        created_at timestamptz NOT NULL,
        CONSTRAINT uq_schedules_tenant_id_name UNIQUE (tenant_id, name)""",
    "schedule_firings": """
        tenant_id integer NOT NULL
            CONSTRAINT fk_schedule_firings_tenant_id REFERENCES tenants,
        schedule_id text NOT NULL
            CONSTRAINT fk_schedule_firings_schedule_id REFERENCES schedules,
        fire_at timestamptz NOT NULL,
        job_id text NOT NULL CONSTRAINT fk_schedule_firings_job_id REFERENCES jobs,
        fired_at timestamptz NOT NULL,
        CONSTRAINT pk_schedule_firings PRIMARY KEY (schedule_id, fire_at)""",
}

_TABLES = {**_IDENTITY, **_JOBS, **_OBSERVATIONS, **_RESULTS}

_INDEXES = """
CREATE INDEX ix_jobs_tenant_id_id ON jobs (tenant_id, id);
CREATE INDEX ix_jobs_lease_until ON jobs (lease_until) WHERE state = 'running';
CREATE INDEX ix_jobs_queue_dispatched_at ON jobs (queue, dispatched_at)
    WHERE state = 'queued';
CREATE INDEX ix_job_events_job_id_id ON job_events (job_id, id);
CREATE INDEX ix_outbox_queue_priority_id ON outbox (queue, priority DESC, id);
CREATE INDEX ix_idempotency_keys_created_at ON idempotency_keys (created_at);
CREATE INDEX ix_series_tags ON series USING gin (tags);
CREATE INDEX ix_forecasts_series_id_issued_at ON forecasts (series_id, issued_at);
CREATE INDEX ix_anomalies_series_id_start_at ON anomalies (series_id, start_at);
"""

# Roles belong to the whole server, so another database's migration may have made
# them already, perhaps in this very moment.
_ROLES = """
DO $$ DECLARE r text; BEGIN
    FOREACH r IN ARRAY ARRAY['forebay_tenant', 'forebay_system'] LOOP
        BEGIN
            EXECUTE format('CREATE ROLE %I NOLOGIN', r);
        EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
        END;
        BEGIN
            EXECUTE format('GRANT %I TO %I', r, current_user);
        EXCEPTION WHEN OTHERS THEN
            IF NOT pg_has_role(current_user, r, 'MEMBER') THEN RAISE; END IF;
        END;
        EXECUTE format('GRANT USAGE ON SCHEMA public TO %I', r);
    END LOOP;
END $$
"""

# The chunks are a month wide: an hourly panel of 10,000 series is 7 million rows.
_HYPERTABLES = """
DO $$ DECLARE t text; BEGIN
    IF EXISTS (SELECT FROM pg_available_extensions WHERE name = 'timescaledb') THEN
        CREATE EXTENSION IF NOT EXISTS timescaledb;
        FOREACH t IN ARRAY ARRAY['obs_current', 'obs_version'] LOOP
            PERFORM create_hypertable(t::regclass, 'ts',
                chunk_time_interval => interval '30 days',
                create_default_indexes => false);
            EXECUTE format('COMMENT ON TABLE %I IS %L', t, 'hypertable');
        END LOOP;
        RAISE NOTICE 'observations: TimescaleDB hypertables';
    ELSE
        COMMENT ON TABLE obs_current IS 'plain table';
        COMMENT ON TABLE obs_version IS 'plain table';
        RAISE NOTICE 'observations: plain tables, TimescaleDB is not available';
    END IF;
END $$
"""


def _protect(table: str) -> None:
    """Give the tenant role its own rows only, and the system role all of them."""
    column = "id" if table == "tenants" else "tenant_id"
    mine = (
        f"{column} = (SELECT nullif(current_setting('forebay.tenant', true), '')::int)"
    )
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(
        f"CREATE POLICY system ON {table} TO forebay_system "
        "USING (true) WITH CHECK (true)"
    )
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO forebay_system")
    if table == "processes":
        return
    op.execute(
        f"CREATE POLICY tenant ON {table} TO forebay_tenant "
        f"USING ({mine}) WITH CHECK ({mine})"
    )
    verbs = "SELECT" if table == "tenants" else "SELECT, INSERT, UPDATE, DELETE"
    op.execute(f"GRANT {verbs} ON {table} TO forebay_tenant")


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '10s'")
    op.execute(_ROLES)
    for table, columns in _TABLES.items():
        op.execute(f"CREATE TABLE {table} ({columns})")
    for statement in filter(None, map(str.strip, _INDEXES.split(";"))):
        op.execute(statement)
    op.execute(_HYPERTABLES)
    for table in _TABLES:
        _protect(table)
    op.execute("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO forebay_tenant")
    op.execute("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO forebay_system")
    op.execute("GRANT SELECT ON alembic_version TO forebay_system")


def downgrade() -> None:
    for table in reversed(_TABLES):
        op.execute(f"DROP TABLE {table} CASCADE")
