"""The demo's HTTP client: what any user of the API would write, on urllib."""

import json
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any


class CallFailed(RuntimeError):
    """The platform refused a call, or a job of the demo did not succeed."""


_PAUSE_S = 0.1  # where the door holds no request, polling must not become a race

# A proxy of the environment is for the outside world, not for our own address.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class Client:
    """Speaks to one platform with one key."""

    base: str
    key: str = ""

    def call(
        self,
        method: str,
        path: str,
        body: object | None = None,
        *,
        headers: dict[str, str] | None = None,
    ) -> Any:
        """Send JSON, or bytes as they are, and return the parsed answer.

        Raises:
            CallFailed: with the problem's own words.
        """
        payload = body if isinstance(body, bytes) else None
        sent = {"Authorization": f"Bearer {self.key}", **(headers or {})}
        if body is not None and payload is None:
            payload = json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        request = urllib.request.Request(  # noqa: S310 - our own http address
            self.base + path, data=payload, method=method, headers=sent
        )
        try:
            with _opener.open(request, timeout=90) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            told = error.read().decode(errors="replace")
            raise CallFailed(f"{method} {path}: {error.code} {told}") from error

    def fetch(self, path: str) -> None:
        """Ask for a file and throw it away, so that the door has it ready."""
        with _opener.open(self.base + path, timeout=90) as answer:
            answer.read()

    def ready(self) -> tuple[bool, str]:
        """Return whether the platform is ready, and what is not."""
        try:
            with _opener.open(f"{self.base}/ready", timeout=5):
                return True, ""
        except urllib.error.HTTPError as error:
            checks = json.loads(error.read())["checks"]
            missing = [name for name, check in checks.items() if not check["ok"]]
            return False, ", ".join(missing)
        except OSError:
            return False, "web"

    def run(self, kind: str, params: dict[str, Any], *, once: str) -> dict[str, Any]:
        """Submit a job, wait for its end, and return it with its result.

        Raises:
            CallFailed: the job failed, with its error.
        """
        headers = {"Prefer": "wait=60", "Idempotency-Key": once}
        body = {"type": kind, "params": params}
        return self.ended(self.call("POST", "/v1/jobs", body, headers=headers))

    def ended(self, job: dict[str, Any]) -> dict[str, Any]:
        """Wait for the end of a job, and return it with its result.

        Raises:
            CallFailed: the job failed, with its error.
        """
        while job["state"] in ("queued", "running"):
            time.sleep(_PAUSE_S)
            path = f"/v1/jobs/{job['id']}"
            job = self.call("GET", path, headers={"Prefer": "wait=60"})
        if job["state"] != "succeeded":
            told = f"{job['type']} {job['id']} {job['state']}: {job['error']}"
            raise CallFailed(told)
        return job
