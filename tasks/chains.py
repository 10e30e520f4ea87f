"""Jobs that wait for other jobs: refs inside a batch, ids of jobs that exist."""

from collections.abc import Sequence
from dataclasses import replace

from db import dependencies
from db.dependencies import Edge
from db.jobs import NewJob
from db.session import Connection
from tasks.errors import FieldError, InvalidParams
from tasks.submission import Submission


def resolve(
    connection: Connection,
    tenant_id: int,
    submissions: Sequence[Submission],
    prepared: Sequence[NewJob | InvalidParams],
) -> list[Submission | InvalidParams]:
    """Replace refs by the ids of the batch's jobs; refuse what waits for nothing.

    A ref may only name an item further up, so a batch cannot wait in a circle.
    """
    wanted = {one for submission in submissions for one in submission.after}
    known = (
        dependencies.known(connection, tenant_id=tenant_id, ids=sorted(wanted))
        if wanted
        else set()
    )
    refs: dict[str, str] = {}
    found: list[Submission | InvalidParams] = []
    for submission, item in zip(submissions, prepared, strict=True):
        chained = _resolved(submission, refs, known)
        if isinstance(item, InvalidParams):
            chained = item
        elif submission.ref and submission.ref in refs:
            chained = _refused("/ref", f"the ref {submission.ref!r} is taken")
        elif submission.ref and isinstance(chained, Submission):
            refs[submission.ref] = item.id
        found.append(chained)
    return found


def bind(
    connection: Connection,
    tenant_id: int,
    prepared: Sequence[tuple[NewJob, Submission]],
) -> None:
    """Store the waits of jobs just submitted, and release whose wait is over already.

    Raises:
        InvalidParams: a job waits for one that the tenant does not have.
    """
    edges = [
        Edge(new.id, after_id, submission.on_failure)
        for new, submission in prepared
        for after_id in dict.fromkeys(submission.after)
    ]
    if not edges:
        return
    wanted = {edge.after_id for edge in edges}
    known = dependencies.known(connection, tenant_id=tenant_id, ids=sorted(wanted))
    if missing := sorted(wanted - known):
        raise _refused("/after", f"there is no job {missing[0]} to wait for")
    dependencies.insert(connection, tenant_id=tenant_id, edges=edges)
    own = {new.id for new, _ in prepared}
    dependencies.release(connection, after_ids=sorted(wanted - own))


def _resolved(
    submission: Submission, refs: dict[str, str], known: set[str]
) -> Submission | InvalidParams:
    after = [refs.get(one, one) for one in submission.after]
    own = set(refs.values())
    for number, one in enumerate(after):
        if one not in own and one not in known:
            return _refused(
                f"/after/{number}",
                f"{one!r} is neither the ref of an item further up that was accepted "
                "nor a job of yours",
            )
    return replace(submission, after=tuple(after))


def _refused(pointer: str, detail: str) -> InvalidParams:
    return InvalidParams(detail, (FieldError(pointer, detail),))
