"""Rows of the quarantine that a later run made good: which value, and which run."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_CHANGES = """
ALTER TABLE quarantine
    ADD series_key text,
    ADD ts timestamptz,
    ADD resolved_by text,
    DROP CONSTRAINT ck_quarantine_state,
    ADD CONSTRAINT ck_quarantine_state
        CHECK (state IN ('held', 'replayed', 'superseded', 'discarded'));
CREATE INDEX ix_quarantine_held ON quarantine (source_id, ts) WHERE state = 'held';
CREATE INDEX ix_job_events_difference ON job_events (tenant_id, id)
    WHERE kind IN ('difference.opened', 'difference.closed')
"""

_UNDO = """
DROP INDEX ix_job_events_difference;
DROP INDEX ix_quarantine_held;
UPDATE quarantine SET state = 'replayed' WHERE state = 'superseded';
ALTER TABLE quarantine
    DROP series_key, DROP ts, DROP resolved_by,
    DROP CONSTRAINT ck_quarantine_state,
    ADD CONSTRAINT ck_quarantine_state
        CHECK (state IN ('held', 'replayed', 'discarded'))
"""


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '10s'")
    op.execute(_CHANGES)


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '10s'")
    op.execute(_UNDO)
