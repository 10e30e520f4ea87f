"""Whether a source may be asked at all, and what it means if an answer does not come.

A failure that may pass is raised, so that the job is tried again; one that will not, or
that met the last attempt, is how the partition ended.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import urlsplit

from db import rate_limits, source_progress, sources
from tasks.context import JobContext
from tasks.errors import InvalidData, SourceUnavailable
from tasks.pull_ledger import Ended
from tasks.source_plan import Opened

if TYPE_CHECKING:
    from ingest.fetch import Refused

_MINUTE_S = 60.0
_UNUSABLE = frozenset({"missing_secret", "unfit_secret", "not_allowed"})


class GivenUp(Exception):
    """A partition cannot be read, and no further attempt would change that."""

    def __init__(self, ended: Ended) -> None:
        super().__init__(ended)
        self.ended = ended


def check_breaker(one: Opened, context: JobContext) -> None:
    """Let nobody ask a source that has failed time and again; then one at a time.

    Raises:
        SourceUnavailable: the breaker is open, or another worker is trying.
        GivenUp: so it is, and this is the last attempt.
    """
    source = one.source
    if source.open_until is None:
        return
    wait_s = (source.open_until - context.now).total_seconds()
    if wait_s <= 0:
        wait_s = _turn(one, context)
    if wait_s > 0:
        detail = f"{source.name} failed {source.failures} times in a row; it is left "
        detail += f"alone until {source.open_until.isoformat()}"
        later(context, "transient", detail, wait_s=max(_MINUTE_S, wait_s))


def check_siblings(one: Opened, context: JobContext) -> None:
    """Ask nothing once another partition of the run met what no retry mends.

    Raises:
        GivenUp: one did.
    """
    from ingest.verdicts import LASTING

    with context.read() as connection:
        met = source_progress.met(
            connection,
            tenant_id=context.tenant_id,
            source_id=one.source.id,
            job_id=context.job_id,
            reasons=LASTING | _UNUSABLE,
        )
    if met is not None:
        partition_id, reason, detail = met
        words = f"not asked, as {partition_id} met: {detail}"
        raise GivenUp(Ended("failed", reason, words))


@contextmanager
def clearly(one: Opened, context: JobContext) -> Iterator[None]:
    """Turn what may go wrong while a source is read into one of two exceptions.

    Raises:
        SourceUnavailable: to be tried again.
        GivenUp: not to be tried again, with what to do about it.
    """
    from ingest.exchange import NotAllowed, RateLimited, Unreachable
    from ingest.fetch import Refused
    from ingest.placeholders import MissingSecret, UnfitSecret

    try:
        yield
    except Refused as error:
        _refused(one, context, error)
    except RateLimited as error:
        later(context, "rate_limited", error.detail, wait_s=error.wait_s)
    except Unreachable as error:
        later(context, "transient", str(error), wait_s=None)
    except (MissingSecret, UnfitSecret, NotAllowed, InvalidData) as error:
        raise GivenUp(_unusable(one, error)) from error


def _unusable(one: Opened, error: Exception) -> Ended:
    """Say why nothing was read, and what whoever owns the source can do about it."""
    from ingest.exchange import NotAllowed
    from ingest.placeholders import MissingSecret, UnfitSecret
    from ingest.spool import TooLarge

    if isinstance(error, MissingSecret | UnfitSecret):
        missing = isinstance(error, MissingSecret)
        reason = "missing_secret" if missing else "unfit_secret"
        advice = _put(one.source.credential, error.name)
        return Ended("failed", reason, f"{error}; {advice}")
    if isinstance(error, TooLarge):
        advice = "ask for less: a shorter window, or fewer series"
        return Ended("failed", "too_large_answer", f"{error}; {advice}")
    if isinstance(error, NotAllowed):
        return Ended("failed", "not_allowed", str(error))
    return Ended("failed", "missing_secret", str(error))


def later(
    context: JobContext, reason: str, detail: str, *, wait_s: float | None
) -> NoReturn:
    """Give up in the last attempt, and let the job be tried again before.

    Raises:
        SourceUnavailable: there are attempts left.
        GivenUp: there are none.
    """
    if context.final:
        raise GivenUp(Ended("failed", reason, detail))
    raise SourceUnavailable(f"{reason}: {detail}", retry_after_s=wait_s)


def _refused(one: Opened, context: JobContext, error: "Refused") -> NoReturn:
    from ingest.verdicts import RETRIED

    verdict = error.verdict
    if verdict.cls not in RETRIED:
        raise GivenUp(Ended("failed", verdict.cls, _lasting(error))) from error
    _failed_once(one, context)
    later(context, verdict.cls, verdict.detail, wait_s=verdict.wait_s)


def _lasting(error: "Refused") -> str:
    """Say what was met, and at which address if that may be what is wrong."""
    detail, parts = error.verdict.detail, urlsplit(error.request.url)
    if error.verdict.cls != "config" or parts.scheme not in ("http", "https"):
        return detail
    # A user, a password or a parameter may be a secret.
    host = parts.netloc.rpartition("@")[2]
    return f"{detail} (asked: {parts.scheme}://{host}{parts.path})"


def _failed_once(one: Opened, context: JobContext) -> None:
    with context.note() as connection:
        sources.note_failure(
            connection,
            tenant_id=context.tenant_id,
            source_id=one.source.id,
            now=context.now,
        )


def _turn(one: Opened, context: JobContext) -> float:
    """Return 0 if it is this job's turn to try a source that has failed, else seconds.

    One a minute tries; were it all parts at once, they would be the next outage.
    """
    scope = rate_limits.scope_of("half-open breaker", credential_id=one.source.id)
    with context.shared() as connection:
        return rate_limits.take(
            connection,
            scope=scope,
            cost=1.0,
            rate=(1.0 / _MINUTE_S, 1.0, None),
            now=context.now,
        )


def _put(credential: str | None, secret: str) -> str:
    if credential is None:
        return f"put a credential with {secret}, and name it in the source"
    return f"put the credential {credential} again, with {secret}"
