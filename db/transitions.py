"""What every change of a job's state does beside it, in the same statement.

The fragments read a CTE ``moved``: rows of ``jobs`` as they are after the change, with
a column ``kind`` for the event.
"""

from db.deliveries import ENQUEUE

EVENT = f"""
event AS (
    INSERT INTO job_events (tenant_id, job_id, at, kind, body)
    SELECT tenant_id, id, clock_timestamp(), kind, json_strip_nulls(json_build_object(
        'state', state, 'reason', reason, 'attempt', attempt, 'progress', progress,
        'error', error))
    FROM moved RETURNING id, tenant_id, job_id, kind
), told AS (
    SELECT pg_notify('forebay_jobs', concat_ws(':', tenant_id, job_id, id, kind))
    FROM event
), {ENQUEUE}
"""  # noqa: S608 - no value is spliced in, only our own fragment

# A job with a concurrency key waits beside the line until its key has room.
MESSAGE = """
message AS (
    INSERT INTO outbox (tenant_id, job_id, attempt, type, queue, priority,
        traceparent, available_at, lane, concurrency_key, admitted)
    SELECT tenant_id, id, attempt, type, queue, priority, traceparent,
        now() + {delay} * interval '1 second', lane, concurrency_key,
        concurrency_key IS NULL
    FROM moved WHERE {which}
    ON CONFLICT (job_id, attempt) DO NOTHING
    RETURNING pg_notify('forebay_outbox',
        CASE WHEN admitted THEN queue ELSE 'keyed' END)
)
"""


def message(*, delay: str, which: str) -> str:
    """Return the CTE that puts the moved jobs into the outbox.

    Args:
        delay: SQL for the seconds until the message may be published.
        which: SQL condition for the rows of ``moved`` that want one.
    """
    return MESSAGE.format(delay=delay, which=which)
