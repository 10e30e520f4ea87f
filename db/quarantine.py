"""Rows that were not published, each with its reason, as they stood.

A row that comes again night after night is one row here: ``seen`` counts the runs.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import text

from db.session import Connection

_LONGEST_ROW = 2_000
_LINE = re.compile(r"^line \d+: ")


@dataclass(frozen=True, kw_only=True)
class Refused:
    """A bad row.

    Attributes:
        row_no: where it stands in its answer.
        code: why, in a word that does not change.
        detail: why, for people.
        row: its text, or its key, time and value; empty where neither is known.
        raw_sha256: the answer it stands in.
        key: the series that it is of, as the tenant calls it, if that is known.
        ts: the time that it is of, if that is known.
    """

    row_no: int
    code: str
    detail: str
    row: str = ""
    raw_sha256: str | None = None
    key: str | None = None
    ts: datetime | None = None

    @property
    def row_hash(self) -> str:
        """What makes it the same row when it comes again, if in another line."""
        told = f"{self.code}\n{_LINE.sub('', self.detail)}\n{self.row}"
        return hashlib.sha256(told.encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Load:
    """Which load refused them: its partition, run and version of the contract."""

    source_id: str
    partition_id: str
    run_id: str
    contract_version: int = 1


@dataclass(frozen=True, kw_only=True)
class Held:
    """A row of the quarantine.

    Attributes:
        state: ``held``, ``replayed``, ``superseded`` or ``discarded``.
        resolved_by: the run that found it no longer bad, or brought a good one instead.
    """

    id: int
    partition_id: str
    run_id: str
    raw_sha256: str | None
    row_no: int
    code: str
    detail: str
    row: str | None
    series_key: str | None
    ts: datetime | None
    contract_version: int
    first_seen: datetime
    last_seen: datetime
    seen: int
    state: str
    resolved_by: str | None


_ADD = text("""
INSERT INTO quarantine (tenant_id, source_id, partition_id, run_id, raw_sha256, row_no,
    code, detail, row_text, contract_version, first_seen, last_seen, seen, state,
    row_hash, series_key, ts)
SELECT :tenant_id, :source_id, :partition_id, :run_id, raw_sha256, row_no, code,
    detail, row_text, :contract_version, :now, :now, 1, 'held', row_hash, series_key, ts
FROM unnest(CAST(:raws AS text[]), CAST(:numbers AS bigint[]), CAST(:codes AS text[]),
    CAST(:details AS text[]), CAST(:rows AS text[]), CAST(:hashes AS text[]),
    CAST(:keys AS text[]), CAST(:times AS timestamptz[]))
    AS given (raw_sha256, row_no, code, detail, row_text, row_hash, series_key, ts)
ORDER BY row_hash, code
ON CONFLICT (source_id, row_hash, code) DO UPDATE SET
    partition_id = excluded.partition_id, run_id = excluded.run_id,
    raw_sha256 = excluded.raw_sha256, row_no = excluded.row_no,
    contract_version = excluded.contract_version, last_seen = excluded.last_seen,
    series_key = excluded.series_key, ts = excluded.ts, resolved_by = NULL,
    seen = quarantine.seen + CASE WHEN quarantine.run_id = excluded.run_id
        THEN 0 ELSE 1 END,
    state = CASE quarantine.state WHEN 'discarded' THEN 'discarded' ELSE 'held' END
WHERE NOT :replays OR quarantine.state NOT IN ('superseded', 'discarded')
""")
_PAGE = text("""
SELECT id, partition_id, run_id, raw_sha256, row_no, code, detail, row_text AS row,
    series_key, ts, contract_version, first_seen, last_seen, seen, state, resolved_by
FROM quarantine WHERE tenant_id = :tenant_id AND source_id = :source_id
    AND (CAST(:state AS text) IS NULL OR state = :state)
    AND (CAST(:partition_id AS text) IS NULL OR partition_id = :partition_id)
    AND (CAST(:before AS bigint) IS NULL OR id < :before)
ORDER BY id DESC LIMIT :limit
""")
_MARK = text("""
UPDATE quarantine SET state = :state
WHERE tenant_id = :tenant_id AND source_id = :source_id AND state = 'held'
    AND (CAST(:partition_id AS text) IS NULL OR partition_id = :partition_id)
    AND (CAST(:ids AS bigint[]) IS NULL OR id = ANY (:ids))
""")
_SETTLE = text("""
UPDATE quarantine SET state = :state, resolved_by = :run_id
WHERE tenant_id = :tenant_id AND source_id = :source_id AND state = 'held'
    AND partition_id = :partition_id AND run_id <> :run_id
""")
_COUNTS = text("""
SELECT code, count(*) FROM quarantine
WHERE tenant_id = :tenant_id AND source_id = :source_id AND state = 'held'
GROUP BY code ORDER BY count(*) DESC, code
""")
_PARTITIONS = text("""
SELECT DISTINCT partition_id FROM quarantine
WHERE tenant_id = :tenant_id AND source_id = :source_id AND state = 'held'
ORDER BY partition_id
""")


def add(
    connection: Connection,
    *,
    tenant_id: int,
    load: Load,
    refused: Sequence[Refused],
    now: datetime,
    replays: bool = False,
) -> int:
    """Hold bad rows; return how many different ones there are.

    A row that was here is seen once more, if another run saw it last, from now on in
    this load's partition and answer; one that was replayed is held again, one that was
    discarded stays so.

    Args:
        connection: the transaction that ends the load.
        tenant_id: whose source it is.
        load: what refused them.
        refused: the same row twice in one load counts once.
        now: when.
        replays: whether an answer from before is parsed again. It says nothing new of
            rows that were superseded or discarded since: they stay as they are.
    """
    unlike = list({(one.row_hash, one.code): one for one in reversed(refused)}.values())
    if not unlike:
        return 0
    connection.execute(
        _ADD,
        {
            **vars(load),
            "tenant_id": tenant_id,
            "raws": [one.raw_sha256 for one in unlike],
            "numbers": [one.row_no for one in unlike],
            "codes": [one.code for one in unlike],
            "details": [_plain(one.detail) for one in unlike],
            "rows": [_plain(one.row)[:_LONGEST_ROW] or None for one in unlike],
            "hashes": [one.row_hash for one in unlike],
            "keys": [one.key for one in unlike],
            "times": [one.ts for one in unlike],
            "now": now,
            "replays": replays,
        },
    )
    return len(unlike)


@dataclass(frozen=True)
class Wanted:
    """Which rows to list: of a state, of a partition; None for all."""

    state: str | None = None
    partition_id: str | None = None


def page(
    connection: Connection,
    *,
    tenant_id: int,
    source_id: str,
    wanted: Wanted,
    before: int | None = None,
    limit: int = 200,
) -> list[Held]:
    """Return up to ``limit`` rows older than the id ``before``, newest first."""
    rows = connection.execute(
        _PAGE,
        {
            **vars(wanted),
            "tenant_id": tenant_id,
            "source_id": source_id,
            "before": before,
            "limit": limit,
        },
    )
    return [Held(**row._mapping) for row in rows]


def mark(
    connection: Connection,
    *,
    tenant_id: int,
    source_id: str,
    state: str,
    partition_id: str | None = None,
    ids: Sequence[int] | None = None,
) -> int:
    """Give held rows another state; return how many there were.

    Args:
        connection: a transaction of the tenant.
        tenant_id: whose source it is.
        source_id: which source.
        state: ``replayed`` or ``discarded``.
        partition_id: of which partition, or None for all.
        ids: which rows, or None for all.
    """
    return connection.execute(
        _MARK,
        {
            "tenant_id": tenant_id,
            "source_id": source_id,
            "state": state,
            "partition_id": partition_id,
            "ids": None if ids is None else list(ids),
        },
    ).rowcount


def settle(
    connection: Connection,
    *,
    tenant_id: int,
    load: Load,
    state: Literal["replayed", "superseded"] = "replayed",
) -> int:
    """Mark what was held of a partition and is not bad any more.

    To be called after ``add``: until it commits, nobody else can add these rows.

    Args:
        connection: the transaction that ends the load.
        tenant_id: whose source it is.
        load: the load; what it has held stays held.
        state: ``replayed`` if kept answers were parsed again, ``superseded`` if the
            source was asked again.

    Returns:
        How many rows there were.
    """
    given = {**vars(load), "tenant_id": tenant_id, "state": state}
    return connection.execute(_SETTLE, given).rowcount


def held_counts(
    connection: Connection, *, tenant_id: int, source_id: str
) -> dict[str, int]:
    """Return how many rows of a source are held for each code, the most first."""
    rows = connection.execute(_COUNTS, {"tenant_id": tenant_id, "source_id": source_id})
    return {row[0]: row[1] for row in rows}


def held_partitions(
    connection: Connection, *, tenant_id: int, source_id: str
) -> list[str]:
    """Return the partitions of a source in which rows are held."""
    given = {"tenant_id": tenant_id, "source_id": source_id}
    return list(connection.scalars(_PARTITIONS, given))


def _plain(words: str) -> str:
    """Return text in one line, without what a database cannot hold."""
    return " ".join(words.replace("\0", "").splitlines())
