"""A folder that files are dropped into, and a way there that fails as planned."""

import hashlib
import os
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from ingest.exchange import Answer, Request, Transport, Unreachable
from tests.sources.faults import FaultPlan
from tests.sources.truth import Truth

_HTML = b"<!DOCTYPE html><html><body>Will be right back</body></html>"


def drop(folder: Path, name: str, content: bytes, modified: datetime) -> None:
    """Lay a file down as if it was written at an instant."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (modified.timestamp(), modified.timestamp()))


def drop_days(folder: Path, truth: Truth, modified: datetime) -> None:
    """Lay down a file for each day with its checksum, as known at an instant."""
    days: dict[str, list[str]] = {}
    for name, ts, value in truth.rows(as_of=modified):
        cell = "" if value is None else repr(value)
        days.setdefault(f"{ts:%Y%m%d}", []).append(f"{ts.isoformat()},{name},{cell}")
    for day, lines in days.items():
        body = "\n".join(["ts,series,value", *lines, ""]).encode()
        drop(folder, f"{day}_load.csv", body, modified)
        told = f"{hashlib.sha256(body).hexdigest()}  {day}_load.csv\n".encode()
        drop(folder, f"{day}_load.csv.sha256", told, modified)


@dataclass
class Flaky:
    """A transport whose n-th call fails, whatever carries it."""

    inner: Transport
    plan: FaultPlan = field(default_factory=FaultPlan)
    sent: list[Request] = field(default_factory=list)

    def send(self, request: Request) -> Answer:
        """Carry a request, unless it is to fail."""
        self.sent.append(request)
        fault = self.plan.next()
        if fault == "reset":
            raise Unreachable("the connection was reset")
        answer = self.inner.send(request)
        if fault in ("429", "500", "503"):
            return replace(answer, status=int(fault), headers={"retry-after": "0"})
        if fault == "truncate":
            half = answer.body[: len(answer.body) // 2]
            return replace(answer, content=half, path=None, whole=False, sha256="")
        if fault == "html":
            return replace(answer, content=_HTML, path=None, headers={}, sha256="")
        return answer
