"""An MLflow tracking server as far as the export uses it, and strict about that."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.tasks.served import served

_CLAUSE = re.compile(r"(tags\.`([^`]+)`|attributes\.(status)) = '([^']*)'")


@dataclass
class FakeTracking:
    """What was logged, and how the server behaves."""

    url: str = ""
    experiments: dict[str, str] = field(default_factory=dict)
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    authorizations: set[str | None] = field(default_factory=set)
    proxied: bool = True
    failing: str = ""
    """Answer 500 to calls whose address ends so."""


@contextmanager
def serving() -> Iterator[FakeTracking]:
    """Serve an empty tracking server on a port of this machine."""
    tracking = FakeTracking()
    handler = type("Handler", (_Handler,), {"tracking": tracking})
    with served(handler) as url:
        tracking.url = url
        yield tracking


class _Handler(BaseHTTPRequestHandler):
    tracking: FakeTracking

    def do_GET(self) -> None:
        (name,) = parse_qs(urlsplit(self.path).query)["experiment_name"]
        assert "/api/2.0/mlflow/experiments/get-by-name" in self.path
        known = self.tracking.experiments.get(name)
        if known is None:
            self._answer({"error_code": "RESOURCE_DOES_NOT_EXIST"}, 404)
        else:
            self._answer({"experiment": {"experiment_id": known}})

    def do_PUT(self) -> None:
        folder = "/api/2.0/mlflow-artifacts/artifacts/"
        assert self.path.startswith(folder)
        self.tracking.files[unquote(self.path.removeprefix(folder))] = self._body()
        self._answer({})

    def do_POST(self) -> None:
        body = json.loads(self._body())
        call = self.path.removeprefix("/api/2.0/mlflow/")
        if self.tracking.failing and call.endswith(self.tracking.failing):
            self._answer({"message": "out of order"}, 500)
            return
        calls = {
            "experiments/create": self._create,
            "runs/create": self._begin,
            "runs/search": self._search,
            "runs/log-batch": self._log,
            "runs/update": self._end,
        }
        self._answer(calls[call](body))

    def _create(self, body: dict[str, Any]) -> dict[str, Any]:
        number = str(len(self.tracking.experiments) + 1)
        self.tracking.experiments[body["name"]] = number
        return {"experiment_id": number}

    def _begin(self, body: dict[str, Any]) -> dict[str, Any]:
        assert body["experiment_id"] in self.tracking.experiments.values()
        run_id = f"run{len(self.tracking.runs)}"
        scheme = "mlflow-artifacts:" if self.tracking.proxied else "s3://elsewhere"
        where = f"{scheme}/{body['experiment_id']}/{run_id}/artifacts"
        self.tracking.runs[run_id] = {
            "experiment": body["experiment_id"],
            "name": body["run_name"],
            "status": "RUNNING",
            "tags": {one["key"]: one["value"] for one in body["tags"]},
            "metrics": {},
            "params": {},
        }
        return {"run": {"info": {"run_id": run_id, "artifact_uri": where}}}

    def _search(self, body: dict[str, Any]) -> dict[str, Any]:
        wanted = [_CLAUSE.fullmatch(one) for one in body["filter"].split(" AND ")]
        found = [
            {"info": {"run_id": run_id}}
            for run_id, run in self.tracking.runs.items()
            if run["experiment"] in body["experiment_ids"]
            and all(
                (run["tags"].get(one[2]) if one[2] else run["status"]) == one[4]
                for one in wanted
            )
        ]
        # A real server leaves the list out where it is empty.
        return {"runs": found} if found else {}

    def _log(self, body: dict[str, Any]) -> dict[str, Any]:
        run = self.tracking.runs[body["run_id"]]
        assert len(body["params"]) <= 100
        for kind in ("metrics", "params"):
            for one in body[kind]:
                assert one["key"] not in run[kind]
                run[kind][one["key"]] = one["value"]
        assert all(isinstance(text, str) for text in run["params"].values())
        assert all(len(text) <= 6_000 for text in run["params"].values())
        return {}

    def _end(self, body: dict[str, Any]) -> dict[str, Any]:
        self.tracking.runs[body["run_id"]]["status"] = body["status"]
        return {}

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers["Content-Length"]))

    def _answer(self, body: dict[str, Any], status: int = 200) -> None:
        self.tracking.authorizations.add(self.headers["Authorization"])
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        """Say nothing."""
