"""The one table that says what a failure of a handler means for its job."""

from dataclasses import dataclass

from db.attempts import End
from tasks.errors import (
    InvalidParams,
    JobCancelled,
    JobTimedOut,
    SourceRefused,
    SourceUnavailable,
)

_OWNERS = frozenset(
    {"missing_secret", "unfit_secret", "too_large_answer", "not_allowed"}
)
"""What only the owner of a source can mend; each has a problem of its own."""

_STATUS = {"invalid_data": 422, "source_refused": 502, "source_unavailable": 503}
"""As of the answer, had it been a request; what is Forebay's own fault is 500."""


@dataclass(frozen=True)
class Verdict:
    """How an attempt ends, and whether another one may help."""

    end: End
    retry: bool
    retry_after_s: float | None = None


def verdict(error: BaseException) -> Verdict:
    """Return what to do about an exception that left a handler."""
    if isinstance(error, JobCancelled):
        return Verdict(End("cancelled", "cancelled_by_user"), retry=False)
    if isinstance(error, JobTimedOut):
        return Verdict(failed("timeout", "Job timed out", str(error)), retry=False)
    if isinstance(error, InvalidParams):
        end = failed("invalid_data", "Invalid data", error.detail)
        assert end.error is not None  # noqa: S101 - failed() always sets it
        end.error["errors"] = [vars(item) for item in error.errors]
        return Verdict(end, retry=False)
    if isinstance(error, SourceUnavailable):
        end = failed("source_unavailable", "Source unavailable", error.detail)
        return Verdict(end, retry=True, retry_after_s=error.retry_after_s)
    if isinstance(error, SourceRefused):
        end = failed("source_refused", "Source refused", error.detail)
        if error.why in _OWNERS and end.error is not None:
            end.error["type"] = f"/problems/{error.why.replace('_', '-')}"
            end.error["status"] = 422
        return Verdict(end, retry=False)
    # The class alone: an unforeseen message may hold data or a secret; the log,
    # found by the job's id, has the traceback.
    detail = f"unexpected {type(error).__name__}; see the log of this job"
    return Verdict(failed("internal_error", "Internal error", detail), retry=True)


def failed(reason: str, title: str, detail: str) -> End:
    """Return the end of a failed job with its problem document (RFC 9457)."""
    problem = {
        "type": f"/problems/{reason.replace('_', '-')}",
        "title": title,
        "status": _STATUS.get(reason, 500),
        "detail": detail,
    }
    return End("failed", reason, problem)


def lost(detail: str) -> End:
    """Return the end of a job whose workers died each time."""
    return failed("worker_lost", "Worker lost", detail)
