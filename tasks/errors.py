"""What can go wrong with a job, in words both doors understand.

``web/errors.py`` turns these into problem documents, ``workers/outcomes.py`` into
retry or fail. All carry plain attributes and survive pickling.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class FieldError:
    """One bad field: a JSON pointer into the request body and what to do."""

    pointer: str
    detail: str


class InvalidParams(Exception):
    """The request is well-formed, but its values cannot be used; never retried."""

    def __init__(self, detail: str, errors: tuple[FieldError, ...] = ()) -> None:
        super().__init__(detail, errors)
        self.detail = detail
        self.errors = errors

    def __str__(self) -> str:
        return self.detail


class InvalidData(InvalidParams):
    """The job ran, and found that its data cannot give an answer; never retried."""


class NotFound(Exception):
    """The thing does not exist, or is another tenant's: the caller cannot tell."""


class StateConflict(Exception):
    """The thing is in a state that does not allow the call."""


class QuotaExceeded(Exception):
    """The tenant has used what it may; the caller should come back later."""


class SourceUnavailable(Exception):
    """An outside source did not answer; the job is tried again later."""

    def __init__(self, detail: str, retry_after_s: float | None = None) -> None:
        super().__init__(detail, retry_after_s)
        self.detail = detail
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        return self.detail


class SourceRefused(Exception):
    """A source answered what no retry mends, or did not answer to the last attempt.

    ``why`` is the class of the answer, or a code such as ``missing_secret``.
    """

    def __init__(self, detail: str, why: str = "") -> None:
        super().__init__(detail, why)
        self.detail = detail
        self.why = why

    def __str__(self) -> str:
        return self.detail


class JobCancelled(Exception):
    """Raised inside a handler when its job was cancelled."""


class JobTimedOut(Exception):
    """Raised inside a handler when its job ran longer than its timeout."""
