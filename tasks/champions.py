"""Who is champion: promotion through a gate, and the way back, each in one transaction.

Whoever moves a champion holds the lock of the entry, and every move is in the history
and in the audit, also the one that the gate refused.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from db import audit as acts
from db import registry
from db.registry import Entry, Move, Version
from db.session import Connection
from tasks.gate import Check, Metrics, Rules, Verdict, gate
from tasks.registry import invalid, version_of

NO_CHAMPION = 0
"""What ``expected`` says of an entry that has no champion yet."""


@dataclass(frozen=True, kw_only=True)
class Wish:
    """Which change of champion is wanted, and by which job.

    ``expected`` is the champion that is to be replaced; None leaves it open.
    """

    name: str
    job_id: str
    reason: str = ""
    expected: int | None = None


def promote(
    connection: Connection,
    *,
    tenant_id: int,
    wish: Wish,
    number: int,
    rules: Rules,
    force: bool = False,
) -> dict[str, Any]:
    """Make a version the champion if the gate lets it, or ``force`` is given.

    A second time it changes nothing and says so.

    Args:
        connection: the transaction that ends the job.
        tenant_id: whose entry it is.
        wish: which entry, on whose behalf, and what is expected.
        number: the version.
        rules: what the gate asks.
        force: promote it whatever the gate says; the wish then has a reason.

    Raises:
        InvalidData: there is no such version, or another champion than expected.
    """
    entry = _hold(connection, tenant_id, wish.name)
    candidate = version_of(
        connection, tenant_id=tenant_id, name=wish.name, number=number
    )
    if entry.champion == number:
        return _result(entry, number, changed=False)
    _expect(entry, wish)
    former = _champion(connection, tenant_id, entry)
    verdict = judge(candidate, former, rules)
    done = verdict.passed or force
    move = Move(
        act="promote",
        done=done,
        forced=done and not verdict.passed,
        from_version=entry.champion,
        to_version=number,
        reason=wish.reason,
        verdict=verdict.as_json(),
        job_id=wish.job_id,
        key_id=_key(connection, tenant_id, wish, "promote"),
    )
    _make(connection, tenant_id, entry, move)
    return _result(entry, number, changed=done, move=move)


def roll_back(connection: Connection, *, tenant_id: int, wish: Wish) -> dict[str, Any]:
    """Make the champion before this one the champion again.

    Where ``expected`` was rolled back already, it changes nothing and says so.

    Raises:
        InvalidData: there is none before it, or another champion than expected.
    """
    entry = _hold(connection, tenant_id, wish.name)
    if wish.expected is not None and _rolled_back(connection, tenant_id, entry, wish):
        return _result(entry, entry.champion, changed=False)
    _expect(entry, wish)
    number = _earlier(connection, tenant_id, entry)
    move = Move(
        act="rollback",
        done=True,
        forced=False,
        from_version=entry.champion,
        to_version=number,
        reason=wish.reason,
        verdict=None,
        job_id=wish.job_id,
        key_id=_key(connection, tenant_id, wish, "rollback"),
    )
    _make(connection, tenant_id, entry, move)
    return _result(entry, number, changed=True, move=move)


def earlier(connection: Connection, *, tenant_id: int, name: str) -> Version | None:
    """Return the version that a rollback of the champion would bring back."""
    entry = registry.find(connection, tenant_id=tenant_id, name=name)
    if entry is None:
        return None
    reigns = registry.reigns(connection, tenant_id=tenant_id, entry_id=entry.id)
    return registry.version(
        connection, tenant_id=tenant_id, name=name, number=previous(reigns)
    )


def judge(candidate: Version, champion: Version | None, rules: Rules) -> Verdict:
    """Put a version through the gate, beside the champion on the same evaluation."""
    if champion is None:
        return gate(candidate.metrics, None, rules)
    theirs = _rival(candidate, champion)
    if theirs is not None or not rules.same_evaluation:
        return gate(candidate.metrics, theirs or champion.metrics, rules)
    verdict = gate(candidate.metrics, champion.metrics, rules)
    apart = Check(
        "same_evaluation",
        passed=False,
        detail=f"version {candidate.number} and champion {champion.number} were not "
        "measured on the same windows",
    )
    return Verdict((*verdict.checks, apart))


def previous(reigns: Sequence[tuple[str, int]]) -> int:
    """Return who was champion before the one of now; ``NO_CHAMPION`` for nobody.

    A rollback takes its champion away for good, so that two in a row go back two
    steps and not to and fro.

    Example:
        >>> previous([("promote", 1), ("promote", 2), ("promote", 3)])
        2
        >>> previous([("promote", 1), ("promote", 2), ("promote", 3), ("rollback", 2)])
        1
    """
    line: list[int] = []
    for act, number in reigns:
        if act == "promote":
            line.append(number)
        else:
            line.pop()
    return line[-2] if len(line) > 1 else NO_CHAMPION


def _rival(candidate: Version, champion: Version) -> Metrics | None:
    """Return the champion's metrics on the candidate's evaluation, if known."""
    seen = candidate.compared
    if seen is not None and seen["version"] == champion.number:
        found: Metrics = seen["metrics"]
        return found
    if candidate.evaluation and candidate.evaluation == champion.evaluation:
        return champion.metrics
    return None


def _hold(connection: Connection, tenant_id: int, name: str) -> Entry:
    found = registry.hold(connection, tenant_id=tenant_id, name=name)
    if found is None:
        raise invalid(f"there is no model {name}", "/params/name")
    return found


def _champion(connection: Connection, tenant_id: int, entry: Entry) -> Version | None:
    return registry.version(
        connection, tenant_id=tenant_id, name=entry.name, number="champion"
    )


def _expect(entry: Entry, wish: Wish) -> None:
    """Compare before the set: whoever asked may have seen another champion."""
    if wish.expected is None or wish.expected == (entry.champion or NO_CHAMPION):
        return
    raise invalid(
        f"the champion of {entry.name} is {_told(entry.champion)}, not "
        f"{_told(wish.expected)} as expected",
        "/params/expected",
    )


def _rolled_back(
    connection: Connection, tenant_id: int, entry: Entry, wish: Wish
) -> bool:
    if wish.expected == entry.champion:
        return False
    latest = registry.moves(
        connection, tenant_id=tenant_id, entry_id=entry.id, before=None, limit=50
    )
    done = next((move for move in latest if move.done), None)
    return (
        done is not None
        and done.act == "rollback"
        and done.from_version == wish.expected
    )


def _earlier(connection: Connection, tenant_id: int, entry: Entry) -> int:
    reigns = registry.reigns(connection, tenant_id=tenant_id, entry_id=entry.id)
    found = previous(reigns)
    if found == NO_CHAMPION:
        detail = f"{entry.name} has no champion before {_told(entry.champion)}"
        raise invalid(detail, "/params/name")
    return found


def _told(number: int | None) -> str:
    return f"version {number}" if number else "none"


def _key(connection: Connection, tenant_id: int, wish: Wish, act: str) -> str | None:
    return registry.asked_by(
        connection,
        tenant_id=tenant_id,
        action=f"model.{act}.ask",
        name=wish.name,
        job_id=wish.job_id,
    )


def _make(connection: Connection, tenant_id: int, entry: Entry, move: Move) -> None:
    """Move, and note it in the history and the audit, whatever became of it."""
    if move.done:
        registry.crown(
            connection, tenant_id=tenant_id, entry_id=entry.id, to=move.to_version
        )
    registry.record(connection, tenant_id=tenant_id, entry_id=entry.id, move=move)
    acts.record(
        connection,
        tenant_id=tenant_id,
        key_id=move.key_id,
        action=f"model.{move.act}" if move.done else f"model.{move.act}.refused",
        target=entry.name,
        detail={
            "job_id": move.job_id,
            "from": move.from_version,
            "to": move.to_version,
            "forced": move.forced,
            "reason": move.reason,
        },
    )


def _result(
    entry: Entry, number: int | None, *, changed: bool, move: Move | None = None
) -> dict[str, Any]:
    """Return what the job tells: who is champion now, and why."""
    refused = move is not None and not move.done
    return {
        "name": entry.name,
        "version": number,
        "changed": changed,
        "refused": refused,
        "champion": entry.champion if refused else number,
        "former": entry.champion if changed else None,
        "forced": move is not None and move.forced,
        "gate": None if move is None else move.verdict,
    }
