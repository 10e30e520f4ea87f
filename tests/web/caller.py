"""Calls the application with a key, as a client would."""

import json
from typing import Any

from apiflask import APIFlask
from werkzeug.test import TestResponse

from tests.web.promise import Promise


class Caller:
    """The test client of one key; cookies are not kept.

    Every answer is held against the OpenAPI document.
    """

    def __init__(self, app: APIFlask, secret: str | None) -> None:
        self._client = app.test_client(use_cookies=False)
        self._promise = app.extensions.setdefault("promise", Promise(app))
        self.secret = secret

    def call(
        self, method: str, path: str, *, headers: dict[str, str] | None = None, **body
    ) -> TestResponse:
        """Call; ``json=`` or ``data=`` is the body."""
        given = {"Authorization": f"Bearer {self.secret}"} if self.secret else {}
        if "json" in body:
            # Not with the application's own serializer, which is under test.
            body["data"] = json.dumps(body.pop("json"))
            given["Content-Type"] = "application/json"
        given |= headers or {}
        answer = self._client.open(path, method=method, headers=given, **body)
        self._promise.check(method, path, answer)
        return answer

    def get(self, path: str, **more) -> TestResponse:
        return self.call("GET", path, **more)

    def post(self, path: str, **more) -> TestResponse:
        return self.call("POST", path, **more)

    def put(self, path: str, **more) -> TestResponse:
        return self.call("PUT", path, **more)

    def submit(self, **job) -> dict[str, Any]:
        """Submit a job, by default an echo, and return it."""
        answer = self.post("/v1/jobs", json={"type": "system.echo", **job})
        assert answer.status_code == 202, answer.text
        return answer.json

    def job(self, job_id: str) -> dict[str, Any]:
        """Return a job as it is now."""
        return self.get(f"/v1/jobs/{job_id}").json
