"""Trained versions, which never change, and who was champion of their entry when."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import orjson
from sqlalchemy import text

from db.ids import new_id
from db.session import Connection

Champion = Literal["champion"]


@dataclass(frozen=True)
class Entry:
    """A name under which versions are kept; ``champion`` is a version's number."""

    id: str
    name: str
    latest: int
    champion: int | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, kw_only=True)
class NewVersion:
    """What training leaves behind.

    Attributes:
        job_id: the job that trained it.
        model: the model that was asked for, such as ``auto``.
        members: the models it is made of.
        window_start: the first time it learned from, over all series.
        window_end: the end of the half-open window, over all series.
        series_count: how many series it learned from.
        horizon: steps it forecasts.
        frequency: step between observations.
        quantiles: its levels, ascending.
        code_revision: which code trained it.
        seed: of every random choice.
        libraries: versions of the libraries, by name.
        metrics: out-of-sample errors by name; None where one cannot be told.
        evaluation: what the metrics were measured on; equal ones can be compared.
        compared: ``version`` and ``metrics`` of the champion on this evaluation.
        params: the params of the training.
        artifact_sha256: the hash of the artifact, which is also its address.
        artifact_bytes: its length.
        artifact_store: where it was put.
    """

    job_id: str | None
    model: str
    members: list[str]
    window_start: datetime
    window_end: datetime
    series_count: int
    horizon: int
    frequency: str
    quantiles: list[float]
    code_revision: str
    seed: int
    libraries: dict[str, str]
    metrics: dict[str, float | None]
    evaluation: dict[str, Any]
    compared: dict[str, Any] | None
    params: dict[str, Any]
    artifact_sha256: str
    artifact_bytes: int
    artifact_store: str


@dataclass(frozen=True, kw_only=True)
class Version(NewVersion):
    """A registered version; ``stage`` is champion, challenger or archived."""

    entry: str
    number: int
    stage: str
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class Move:
    """A promotion or a rollback; ``done`` is false where the gate refused it."""

    id: int = 0
    at: datetime | None = None
    act: str
    done: bool
    forced: bool
    from_version: int | None
    to_version: int
    reason: str
    verdict: dict[str, Any] | None
    job_id: str | None
    key_id: str | None


_ENTRY = """
SELECT entry.id, entry.name, entry.latest, champion.number AS champion,
    entry.created_at, entry.updated_at
FROM registry_entries AS entry LEFT JOIN registry_versions AS champion
    ON champion.entry_id = entry.id AND champion.stage = 'champion'
WHERE entry.tenant_id = :tenant_id"""
_FIND = text(f"{_ENTRY} AND entry.name = :name")
_PAGE = text(f"""{_ENTRY}
    AND (CAST(:after AS text) IS NULL OR entry.name > :after)
ORDER BY entry.name LIMIT :limit
""")
_HOLD = text(
    "SELECT id FROM registry_entries WHERE tenant_id = :tenant_id AND name = :name "
    "FOR UPDATE"
)
_NEXT = text("""
INSERT INTO registry_entries (id, tenant_id, name, latest, created_at, updated_at)
VALUES (:id, :tenant_id, :name, 1, now(), now())
ON CONFLICT (tenant_id, name)
    DO UPDATE SET latest = registry_entries.latest + 1, updated_at = now()
RETURNING id, latest
""")
_JSON = {
    **dict.fromkeys(("libraries", "metrics", "evaluation", "compared"), "jsonb"),
    "params": "json",
}
_FIELDS = tuple(NewVersion.__dataclass_fields__)
_ADD = text(f"""
INSERT INTO registry_versions (entry_id, number, tenant_id, stage, created_at,
    {", ".join(_FIELDS)})
VALUES (:entry_id, :number, :tenant_id, 'challenger', now(), {
    ", ".join(f"CAST(:{n} AS {_JSON[n]})" if n in _JSON else f":{n}" for n in _FIELDS)
})
""")  # noqa: S608 - only our own list of columns is spliced in
_VERSION = f"""
SELECT entry.name AS entry, version.number, version.stage, version.created_at,
    {", ".join(f"version.{name}" for name in _FIELDS)}
FROM registry_versions AS version
    JOIN registry_entries AS entry ON entry.id = version.entry_id
WHERE version.tenant_id = :tenant_id AND entry.name = :name"""  # noqa: S608 - see above
_NUMBERED = text(f"{_VERSION} AND version.number = :number")
_CHAMPION = text(f"{_VERSION} AND version.stage = 'champion'")
_VERSIONS = text(f"""{_VERSION}
    AND (CAST(:before AS integer) IS NULL OR version.number < :before)
ORDER BY version.number DESC LIMIT :limit
""")
# The champion steps down first: at no instant are there two.
_STEP_DOWN = text("""
UPDATE registry_versions SET stage = 'archived'
WHERE tenant_id = :tenant_id AND entry_id = :entry_id AND number <> :number
    AND (stage = 'champion' OR stage = 'challenger' AND number < :number)
""")
_STEP_UP = text("""
UPDATE registry_versions SET stage = 'champion'
WHERE tenant_id = :tenant_id AND entry_id = :entry_id AND number = :number
""")
_TOUCH = text(
    "UPDATE registry_entries SET updated_at = now() "
    "WHERE tenant_id = :tenant_id AND id = :entry_id"
)
_RECORD = text("""
INSERT INTO registry_moves (tenant_id, entry_id, act, done, forced, from_version,
    to_version, reason, verdict, job_id, key_id, at)
VALUES (:tenant_id, :entry_id, :act, :done, :forced, :from_version, :to_version,
    :reason, CAST(:verdict AS jsonb), :job_id, :key_id, now())
""")
_MOVES = text("""
SELECT id, at, act, done, forced, from_version, to_version, reason, verdict, job_id,
    key_id
FROM registry_moves WHERE tenant_id = :tenant_id AND entry_id = :entry_id
    AND (CAST(:before AS bigint) IS NULL OR id < :before)
ORDER BY id DESC LIMIT :limit
""")
_REIGNS = text("""
SELECT act, to_version FROM registry_moves
WHERE tenant_id = :tenant_id AND entry_id = :entry_id AND done ORDER BY id
""")
_DIGESTS = text("""
SELECT version.artifact_sha256 AS sha256, entry.name, version.number
FROM registry_versions AS version
    JOIN registry_entries AS entry ON entry.id = version.entry_id
WHERE version.tenant_id = :tenant_id ORDER BY entry.name, version.number
""")
_ASKED = text("""
SELECT key_id FROM audit WHERE tenant_id = :tenant_id AND action = :action
    AND target = :name AND detail ->> 'job_id' = :job_id
ORDER BY id DESC LIMIT 1
""")


def add(connection: Connection, *, tenant_id: int, name: str, new: NewVersion) -> int:
    """Insert a challenger under the next number of its entry; return the number."""
    wanted = {"id": new_id("reg"), "tenant_id": tenant_id, "name": name}
    entry_id, number = connection.execute(_NEXT, wanted).one()
    given = {**vars(new), "entry_id": entry_id, "number": number}
    texts = {field: _json(given[field]) for field in _JSON}
    connection.execute(_ADD, {**given, **texts, "tenant_id": tenant_id})
    return int(number)


def find(connection: Connection, *, tenant_id: int, name: str) -> Entry | None:
    """Return the tenant's entry, or None."""
    row = connection.execute(_FIND, {"tenant_id": tenant_id, "name": name}).first()
    return None if row is None else Entry(**row._mapping)


def hold(connection: Connection, *, tenant_id: int, name: str) -> Entry | None:
    """Return the entry as it is now, and let nobody else move it until the commit."""
    connection.execute(_HOLD, {"tenant_id": tenant_id, "name": name})
    # A statement of its own, so that it sees what another did while this one waited.
    return find(connection, tenant_id=tenant_id, name=name)


def page(
    connection: Connection, *, tenant_id: int, after: str | None, limit: int
) -> list[Entry]:
    """Return up to ``limit`` entries after a name, by name."""
    rows = connection.execute(
        _PAGE, {"tenant_id": tenant_id, "after": after, "limit": limit}
    )
    return [Entry(**row._mapping) for row in rows]


def version(
    connection: Connection, *, tenant_id: int, name: str, number: int | Champion
) -> Version | None:
    """Return a version of an entry by its number, or its champion, or None."""
    query = _CHAMPION if number == "champion" else _NUMBERED
    given = {"tenant_id": tenant_id, "name": name}
    if number != "champion":
        given["number"] = number
    row = connection.execute(query, given).first()
    return None if row is None else Version(**row._mapping)


def versions(
    connection: Connection, *, tenant_id: int, name: str, before: int | None, limit: int
) -> list[Version]:
    """Return up to ``limit`` versions below a number, the newest first."""
    rows = connection.execute(
        _VERSIONS,
        {"tenant_id": tenant_id, "name": name, "before": before, "limit": limit},
    )
    return [Version(**row._mapping) for row in rows]


def crown(connection: Connection, *, tenant_id: int, entry_id: str, to: int) -> None:
    """Make a version the champion; the caller holds the entry.

    The champion before it and the challengers that are older become archived.
    """
    named = {"tenant_id": tenant_id, "entry_id": entry_id, "number": to}
    for statement in (_STEP_DOWN, _STEP_UP, _TOUCH):
        connection.execute(statement, named)


def record(
    connection: Connection, *, tenant_id: int, entry_id: str, move: Move
) -> None:
    """Add to the history what became of a promotion or a rollback."""
    given = {**vars(move), "verdict": _json(move.verdict)}
    connection.execute(_RECORD, {**given, "tenant_id": tenant_id, "entry_id": entry_id})


def moves(
    connection: Connection,
    *,
    tenant_id: int,
    entry_id: str,
    before: int | None,
    limit: int,
) -> list[Move]:
    """Return up to ``limit`` moves older than an id, the newest first."""
    rows = connection.execute(
        _MOVES,
        {
            "tenant_id": tenant_id,
            "entry_id": entry_id,
            "before": before,
            "limit": limit,
        },
    )
    return [Move(**row._mapping) for row in rows]


def reigns(
    connection: Connection, *, tenant_id: int, entry_id: str
) -> list[tuple[str, int]]:
    """Return what was done, and who was champion then, the oldest first."""
    rows = connection.execute(_REIGNS, {"tenant_id": tenant_id, "entry_id": entry_id})
    return [(row.act, row.to_version) for row in rows]


def digests(
    connection: Connection, *, tenant_id: int
) -> Iterator[tuple[str, str, int]]:
    """Give the hash, entry and number of every version."""
    for row in connection.execute(_DIGESTS, {"tenant_id": tenant_id}):
        yield row.sha256, row.name, row.number


def asked_by(
    connection: Connection, *, tenant_id: int, action: str, name: str, job_id: str
) -> str | None:
    """Return the key that asked for a move, if the audit has it."""
    found: str | None = connection.scalar(
        _ASKED,
        {"tenant_id": tenant_id, "action": action, "name": name, "job_id": job_id},
    )
    return found


def _json(value: Any) -> str | None:
    return None if value is None else orjson.dumps(value).decode()
