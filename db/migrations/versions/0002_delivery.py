"""Fair lines, limits, dependencies, parts, webhooks, schedule policies, audit."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_JOBS = """
ALTER TABLE jobs
    ADD lane text NOT NULL DEFAULT 'normal'
        CONSTRAINT ck_jobs_lane CHECK (lane IN ('normal', 'backfill')),
    ADD retry jsonb NOT NULL DEFAULT '{}',
    ADD forgiven smallint NOT NULL DEFAULT 0,
    ADD concurrency_key text,
    ADD concurrency_limit smallint,
    ADD starts_per_minute integer,
    ADD blocked boolean NOT NULL DEFAULT false,
    ADD parent_id text CONSTRAINT fk_jobs_parent_id REFERENCES jobs,
    ADD step text CONSTRAINT ck_jobs_step CHECK (step IN ('parts', 'part', 'finish')),
    ADD part integer,
    ADD replayed_at timestamptz;
CREATE INDEX ix_jobs_type_finished_at ON jobs (type, finished_at)
    WHERE finished_at IS NOT NULL;
CREATE INDEX ix_jobs_tenant_id_failed ON jobs (tenant_id, id) WHERE state = 'failed';
CREATE INDEX ix_jobs_concurrency_key ON jobs (tenant_id, concurrency_key, dispatched_at)
    WHERE concurrency_key IS NOT NULL;
CREATE INDEX ix_jobs_key_live ON jobs
    (tenant_id, concurrency_key, state, dispatched_at)
    WHERE concurrency_key IS NOT NULL AND state IN ('queued', 'running');
CREATE INDEX ix_jobs_live ON jobs (tenant_id, queue, state)
    WHERE state IN ('queued', 'running');
CREATE INDEX ix_jobs_blocked ON jobs (id) WHERE blocked;
CREATE INDEX ix_jobs_retry_of ON jobs (retry_of) WHERE retry_of IS NOT NULL;
CREATE INDEX ix_jobs_parent_id ON jobs (parent_id, part) WHERE parent_id IS NOT NULL;
CREATE INDEX ix_jobs_parts ON jobs (id) WHERE step = 'parts' AND state = 'running';
"""

_EVENTS = """
ALTER TABLE job_events ADD xid bigint NOT NULL
    DEFAULT pg_current_xact_id()::text::bigint;
CREATE INDEX ix_job_events_tenant_id_xid ON job_events (tenant_id, xid)
"""

_OUTBOX = """
ALTER TABLE outbox
    ADD lane text NOT NULL DEFAULT 'normal',
    ADD concurrency_key text,
    ADD admitted boolean NOT NULL DEFAULT true;
DROP INDEX ix_outbox_queue_priority_id;
CREATE INDEX ix_outbox_line ON outbox (queue, lane, tenant_id, priority DESC, id)
    WHERE admitted;
CREATE INDEX ix_outbox_keyed ON outbox (tenant_id, concurrency_key, priority DESC, id)
    WHERE NOT admitted;
CREATE INDEX ix_outbox_admitted_key ON outbox (tenant_id, concurrency_key)
    WHERE admitted AND concurrency_key IS NOT NULL
"""

_SCHEDULES = """
ALTER TABLE schedules
    ALTER cron DROP NOT NULL,
    ADD every_s integer,
    ADD jobs json,
    ADD catch_up_s integer NOT NULL DEFAULT 3600,
    ADD overlap text NOT NULL DEFAULT 'queue'
        CONSTRAINT ck_schedules_overlap CHECK (overlap IN ('skip', 'queue', 'cancel')),
    ADD fault text,
    ADD updated_at timestamptz NOT NULL DEFAULT now();
UPDATE schedules SET jobs = json_build_array(
    json_build_object('type', job_type, 'params', params));
ALTER TABLE schedules
    ALTER jobs SET NOT NULL, ALTER updated_at DROP DEFAULT,
    DROP job_type, DROP params,
    ADD CONSTRAINT ck_schedules_rule CHECK ((cron IS NULL) <> (every_s IS NULL));
ALTER TABLE schedule_firings
    ALTER job_id DROP NOT NULL,
    ADD outcome text NOT NULL DEFAULT 'fired' CONSTRAINT ck_schedule_firings_outcome
        CHECK (outcome IN ('fired', 'skipped', 'missed')),
    ADD job_ids text[] NOT NULL DEFAULT '{}';
ALTER TABLE schedule_firings ALTER outcome DROP DEFAULT, ALTER job_ids DROP DEFAULT
"""

_TABLES = {
    "job_dependencies": """
        job_id text NOT NULL CONSTRAINT fk_job_dependencies_job_id REFERENCES jobs,
        after_id text NOT NULL CONSTRAINT fk_job_dependencies_after_id REFERENCES jobs,
        tenant_id integer NOT NULL
            CONSTRAINT fk_job_dependencies_tenant_id REFERENCES tenants,
        on_failure text NOT NULL CONSTRAINT ck_job_dependencies_on_failure
            CHECK (on_failure IN ('cancel', 'fail', 'run')),
        CONSTRAINT pk_job_dependencies PRIMARY KEY (job_id, after_id)""",
    "flows": """
        queue text NOT NULL,
        lane text NOT NULL,
        tenant_id integer NOT NULL,
        vtime double precision NOT NULL,
        CONSTRAINT pk_flows PRIMARY KEY (queue, lane, tenant_id)""",
    "tenant_limits": """
        tenant_id integer CONSTRAINT pk_tenant_limits PRIMARY KEY
            CONSTRAINT fk_tenant_limits_tenant_id REFERENCES tenants,
        weight double precision NOT NULL DEFAULT 1
            CONSTRAINT ck_tenant_limits_weight CHECK (weight > 0),
        max_running integer,
        max_queued integer,
        starts_per_minute integer,
        tokens double precision,
        tokens_at timestamptz""",
    "queue_pauses": """
        tenant_id integer NOT NULL
            CONSTRAINT fk_queue_pauses_tenant_id REFERENCES tenants,
        queue text NOT NULL,
        paused_at timestamptz NOT NULL,
        paused_by text NOT NULL,
        CONSTRAINT pk_queue_pauses PRIMARY KEY (tenant_id, queue)""",
    "pace": """
        type text CONSTRAINT pk_pace PRIMARY KEY,
        jobs integer NOT NULL,
        mean_s double precision NOT NULL,
        sd_s double precision NOT NULL,
        unit_s double precision,
        computed_at timestamptz NOT NULL""",
    "webhooks": """
        id text CONSTRAINT pk_webhooks PRIMARY KEY,
        tenant_id integer NOT NULL
            CONSTRAINT fk_webhooks_tenant_id REFERENCES tenants,
        url text NOT NULL,
        events text[] NOT NULL,
        description text NOT NULL,
        enabled boolean NOT NULL,
        disabled_reason text,
        generation integer NOT NULL,
        rotated_at timestamptz,
        created_at timestamptz NOT NULL,
        updated_at timestamptz NOT NULL""",
    "webhook_deliveries": """
        id text CONSTRAINT pk_webhook_deliveries PRIMARY KEY,
        tenant_id integer NOT NULL
            CONSTRAINT fk_webhook_deliveries_tenant_id REFERENCES tenants,
        webhook_id text NOT NULL
            CONSTRAINT fk_webhook_deliveries_webhook_id REFERENCES webhooks
            ON DELETE CASCADE,
        event_id bigint,
        job_id text,
        kind text NOT NULL,
        body json NOT NULL,
        state text NOT NULL CONSTRAINT ck_webhook_deliveries_state
            CHECK (state IN ('pending', 'delivered', 'failed')),
        attempts integer NOT NULL,
        next_attempt_at timestamptz,
        last_status integer,
        last_error text,
        created_at timestamptz NOT NULL,
        ended_at timestamptz,
        CONSTRAINT uq_webhook_deliveries_webhook_id_event_id
            UNIQUE (webhook_id, event_id)""",
    "webhook_attempts": """
        id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_webhook_attempts
            PRIMARY KEY,
        tenant_id integer NOT NULL
            CONSTRAINT fk_webhook_attempts_tenant_id REFERENCES tenants,
        delivery_id text NOT NULL
            CONSTRAINT fk_webhook_attempts_delivery_id REFERENCES webhook_deliveries
            ON DELETE CASCADE,
        at timestamptz NOT NULL,
        status integer,
        error text,
        duration_ms integer NOT NULL""",
    "audit": """
        id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_audit PRIMARY KEY,
        tenant_id integer NOT NULL CONSTRAINT fk_audit_tenant_id REFERENCES tenants,
        at timestamptz NOT NULL,
        key_id text,
        action text NOT NULL,
        target text,
        detail jsonb NOT NULL""",
}

_INDEXES = """
CREATE INDEX ix_job_dependencies_after_id ON job_dependencies (after_id);
CREATE INDEX ix_webhooks_tenant_id ON webhooks (tenant_id);
CREATE INDEX ix_webhook_deliveries_due ON webhook_deliveries
    (webhook_id, next_attempt_at, id) WHERE state = 'pending';
CREATE INDEX ix_webhook_deliveries_webhook_id_id ON webhook_deliveries (webhook_id, id);
CREATE INDEX ix_webhook_deliveries_ended_at ON webhook_deliveries (ended_at)
    WHERE ended_at IS NOT NULL;
CREATE INDEX ix_webhook_attempts_delivery_id ON webhook_attempts (delivery_id);
CREATE INDEX ix_audit_tenant_id_id ON audit (tenant_id, id)
"""

# Numbers that only Forebay's own processes keep; a tenant may read its own limits.
_SYSTEM_ONLY = ("flows", "pace")
_READ_ONLY = ("tenant_limits",)
_APPEND_ONLY = ("audit",)


def _protect(table: str) -> None:
    """Give the tenant role its own rows only, and the system role all of them."""
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(
        f"CREATE POLICY system ON {table} TO forebay_system "
        "USING (true) WITH CHECK (true)"
    )
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO forebay_system")
    if table in _SYSTEM_ONLY:
        return
    mine = (
        "tenant_id = (SELECT nullif(current_setting('forebay.tenant', true), '')::int)"
    )
    op.execute(
        f"CREATE POLICY tenant ON {table} TO forebay_tenant "
        f"USING ({mine}) WITH CHECK ({mine})"
    )
    verbs = "SELECT, INSERT, UPDATE, DELETE"
    if table in _READ_ONLY:
        verbs = "SELECT"
    elif table in _APPEND_ONLY:
        verbs = "SELECT, INSERT"
    op.execute(f"GRANT {verbs} ON {table} TO forebay_tenant")


def _run(statements: str) -> None:
    for statement in filter(None, map(str.strip, statements.split(";"))):
        op.execute(statement)


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '10s'")
    for statements in (_JOBS, _EVENTS, _OUTBOX, _SCHEDULES):
        _run(statements)
    for table, columns in _TABLES.items():
        op.execute(f"CREATE TABLE {table} ({columns})")
    _run(_INDEXES)
    for table in _TABLES:
        _protect(table)
    # How long a type of job takes is no secret, and a job that splits itself asks.
    op.execute("CREATE POLICY tenant ON pace FOR SELECT TO forebay_tenant USING (true)")
    op.execute("GRANT SELECT ON pace TO forebay_tenant")
    op.execute("REVOKE INSERT, UPDATE, DELETE ON api_keys FROM forebay_tenant")
    op.execute("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO forebay_tenant")
    op.execute("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO forebay_system")


_DOWN = """
ALTER TABLE schedule_firings DROP outcome, DROP job_ids;
DELETE FROM schedule_firings WHERE job_id IS NULL;
ALTER TABLE schedule_firings ALTER job_id SET NOT NULL;
DELETE FROM schedule_firings
    WHERE schedule_id IN (SELECT id FROM schedules WHERE cron IS NULL);
DELETE FROM schedules WHERE cron IS NULL;
ALTER TABLE schedules DROP CONSTRAINT ck_schedules_rule, DROP every_s,
    DROP catch_up_s, DROP overlap, DROP fault, DROP updated_at,
    ALTER cron SET NOT NULL, ADD job_type text, ADD params json;
UPDATE schedules SET job_type = jobs -> 0 ->> 'type',
    params = coalesce(jobs -> 0 -> 'params', '{}');
ALTER TABLE schedules DROP jobs, ALTER job_type SET NOT NULL, ALTER params SET NOT NULL;
DROP INDEX ix_outbox_line, ix_outbox_keyed, ix_outbox_admitted_key;
ALTER TABLE outbox DROP lane, DROP concurrency_key, DROP admitted;
CREATE INDEX ix_outbox_queue_priority_id ON outbox (queue, priority DESC, id);
ALTER TABLE job_events DROP xid;
ALTER TABLE jobs DROP lane, DROP retry, DROP forgiven, DROP concurrency_key,
    DROP concurrency_limit, DROP starts_per_minute, DROP blocked, DROP parent_id,
    DROP step, DROP part, DROP replayed_at;
DROP INDEX IF EXISTS ix_jobs_type_finished_at, ix_jobs_tenant_id_failed, ix_jobs_live,
    ix_jobs_key_live, ix_jobs_retry_of
"""


def downgrade() -> None:
    for table in reversed(_TABLES):
        op.execute(f"DROP TABLE {table} CASCADE")
    _run(_DOWN)
    op.execute("GRANT INSERT, UPDATE, DELETE ON api_keys TO forebay_tenant")
