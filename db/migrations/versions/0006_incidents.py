"""Incidents, channels and alert rules, advice, feedback, states of streams."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_SEVERITIES = "('low', 'medium', 'high', 'critical')"


def _owned(table: str) -> str:
    return f"""tenant_id integer NOT NULL
            CONSTRAINT fk_{table}_tenant_id REFERENCES tenants"""


def _of_series(table: str) -> str:
    return f"""series_id integer NOT NULL
            CONSTRAINT fk_{table}_series_id REFERENCES series"""


def _of_incident(table: str) -> str:
    return f"""incident_id text NOT NULL
            CONSTRAINT fk_{table}_incident_id REFERENCES incidents"""


_TABLES = {
    "incidents": f"""
        id text CONSTRAINT pk_incidents PRIMARY KEY,
        {_owned("incidents")},
        state text NOT NULL CONSTRAINT ck_incidents_state
            CHECK (state IN ('open', 'acknowledged', 'resolved')),
        reason text,
        severity text NOT NULL CONSTRAINT ck_incidents_severity
            CHECK (severity IN {_SEVERITIES}),
        headline text NOT NULL,
        dedup_key text NOT NULL,
        scope text NOT NULL,
        tags text[] NOT NULL,
        kinds text[] NOT NULL,
        anomalies integer NOT NULL,
        reopened integer NOT NULL,
        "grouping" jsonb NOT NULL,
        start_at timestamptz NOT NULL,
        last_seen_at timestamptz NOT NULL,
        opened_at timestamptz NOT NULL,
        updated_at timestamptz NOT NULL,
        acknowledged_at timestamptz,
        acknowledged_by text,
        closed_at timestamptz,
        merged_into text,
        version bigint NOT NULL,
        CONSTRAINT uq_incidents_tenant_id_dedup_key UNIQUE (tenant_id, dedup_key)""",
    "incident_series": f"""
        {_of_incident("incident_series")},
        {_of_series("incident_series")},
        {_owned("incident_series")},
        start_at timestamptz NOT NULL,
        last_seen_at timestamptz NOT NULL,
        seen_until timestamptz NOT NULL,
        CONSTRAINT pk_incident_series PRIMARY KEY (incident_id, series_id)""",
    "incident_anomalies": f"""
        id bigint GENERATED ALWAYS AS IDENTITY
            CONSTRAINT pk_incident_anomalies PRIMARY KEY,
        {_owned("incident_anomalies")},
        {_of_incident("incident_anomalies")},
        {_of_series("incident_anomalies")},
        kind text NOT NULL,
        severity text NOT NULL CONSTRAINT ck_incident_anomalies_severity
            CHECK (severity IN {_SEVERITIES}),
        score double precision NOT NULL,
        start_at timestamptz NOT NULL,
        end_at timestamptz NOT NULL,
        explanation text NOT NULL,
        evidence jsonb NOT NULL,
        dedup_key text NOT NULL,
        joined_at timestamptz NOT NULL,
        CONSTRAINT uq_incident_anomalies_tenant_id_dedup_key
            UNIQUE (tenant_id, dedup_key)""",
    "incident_events": f"""
        id bigint GENERATED ALWAYS AS IDENTITY
            CONSTRAINT pk_incident_events PRIMARY KEY,
        {_owned("incident_events")},
        {_of_incident("incident_events")},
        at timestamptz NOT NULL,
        kind text NOT NULL,
        key_id text,
        body json NOT NULL""",
    "channels": f"""
        id text CONSTRAINT pk_channels PRIMARY KEY,
        {_owned("channels")},
        name text NOT NULL,
        kind text NOT NULL CONSTRAINT ck_channels_kind
            CHECK (kind IN ('webhook', 'email', 'slack')),
        config jsonb NOT NULL,
        credential text,
        webhook_id text NOT NULL
            CONSTRAINT fk_channels_webhook_id REFERENCES webhooks
            CONSTRAINT uq_channels_webhook_id UNIQUE,
        created_at timestamptz NOT NULL,
        updated_at timestamptz NOT NULL,
        CONSTRAINT uq_channels_tenant_id_name UNIQUE (tenant_id, name)""",
    "alert_rules": f"""
        id text CONSTRAINT pk_alert_rules PRIMARY KEY,
        {_owned("alert_rules")},
        name text NOT NULL,
        tags text[] NOT NULL,
        series text[] NOT NULL,
        kinds text[] NOT NULL,
        min_severity text NOT NULL CONSTRAINT ck_alert_rules_min_severity
            CHECK (min_severity IN {_SEVERITIES}),
        cooldown_s integer NOT NULL,
        max_age_s integer NOT NULL,
        channels text[] NOT NULL,
        tell_resolved boolean NOT NULL,
        enabled boolean NOT NULL,
        created_at timestamptz NOT NULL,
        updated_at timestamptz NOT NULL,
        CONSTRAINT uq_alert_rules_tenant_id_name UNIQUE (tenant_id, name)""",
    "notifications": f"""
        id text CONSTRAINT pk_notifications PRIMARY KEY,
        {_owned("notifications")},
        rule_id text,
        rule text NOT NULL,
        incident_id text
            CONSTRAINT fk_notifications_incident_id REFERENCES incidents,
        channel_id text,
        occasion text NOT NULL CONSTRAINT ck_notifications_occasion CHECK
            (occasion IN ('opened', 'worse', 'resolved', 'held', 'test')),
        severity text,
        scope text NOT NULL,
        delivery_id text CONSTRAINT fk_notifications_delivery_id
            REFERENCES webhook_deliveries ON DELETE SET NULL,
        created_at timestamptz NOT NULL""",
    "recommendation_templates": f"""
        {_owned("recommendation_templates")},
        name text NOT NULL,
        version integer NOT NULL,
        kind text NOT NULL,
        tag text,
        text text NOT NULL,
        enabled boolean NOT NULL,
        key_id text,
        created_at timestamptz NOT NULL,
        CONSTRAINT pk_recommendation_templates
            PRIMARY KEY (tenant_id, name, version)""",
    "recommendations": f"""
        id text CONSTRAINT pk_recommendations PRIMARY KEY,
        {_owned("recommendations")},
        {_of_incident("recommendations")},
        kind text NOT NULL,
        template text NOT NULL,
        template_version integer NOT NULL,
        rank integer NOT NULL,
        score double precision NOT NULL,
        text text NOT NULL,
        evidence jsonb NOT NULL,
        given_at timestamptz NOT NULL,
        applied_at timestamptz,
        applied_by text,
        outcome text CONSTRAINT ck_recommendations_outcome
            CHECK (outcome IN ('helped', 'did_not_help', 'unknown')),
        outcome_at timestamptz,
        outcome_by text,
        note text,
        CONSTRAINT uq_recommendations_incident_id_template
            UNIQUE (incident_id, template)""",
    "feedback": f"""
        id text CONSTRAINT pk_feedback PRIMARY KEY,
        {_owned("feedback")},
        {_of_series("feedback")},
        start_at timestamptz NOT NULL,
        end_at timestamptz NOT NULL,
        label text NOT NULL CONSTRAINT ck_feedback_label
            CHECK (label IN ('true', 'false', 'expected')),
        kind text,
        note text NOT NULL,
        key_id text,
        created_at timestamptz NOT NULL,
        revoked_at timestamptz,
        revoked_by text,
        CONSTRAINT ck_feedback_span CHECK (start_at < end_at)""",
    "stream_states": f"""
        {_of_series("stream_states")},
        name text NOT NULL,
        {_owned("stream_states")},
        format integer NOT NULL,
        settings jsonb NOT NULL,
        packed bytea NOT NULL,
        points bigint NOT NULL,
        upto timestamptz NOT NULL,
        version bigint NOT NULL,
        updated_at timestamptz NOT NULL,
        CONSTRAINT pk_stream_states PRIMARY KEY (series_id, name)""",
}

_INDEXES = {
    "incidents": ("tenant_id id", "tenant_id last_seen_at"),
    "incident_series": ("series_id",),
    "incident_anomalies": ("incident_id id", "series_id kind start_at"),
    "incident_events": ("incident_id id",),
    "notifications": (
        *("tenant_id id", "incident_id", "rule_id scope id"),
        "delivery_id",
    ),
    "recommendations": ("tenant_id id", "tenant_id template outcome"),
    "feedback": ("tenant_id id", "series_id start_at"),
}

# An incident outlives the job that saw it, and people act on it without any: its
# events are the tenant's. A webhook with a channel is the line that leads to it.
_CHANGES = """
CREATE INDEX ix_incidents_open ON incidents (tenant_id) WHERE state <> 'resolved';
ALTER TABLE job_events ALTER job_id DROP NOT NULL;
ALTER TABLE webhooks ADD channel text CONSTRAINT ck_webhooks_channel
    CHECK (channel IN ('webhook', 'email', 'slack'));
ALTER TABLE anomalies ADD evidence jsonb NOT NULL DEFAULT '{}'
"""

_UNDO = """
DELETE FROM webhooks WHERE channel IS NOT NULL;
ALTER TABLE webhooks DROP channel;
ALTER TABLE anomalies DROP evidence;
DELETE FROM job_events WHERE job_id IS NULL;
ALTER TABLE job_events ALTER job_id SET NOT NULL
"""


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
    for table, keys in _INDEXES.items():
        for key in keys:
            name = "_".join(("ix", table, *key.split()))
            columns = ", ".join(key.split())
            op.execute(f"CREATE INDEX {name} ON {table} ({columns})")
    op.execute(_CHANGES)
    for table in _TABLES:
        _protect(table)
    op.execute("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO forebay_tenant")
    op.execute("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO forebay_system")


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '10s'")
    for table in reversed(_TABLES):
        op.execute(f"DROP TABLE {table} CASCADE")
    op.execute(_UNDO)
