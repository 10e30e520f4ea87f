"""The registry of trained versions: keep, register, load, and hold against the store.

A version is a row that never changes and an artifact under its hash. Which version of
an entry is the champion is for ``tasks/champions.py``.
"""

import math
import re
from dataclasses import dataclass, replace

from db import registry
from db.registry import Champion, NewVersion, Version
from db.session import Connection
from tasks.artifacts import ArtifactAbsent, ArtifactDamaged, ArtifactStore
from tasks.context import JobContext
from tasks.errors import FieldError, InvalidData
from tasks.gate import Metrics

ENTRY_NAME = r"^[a-z0-9][a-z0-9._-]{0,99}$"


@dataclass(frozen=True)
class Kept:
    """An artifact in the store."""

    sha256: str
    bytes: int
    store: str


@dataclass(frozen=True)
class Findings:
    """What an audit of the store found.

    Attributes:
        orphans: hashes of artifacts that no version names: trained, not registered.
        missing: entry, number and hash of each version without its artifact.
        damaged: the same of each version whose artifact has another hash.
    """

    orphans: tuple[str, ...]
    missing: tuple[tuple[str, int, str], ...]
    damaged: tuple[tuple[str, int, str], ...]


def keep(context: JobContext, content: bytes) -> Kept:
    """Store an artifact, before the transaction that registers its version."""
    store = context.artifact_store
    return Kept(store.put(content), len(content), store.name)


def register(
    connection: Connection, *, tenant_id: int, entry: str, version: NewVersion
) -> int:
    """Add a challenger to an entry, which is made if it is new; return its number.

    Args:
        connection: the transaction that ends the job (``Outcome.store``).
        tenant_id: whose it is.
        entry: the name of the entry.
        version: what was trained; its artifact has been kept.

    Raises:
        InvalidData: the name cannot be one, or the data window is empty.
    """
    if not re.fullmatch(ENTRY_NAME, entry):
        raise invalid(f"{entry!r} cannot be the name of an entry", "/params/name")
    if version.window_end <= version.window_start:
        raise invalid("the data window is empty", "/params/series")
    stored = replace(version, metrics=_storable(version.metrics))
    if version.compared is not None:
        theirs = _storable(version.compared["metrics"])
        stored = replace(stored, compared={**version.compared, "metrics": theirs})
    return registry.add(connection, tenant_id=tenant_id, name=entry, new=stored)


def load(
    context: JobContext,
    name: str,
    version: int | Champion = "champion",
    *,
    field: str = "/params/model",
) -> tuple[Version, bytes]:
    """Return a version and its artifact, whose hash has been checked.

    Args:
        context: the job that needs it.
        name: the entry.
        version: a number, or the champion as it is now.
        field: the pointer to the param that names it, for the error.

    Raises:
        InvalidData: there is no such version, or its artifact is gone or damaged.
        SourceUnavailable: the store does not answer.
    """
    with context.read() as connection:
        found = version_of(
            connection,
            tenant_id=context.tenant_id,
            name=name,
            number=version,
            field=field,
        )
    return found, artifact(context.artifact_store, found, field=field)


def artifact(
    store: ArtifactStore, version: Version, *, field: str = "/params/version"
) -> bytes:
    """Return the artifact of a version.

    Raises:
        InvalidData: it is not in the store, or is damaged.
        SourceUnavailable: the store does not answer.
    """
    told = f"the artifact of {version.entry} {version.number}"
    try:
        return store.get(version.artifact_sha256)
    except ArtifactAbsent as error:
        kept = f"; it was kept in {version.artifact_store}"
        raise invalid(f"{told} is not in {store.name}{kept}", field) from error
    except ArtifactDamaged as error:
        raise invalid(f"{told} is damaged: its hash has changed", field) from error


def audit(connection: Connection, *, tenant_id: int, store: ArtifactStore) -> Findings:
    """Hold the store against the rows, both ways; reads every artifact once."""
    # The store first: what is registered meanwhile is then no orphan.
    kept = set(store.digests())
    rows = list(registry.digests(connection, tenant_id=tenant_id))
    wanted = {sha256 for sha256, _, _ in rows}
    states = {sha256: _state(store, sha256) for sha256 in wanted}
    named: dict[str, list[tuple[str, int, str]]] = {"missing": [], "damaged": []}
    for sha256, name, number in rows:
        if states[sha256] in named:
            named[states[sha256]].append((name, number, sha256))
    return Findings(
        tuple(sorted(kept - wanted)), tuple(named["missing"]), tuple(named["damaged"])
    )


def _state(store: ArtifactStore, sha256: str) -> str:
    try:
        store.get(sha256)
    except ArtifactAbsent:
        return "missing"
    except ArtifactDamaged:
        return "damaged"
    return "sound"


def _storable(metrics: Metrics) -> dict[str, float | None]:
    """JSON holds no NaN: a number that is none is missing."""
    return {
        name: float(value) if value is not None and math.isfinite(value) else None
        for name, value in metrics.items()
    }


def version_of(
    connection: Connection,
    *,
    tenant_id: int,
    name: str,
    number: int | Champion,
    field: str = "/params/version",
) -> Version:
    """Return a version of an entry.

    Raises:
        InvalidData: there is none; the error names the field.
    """
    found = registry.version(connection, tenant_id=tenant_id, name=name, number=number)
    if found is None:
        what = "champion" if number == "champion" else f"version {number}"
        raise invalid(f"there is no {what} of a model {name}", field)
    return found


def invalid(detail: str, pointer: str) -> InvalidData:
    """Return the error of a job whose param names what is not there."""
    return InvalidData(detail, (FieldError(pointer, detail),))
