"""A transport for tests: it may go to this machine only, and time stands still."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from ingest.exchange import Request
from ingest.http import HttpTransport
from ingest.wire import Outside, Wire

NOW = datetime(2026, 11, 3, 4, 5, tzinfo=UTC)


def here(_url: str) -> tuple[str, ...]:
    """Allow this machine, whatever the name."""
    return ("127.0.0.1",)


def at_once(_request: Request) -> None:
    """Let each request go at once."""


def outside(folder: Path, secrets: Mapping[str, str] | None = None, **more) -> Outside:
    """Return the outside world of a test."""
    given = {"judge": here, "pace": at_once, "clock": lambda: NOW, "wire": Wire()}
    return Outside(secrets=secrets or {}, folder=folder, **given | more)


def transport(
    folder: Path, secrets: Mapping[str, str] | None = None, **more
) -> HttpTransport:
    """Return a transport of HTTP."""
    return HttpTransport(**vars(outside(folder, secrets, **more)))
