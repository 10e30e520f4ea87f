"""What was asked of a source and came back; the bytes are in the raw archive."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import text

from db.session import Connection


@dataclass(frozen=True, kw_only=True)
class NewFetch:
    """One answer as it came, after the secrets were taken out.

    Attributes:
        source_id: which source answered.
        job_id: the job that asked; of a part, the part.
        partition_id: for which partition.
        request: what was asked, with place-holders for secrets; JSON.
        fingerprint: of the request, ``Request.fingerprint``.
        status: of HTTP; 200 for files.
        headers: of the answer.
        whole: whether as many bytes came as were promised.
        verdict: the class that the connector gave it.
        sha256: of the body, under which the archive keeps it.
        bytes: of the body.
        fetched_at: aware.
    """

    source_id: str
    job_id: str
    partition_id: str
    request: dict[str, Any]
    fingerprint: str
    status: int
    headers: dict[str, str]
    whole: bool
    verdict: str
    sha256: str
    bytes: int
    fetched_at: datetime


@dataclass(frozen=True, kw_only=True)
class Fetch(NewFetch):
    """A row; later ones have larger ids."""

    id: int


_WRITTEN = """source_id, job_id, partition_id, request, fingerprint, status, headers,
    whole, verdict, sha256, bytes, fetched_at"""
_INSERT = text(f"""
INSERT INTO raw_fetches (tenant_id, {_WRITTEN})
VALUES (:tenant_id, :source_id, :job_id, :partition_id, CAST(:request AS jsonb),
    :fingerprint, :status, CAST(:headers AS jsonb), :whole, :verdict, :sha256, :bytes,
    :fetched_at)
RETURNING id
""")  # noqa: S608 - only our own list of columns is spliced in
_FIND = text(f"""
SELECT id, {_WRITTEN} FROM raw_fetches
WHERE tenant_id = :tenant_id AND job_id = :job_id AND partition_id = :partition_id
    AND fingerprint = :fingerprint
ORDER BY id DESC LIMIT 1
""")  # noqa: S608 - see above
_LATEST = text(f"""
SELECT id, {_WRITTEN} FROM raw_fetches
WHERE tenant_id = :tenant_id AND source_id = :source_id
    AND fingerprint = :fingerprint AND job_id <> :before_job
    AND verdict IN ('ok', 'metadata', 'empty')
ORDER BY id DESC LIMIT 1
""")  # noqa: S608 - see above
_OF_JOB = text(f"""
SELECT id, {_WRITTEN} FROM raw_fetches
WHERE tenant_id = :tenant_id AND job_id = :job_id AND partition_id = :partition_id
ORDER BY id
""")  # noqa: S608 - see above
# An answer that says that nothing has changed holds nothing to parse.
_LATEST_JOB = text("""
SELECT job_id FROM raw_fetches WHERE tenant_id = :tenant_id
    AND source_id = :source_id AND partition_id = :partition_id
    AND verdict <> 'unchanged'
ORDER BY verdict = 'ok' DESC, id DESC LIMIT 1
""")
_PARTITIONS = text("""
SELECT DISTINCT partition_id FROM raw_fetches
WHERE tenant_id = :tenant_id AND source_id = :source_id AND verdict = 'ok'
ORDER BY partition_id
""")
# Only what was published is known: an answer whose rows were held back is asked anew.
_LOADED = text("""
SELECT headers FROM raw_fetches AS f JOIN source_windows AS w
    USING (tenant_id, source_id, partition_id)
WHERE f.id = (
    SELECT max(id) FROM raw_fetches WHERE tenant_id = :tenant_id
        AND source_id = :source_id AND verdict = 'ok' AND fetched_at >= :since
        AND request ->> 'url' = :url AND request -> 'params' = CAST(:params AS jsonb))
    AND w.job_id = f.job_id AND w.state = 'done'
""")


def insert(connection: Connection, *, tenant_id: int, new: NewFetch) -> int:
    """Note an answer; return its number."""
    number: int = connection.execute(
        _INSERT,
        {
            **vars(new),
            "tenant_id": tenant_id,
            "request": orjson.dumps(new.request).decode(),
            "headers": orjson.dumps(new.headers).decode(),
        },
    ).scalar_one()
    return number


def find(
    connection: Connection,
    *,
    tenant_id: int,
    job_id: str,
    partition_id: str,
    fingerprint: str,
) -> Fetch | None:
    """Return the last answer that a job got to a request, or None.

    Earlier answers to the same request were tried again.
    """
    row = connection.execute(
        _FIND,
        {
            "tenant_id": tenant_id,
            "job_id": job_id,
            "partition_id": partition_id,
            "fingerprint": fingerprint,
        },
    ).first()
    return None if row is None else Fetch(**row._mapping)


def of_job(
    connection: Connection, *, tenant_id: int, job_id: str, partition_id: str
) -> list[Fetch]:
    """Return all answers that a job got for a partition, in order."""
    rows = connection.execute(
        _OF_JOB,
        {"tenant_id": tenant_id, "job_id": job_id, "partition_id": partition_id},
    )
    return [Fetch(**row._mapping) for row in rows]


def latest_job(
    connection: Connection, *, tenant_id: int, source_id: str, partition_id: str
) -> str | None:
    """Return the job that got rows of a partition last; else that asked last."""
    found: str | None = connection.scalar(
        _LATEST_JOB,
        {"tenant_id": tenant_id, "source_id": source_id, "partition_id": partition_id},
    )
    return found


def partitions(connection: Connection, *, tenant_id: int, source_id: str) -> list[str]:
    """Return the partitions of a source of which answers are kept, by id."""
    given = {"tenant_id": tenant_id, "source_id": source_id}
    return list(connection.scalars(_PARTITIONS, given))


def latest(
    connection: Connection,
    *,
    tenant_id: int,
    source_id: str,
    fingerprint: str,
    before_job: str,
) -> Fetch | None:
    """Return the last usable answer of a source to a request, of another job, or None.

    Args:
        connection: a transaction of the tenant.
        tenant_id: whose source it is.
        source_id: which source.
        fingerprint: of the request.
        before_job: the job that asks now.
    """
    row = connection.execute(
        _LATEST,
        {
            "tenant_id": tenant_id,
            "source_id": source_id,
            "fingerprint": fingerprint,
            "before_job": before_job,
        },
    ).first()
    return None if row is None else Fetch(**row._mapping)


def loaded_headers(
    connection: Connection,
    *,
    tenant_id: int,
    source_id: str,
    asked: tuple[str, tuple[tuple[str, str], ...]],
    since: datetime,
) -> dict[str, str] | None:
    """Return the headers of the last good answer to a request, if its rows are stored.

    Args:
        connection: a transaction of the tenant.
        tenant_id: whose source it is.
        source_id: which source.
        asked: the address and the query.
        since: an older answer is none.
    """
    url, params = asked
    found: dict[str, str] | None = connection.scalar(
        _LOADED,
        {
            "tenant_id": tenant_id,
            "source_id": source_id,
            "url": url,
            "params": orjson.dumps(params).decode(),
            "since": since,
        },
    )
    return found
