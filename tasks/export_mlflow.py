"""``python -m tasks.export_mlflow``: copy versions to an MLflow tracking server.

A command for an operator and no job type: a job would let whoever may submit one send
requests from a worker to any address. It speaks MLflow's REST API 2.0 and so needs
nothing of MLflow's packages here. Exporting a version again finds its run, and leaves
it as it is.
"""

import argparse
import base64
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from db import keys, registry
from db.registry import Version
from db.session import Database
from tasks import storage
from tasks.registry import artifact
from tasks.settings import Settings

_ABSENT = 404
_LONGEST_VALUE = 6_000  # characters of an MLflow param
_MOST_PARAMS = 100  # of one log-batch call
_PROXIED = "mlflow-artifacts"


class MlflowRefused(Exception):
    """The tracking server answered with an error."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(status, detail)
        self.status = status

    def __str__(self) -> str:
        return f"the tracking server answers {self.args[0]}: {self.args[1]}"


@dataclass(frozen=True)
class Server:
    """A tracking server; ``authorization`` is the value of the header, or empty."""

    url: str
    authorization: str = ""
    timeout_s: float = 60.0

    def call(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Post to the REST API and return what it answers."""
        content = json.dumps(body).encode()
        found = self._send("POST", f"/api/2.0/mlflow/{path}", content)
        return dict(json.loads(found or b"{}"))

    def ask(self, path: str, **query: str) -> dict[str, Any]:
        """Get from the REST API and return what it answers."""
        found = self._send("GET", f"/api/2.0/mlflow/{path}?{urlencode(query)}")
        return dict(json.loads(found))

    def upload(self, path: str, content: bytes) -> None:
        """Store a file through the server."""
        address = f"/api/2.0/{_PROXIED}/artifacts/{quote(path)}"
        self._send("PUT", address, content, kind="application/octet-stream")

    def _send(
        self,
        method: str,
        address: str,
        content: bytes | None = None,
        kind: str = "application/json",
    ) -> bytes:
        from http.client import HTTPConnection, HTTPSConnection

        split = urlsplit(self.url)
        # No redirect is followed: the next address would be told the password.
        scheme = HTTPSConnection if split.scheme == "https" else HTTPConnection
        connection = scheme(split.netloc, timeout=self.timeout_s)
        headers = {"Content-Type": kind, "Authorization": self.authorization}
        told = {name: value for name, value in headers.items() if value}
        try:
            connection.request(method, split.path.rstrip("/") + address, content, told)
            answer = connection.getresponse()
            found = answer.read()
        finally:
            connection.close()
        if not 200 <= answer.status < 300:  # noqa: PLR2004 - HTTP's own words
            raise MlflowRefused(answer.status, found[:500].decode(errors="replace"))
        return found


def export(server: Server, version: Version, content: bytes) -> tuple[str, bool]:
    """Make a run of a version; return its id, and whether it was there already.

    Args:
        server: where to.
        version: what is logged as params, metrics and tags.
        content: its artifact, which is uploaded where the server takes files.

    Raises:
        MlflowRefused: the server does not take it.
    """
    experiment = _experiment(server, f"forebay/{version.entry}")
    known = _known(server, experiment, version)
    if known is not None:
        return known, True
    at = int(version.created_at.timestamp() * 1_000)
    made = server.call(
        "runs/create",
        {
            "experiment_id": experiment,
            "run_name": f"{version.entry} {version.number}",
            "start_time": at,
            "tags": [{"key": key, "value": text} for key, text in _tags(version)],
        },
    )["run"]["info"]
    run_id = str(made["run_id"])
    _log(server, run_id, version, at)
    _upload(server, str(made["artifact_uri"]), version, content)
    server.call("runs/update", {"run_id": run_id, "status": "FINISHED", "end_time": at})
    return run_id, False


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Export the versions that the command line names; return the exit code."""
    asked = _parsed(arguments)
    settings = Settings.from_environ(environ)
    server = Server(asked.tracking_uri, _authorization(environ))
    database = Database(settings.database_url, pool_size=0, name="forebay-export")
    try:
        with database.system() as connection:
            tenant_id = keys.find_tenant(connection, name=asked.tenant) or 0
        found = _chosen(database, tenant_id, asked)
        store = storage.opened(settings, tenant_id=tenant_id)
        for version in found:
            content = artifact(store, version)
            run_id, known = export(server, version, content)
            told = "was there" if known else "exported"
            sys.stdout.write(
                f"{version.entry} {version.number}: {told}, run {run_id}\n"
            )
    finally:
        database.close()
    if not found:
        sys.stderr.write(f"no such version of a model {asked.name}\n")
    return 0 if found else 1


def _parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tasks.export_mlflow")
    parser.add_argument("name", help="the model")
    parser.add_argument("--tracking-uri", required=True, type=_address)
    parser.add_argument("--tenant", required=True)
    parser.add_argument(
        "--version", default="champion", type=_which, help="a number, champion, or all"
    )
    return parser.parse_args(arguments)


def _which(text: str) -> str | int:
    return text if text in ("champion", "all") else int(text)


def _address(text: str) -> str:
    split = urlsplit(text)
    if split.scheme not in ("http", "https") or not split.hostname:
        raise argparse.ArgumentTypeError("takes the http(s) address of a server")
    if split.username or split.password:
        message = "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD instead"
        raise argparse.ArgumentTypeError(message)
    return text


def _authorization(environ: Mapping[str, str]) -> str:
    """Return the header for the variables that MLflow's own client reads."""
    if token := environ.get("MLFLOW_TRACKING_TOKEN"):
        return f"Bearer {token}"
    if user := environ.get("MLFLOW_TRACKING_USERNAME"):
        pair = f"{user}:{environ.get('MLFLOW_TRACKING_PASSWORD', '')}"
        return "Basic " + base64.b64encode(pair.encode()).decode()
    return ""


def _chosen(
    database: Database, tenant_id: int, asked: argparse.Namespace
) -> list[Version]:
    with database.tenant(tenant_id) as connection:
        given = {"tenant_id": tenant_id, "name": asked.name}
        if asked.version == "all":
            return registry.versions(connection, **given, before=None, limit=10_000)
        found = registry.version(connection, **given, number=asked.version)
    return [] if found is None else [found]


def _experiment(server: Server, name: str) -> str:
    try:
        found = server.ask("experiments/get-by-name", experiment_name=name)
    except MlflowRefused as error:
        if error.status != _ABSENT:
            raise
        return str(server.call("experiments/create", {"name": name})["experiment_id"])
    return str(found["experiment"]["experiment_id"])


def _known(server: Server, experiment: str, version: Version) -> str | None:
    """Return the finished run of this version; one that broke off does not count."""
    wanted = (
        f"tags.`forebay.version` = '{version.number}' AND "
        f"tags.`forebay.artifact` = '{version.artifact_sha256}' AND "
        "attributes.status = 'FINISHED'"
    )
    found = server.call(
        "runs/search",
        {"experiment_ids": [experiment], "filter": wanted, "max_results": 1},
    )
    runs = found.get("runs", [])
    return str(runs[0]["info"]["run_id"]) if runs else None


def _tags(version: Version) -> Iterator[tuple[str, str]]:
    yield "forebay.version", str(version.number)
    yield "forebay.stage", version.stage
    yield "forebay.artifact", version.artifact_sha256
    yield "forebay.job_id", version.job_id or ""
    yield "forebay.code_revision", version.code_revision
    for name, number in version.libraries.items():
        yield f"forebay.library.{name}", number


def _params(version: Version) -> Iterator[tuple[str, str]]:
    for name in (
        *("model", "members", "window_start", "window_end", "series_count"),
        *("horizon", "frequency", "quantiles", "seed"),
    ):
        yield name, str(getattr(version, name))
    for name, value in version.params.items():
        yield f"params.{name}", json.dumps(value)[:_LONGEST_VALUE]


def _log(server: Server, run_id: str, version: Version, at: int) -> None:
    metrics = [
        {"key": name, "value": value, "timestamp": at, "step": 0}
        for name, value in version.metrics.items()
        if value is not None
    ]
    params = [{"key": key, "value": text} for key, text in _params(version)]
    for start in range(0, len(params), _MOST_PARAMS):
        server.call(
            "runs/log-batch",
            {
                "run_id": run_id,
                "metrics": metrics if start == 0 else [],
                "params": params[start : start + _MOST_PARAMS],
            },
        )


def _upload(server: Server, uri: str, version: Version, content: bytes) -> None:
    """Upload through the server; where it does not proxy files, the hash must do."""
    split = urlsplit(uri)
    if split.scheme == _PROXIED:
        server.upload(f"{split.path.strip('/')}/{version.artifact_sha256}.bin", content)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
