"""Recommendations: templates with their versions, what was given, and what came of it.

The templates that a tenant has not changed are not here but in ``tasks/advice.py``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import text

from db.session import Connection


@dataclass(frozen=True)
class Template:
    """A version of a template: a text with placeholders for one kind of anomaly.

    With a ``tag`` it is for series that have it. Version 0 is one that comes with
    Forebay.
    """

    name: str
    version: int
    kind: str
    tag: str | None
    text: str
    enabled: bool = True
    key_id: str | None = None
    created_at: datetime | None = None


@dataclass(frozen=True)
class Recommendation:
    """A recommendation for an incident; ``evidence`` is what its text was made of."""

    id: str
    incident_id: str
    kind: str
    template: str
    template_version: int
    rank: int
    score: float
    text: str
    evidence: dict[str, Any]
    given_at: datetime
    applied_at: datetime | None
    applied_by: str | None
    outcome: str | None
    outcome_at: datetime | None
    outcome_by: str | None
    note: str | None


@dataclass(frozen=True)
class Tally:
    """How often a template's recommendations helped, and how often not."""

    helped: int = 0
    did_not_help: int = 0
    unknown: int = 0


_VERSIONS = """
SELECT name, version, kind, tag, text, enabled, key_id, created_at
FROM recommendation_templates WHERE tenant_id = :tenant_id"""
_CURRENT = text(f"""
SELECT DISTINCT ON (name) found.* FROM ({_VERSIONS}) AS found
ORDER BY name, version DESC
""")  # noqa: S608 - only our own fragment is spliced in
_OF_NAME = text(f"{_VERSIONS} AND name = :name ORDER BY version DESC")
_ALONE = text(
    "SELECT pg_advisory_xact_lock(hashtextextended('advice', "
    "CAST(:tenant_id AS bigint)))"
)
_PUT = text("""
INSERT INTO recommendation_templates (tenant_id, name, version, kind, tag, text,
    enabled, key_id, created_at)
SELECT :tenant_id, :name, coalesce(max(version), 0) + 1, :kind, :tag, :text,
    :enabled, :key_id, :now
FROM recommendation_templates WHERE tenant_id = :tenant_id AND name = :name
RETURNING version
""")
_TALLIES = text("""
SELECT template, count(*) FILTER (WHERE outcome = 'helped') AS helped,
    count(*) FILTER (WHERE outcome = 'did_not_help') AS did_not_help,
    count(*) FILTER (WHERE outcome = 'unknown') AS unknown
FROM recommendations WHERE tenant_id = :tenant_id AND outcome IS NOT NULL
GROUP BY template
""")
_GIVE = text("""
INSERT INTO recommendations (id, tenant_id, incident_id, kind, template,
    template_version, rank, score, text, evidence, given_at)
SELECT id, :tenant_id, incident_id, kind, template, template_version, rank, score,
    text, evidence, :now
FROM jsonb_populate_recordset(CAST(NULL AS recommendations), CAST(:items AS jsonb))
ON CONFLICT (incident_id, template) DO NOTHING
""")
_RENEW = text("""
UPDATE recommendations AS given SET kind = new.kind, rank = new.rank,
    template_version = new.template_version, score = new.score, text = new.text,
    evidence = new.evidence
FROM jsonb_populate_recordset(CAST(NULL AS recommendations), CAST(:items AS jsonb))
    AS new
WHERE given.tenant_id = :tenant_id AND given.incident_id = new.incident_id
    AND given.template = new.template AND given.applied_at IS NULL
""")
_RECOMMENDATION = """
SELECT id, incident_id, kind, template, template_version, rank, score, text, evidence,
    given_at, applied_at, applied_by, outcome, outcome_at, outcome_by, note
FROM recommendations WHERE tenant_id = :tenant_id"""
_FIND = text(f"{_RECOMMENDATION} AND id = :id")
_OF_INCIDENTS = text(f"""{_RECOMMENDATION} AND incident_id = ANY(:ids)
ORDER BY incident_id, rank, id""")
_PAGE = text(f"""{_RECOMMENDATION}
    AND (CAST(:incident AS text) IS NULL OR incident_id = :incident)
    AND (CAST(:template AS text) IS NULL OR template = :template)
    AND (CAST(:applied AS boolean) IS NULL OR (applied_at IS NOT NULL) = :applied)
    AND (CAST(:before AS text) IS NULL OR id < :before)
ORDER BY id DESC LIMIT :limit""")
_APPLY = text("""
UPDATE recommendations SET applied_at = :now, applied_by = :key_id
WHERE tenant_id = :tenant_id AND id = :id AND applied_at IS NULL
""")
_OUTCOME = text("""
UPDATE recommendations SET outcome = :outcome, outcome_at = :now,
    outcome_by = :key_id, note = :note
WHERE tenant_id = :tenant_id AND id = :id AND applied_at IS NOT NULL
""")


@dataclass(frozen=True)
class Wanted:
    """Which recommendations a list shows; None means any."""

    incident: str | None = None
    template: str | None = None
    applied: bool | None = None


def templates(connection: Connection, *, tenant_id: int) -> dict[str, Template]:
    """Return the newest version of each template that the tenant wrote, by name."""
    rows = connection.execute(_CURRENT, {"tenant_id": tenant_id})
    return {row.name: Template(**row._mapping) for row in rows}


def versions(connection: Connection, *, tenant_id: int, name: str) -> list[Template]:
    """Return all versions of a template that the tenant wrote, the newest first."""
    rows = connection.execute(_OF_NAME, {"tenant_id": tenant_id, "name": name})
    return [Template(**row._mapping) for row in rows]


def put_template(
    connection: Connection, *, tenant_id: int, new: Template, now: datetime
) -> int:
    """Add a version and return its number; ``new.version`` does not count."""
    connection.execute(_ALONE, {"tenant_id": tenant_id})
    given = {**vars(new), "tenant_id": tenant_id, "now": now}
    return int(connection.execute(_PUT, given).scalar_one())


def tallies(connection: Connection, *, tenant_id: int) -> dict[str, Tally]:
    """Return what came of the recommendations of each template."""
    return {
        row.template: Tally(row.helped, row.did_not_help, row.unknown)
        for row in connection.execute(_TALLIES, {"tenant_id": tenant_id})
    }


def give(
    connection: Connection,
    *,
    tenant_id: int,
    items: Sequence[Mapping[str, Any]],
    now: datetime,
) -> None:
    """Keep recommendations; an incident has one of a template, the first."""
    if items:
        told = orjson.dumps(list(items), option=orjson.OPT_UTC_Z).decode()
        given = {"tenant_id": tenant_id, "items": told, "now": now}
        connection.execute(_GIVE, given)


def renew(
    connection: Connection, *, tenant_id: int, items: Sequence[Mapping[str, Any]]
) -> None:
    """Say what was recommended before of another anomaly, unless it was applied."""
    if items:
        told = orjson.dumps(list(items), option=orjson.OPT_UTC_Z).decode()
        connection.execute(_RENEW, {"tenant_id": tenant_id, "items": told})


def find(
    connection: Connection, *, tenant_id: int, recommendation_id: str
) -> Recommendation | None:
    """Return a recommendation, or None."""
    given = {"tenant_id": tenant_id, "id": recommendation_id}
    row = connection.execute(_FIND, given).first()
    return None if row is None else Recommendation(**row._mapping)


def of_incidents(
    connection: Connection, *, tenant_id: int, ids: Sequence[str]
) -> dict[str, list[Recommendation]]:
    """Return the recommendations of incidents, each incident's best first."""
    found: dict[str, list[Recommendation]] = {one: [] for one in ids}
    given = {"tenant_id": tenant_id, "ids": list(ids)}
    for row in connection.execute(_OF_INCIDENTS, given):
        found[row.incident_id].append(Recommendation(**row._mapping))
    return found


def page(
    connection: Connection,
    *,
    tenant_id: int,
    wanted: Wanted,
    before: str | None,
    limit: int,
) -> list[Recommendation]:
    """Return up to ``limit`` recommendations older than the id ``before``."""
    given = {"tenant_id": tenant_id, **vars(wanted), "before": before, "limit": limit}
    return [Recommendation(**row._mapping) for row in connection.execute(_PAGE, given)]


def apply(
    connection: Connection,
    *,
    tenant_id: int,
    recommendation_id: str,
    key_id: str | None,
    now: datetime,
) -> bool:
    """Note that a recommendation is followed; return whether it was not before."""
    given = {"tenant_id": tenant_id, "id": recommendation_id}
    more = {"key_id": key_id, "now": now}
    return bool(connection.execute(_APPLY, {**given, **more}).rowcount)


def note_outcome(
    connection: Connection,
    *,
    tenant_id: int,
    recommendation_id: str,
    outcome: tuple[str, str | None],
    key_id: str | None,
    now: datetime,
) -> bool:
    """Note what came of a recommendation that was applied; else return False.

    Args:
        connection: a transaction of the tenant.
        tenant_id: whose it is.
        recommendation_id: which one.
        outcome: ``helped``, ``did_not_help`` or ``unknown``, and a note.
        key_id: who says so.
        now: when.
    """
    said, note = outcome
    given = {"tenant_id": tenant_id, "id": recommendation_id, "outcome": said}
    more = {"note": note, "key_id": key_id, "now": now}
    return bool(connection.execute(_OUTCOME, {**given, **more}).rowcount)
