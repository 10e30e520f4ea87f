"""Logs in where a source wants it, once, and again when the log-in has run out.

A connector says how by two methods beside those of the protocol: ``login`` returns what
to ask, with ``kept=False``, or None where the credential holds the token itself, and
``token`` returns what its answer gave. A request then names ``{secret:token}``.
"""

from typing import Protocol, runtime_checkable

from ingest.contract import (
    Page,
    Partition,
)
from ingest.exchange import Answer, RateLimited, Request, Unreachable
from ingest.fetch import Refused
from ingest.placeholders import needed
from ingest.verdicts import RETRIED, Verdict

TOKEN = "token"  # noqa: S105 - its name
_MOST_OF_A_NOTICE = 65_536
_PAUSE_S = 60.0
_UNAUTHORIZED = frozenset({401, 403})


@runtime_checkable
class LogsIn(Protocol):
    """A connector whose source gives a token."""

    def login(self) -> Request | None:
        """Return what to ask for a token, or None where the credential holds one."""
        ...

    def token(self, answer: Answer) -> str | Verdict:
        """Return the token, or what the answer to ``login`` means instead."""
        ...

    def read(self, request: Request, answer: Answer, partition: Partition) -> Page:
        """See ``ingest.contract.Connector``."""
        ...


class Learning(Protocol):
    """A transport that takes secrets on its way."""

    def send(self, request: Request) -> Answer:
        """See ``ingest.exchange.Transport``."""
        ...

    def learn(self, name: str, value: str) -> None:
        """Take a secret."""
        ...


class LoggedIn:
    """A transport that logs in for the requests that need it.

    Args:
        transport: what carries the requests, those of the log-in too.
        connector: says how to log in, and when an answer says that one has to.
        partition: what is being read.
    """

    def __init__(
        self, transport: Learning, connector: LogsIn, *, partition: Partition
    ) -> None:
        self._transport = transport
        self._connector = connector
        self._partition = partition
        self._inside = False

    def send(self, request: Request) -> Answer:
        """Return the answer; see ``ingest.exchange.Transport``.

        Raises:
            Refused: the source does not let us in.
            RateLimited: it wants a pause first.
            Unreachable: it cannot say so at the moment.
        """
        if TOKEN not in needed(request):
            return self._transport.send(request)
        fresh = not self._inside and self._log_in()
        answer = self._transport.send(request)
        if fresh or not self._is_out(request, answer) or not self._log_in():
            return answer
        return self._transport.send(request)

    def _log_in(self) -> bool:
        """Return whether there is a new token."""
        asked = self._connector.login()
        self._inside = True
        if asked is None:
            return False
        self._inside = False
        found = self._connector.token(self._transport.send(asked))
        if isinstance(found, Verdict):
            raise _refusal(found, asked)
        self._transport.learn(TOKEN, found)
        self._inside = True
        return True

    def _is_out(self, request: Request, answer: Answer) -> bool:
        """Return whether an answer says that the log-in has run out.

        Some sources say so under 200, so that only the connector knows. What says so is
        short: a long answer is not read twice.
        """
        if answer.status in _UNAUTHORIZED:
            return True
        if answer.path is not None or len(answer.body) > _MOST_OF_A_NOTICE:
            return False
        page = self._connector.read(request, answer, self._partition)
        return page.verdict.cls == "auth"


def _refusal(verdict: Verdict, request: Request) -> Exception:
    """Return what stops a log-in, in the way that ``fetch`` understands."""
    detail = f"log-in: {verdict.detail}"
    if verdict.cls in RETRIED:
        return Unreachable(detail)
    if verdict.cls == "rate_limited":
        wait_s = _PAUSE_S if verdict.wait_s is None else verdict.wait_s
        return RateLimited(wait_s, detail)
    return Refused(Verdict(verdict.cls, detail, verdict.wait_s), request)
