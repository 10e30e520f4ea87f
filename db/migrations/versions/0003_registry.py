"""The registry of trained versions, and the history of their promotions."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_TABLES = {
    "registry_entries": """
        id text CONSTRAINT pk_registry_entries PRIMARY KEY,
        tenant_id integer NOT NULL
            CONSTRAINT fk_registry_entries_tenant_id REFERENCES tenants,
        name text NOT NULL,
        latest integer NOT NULL,
        created_at timestamptz NOT NULL,
        updated_at timestamptz NOT NULL,
        CONSTRAINT uq_registry_entries_tenant_id_name UNIQUE (tenant_id, name)""",
    "registry_versions": """
        entry_id text NOT NULL
            CONSTRAINT fk_registry_versions_entry_id REFERENCES registry_entries,
        number integer NOT NULL,
        tenant_id integer NOT NULL
            CONSTRAINT fk_registry_versions_tenant_id REFERENCES tenants,
        stage text NOT NULL CONSTRAINT ck_registry_versions_stage
            CHECK (stage IN ('champion', 'challenger', 'archived')),
        created_at timestamptz NOT NULL,
        job_id text,
        model text NOT NULL,
        members text[] NOT NULL,
        window_start timestamptz NOT NULL,
        window_end timestamptz NOT NULL,
        series_count integer NOT NULL,
        horizon integer NOT NULL,
        frequency text NOT NULL,
        quantiles double precision[] NOT NULL,
        code_revision text NOT NULL,
        seed bigint NOT NULL,
        libraries jsonb NOT NULL,
        metrics jsonb NOT NULL,
        evaluation jsonb NOT NULL,
        compared jsonb,
        params json NOT NULL,
        artifact_sha256 text NOT NULL,
        artifact_bytes bigint NOT NULL,
        artifact_store text NOT NULL,
        CONSTRAINT pk_registry_versions PRIMARY KEY (entry_id, number)""",
    "registry_moves": """
        id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_registry_moves PRIMARY KEY,
        tenant_id integer NOT NULL
            CONSTRAINT fk_registry_moves_tenant_id REFERENCES tenants,
        entry_id text NOT NULL,
        act text NOT NULL CONSTRAINT ck_registry_moves_act
            CHECK (act IN ('promote', 'rollback')),
        done boolean NOT NULL,
        forced boolean NOT NULL,
        from_version integer,
        to_version integer NOT NULL,
        reason text NOT NULL,
        verdict jsonb,
        job_id text,
        key_id text,
        at timestamptz NOT NULL,
        CONSTRAINT fk_registry_moves_entry_id_to_version
            FOREIGN KEY (entry_id, to_version)
            REFERENCES registry_versions (entry_id, number)""",
}

_INDEXES = (
    """CREATE UNIQUE INDEX uq_registry_versions_champion ON registry_versions (entry_id)
        WHERE stage = 'champion'""",
    "CREATE INDEX ix_registry_moves_entry_id_id ON registry_moves (entry_id, id)",
)

# A version is what it was when it was trained; only its stage may change.
_RIGHTS = {
    "registry_entries": "SELECT, INSERT, UPDATE, DELETE",
    "registry_versions": "SELECT, INSERT, UPDATE (stage)",
    "registry_moves": "SELECT, INSERT",
}


def _protect(table: str) -> None:
    """Give the tenant role its own rows only, and the system role all of them."""
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(
        f"CREATE POLICY system ON {table} TO forebay_system "
        "USING (true) WITH CHECK (true)"
    )
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO forebay_system")
    mine = (
        "tenant_id = (SELECT nullif(current_setting('forebay.tenant', true), '')::int)"
    )
    op.execute(
        f"CREATE POLICY tenant ON {table} TO forebay_tenant "
        f"USING ({mine}) WITH CHECK ({mine})"
    )
    op.execute(f"GRANT {_RIGHTS[table]} ON {table} TO forebay_tenant")


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '10s'")
    for table, columns in _TABLES.items():
        op.execute(f"CREATE TABLE {table} ({columns})")
    for index in _INDEXES:
        op.execute(index)
    for table in _TABLES:
        _protect(table)
    op.execute("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO forebay_tenant")
    op.execute("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO forebay_system")


def downgrade() -> None:
    for table in reversed(_TABLES):
        op.execute(f"DROP TABLE {table} CASCADE")
