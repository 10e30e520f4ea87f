"""The export to MLflow: whole, once, and without showing a password."""

from collections.abc import Iterator

import pytest

from db import registry
from tasks import storage
from tasks.export_mlflow import MlflowRefused, Server, export, main
from tests.db import trained
from tests.tasks import tracking as fake

pytestmark = pytest.mark.servers

NAME = "load-day-ahead"


@pytest.fixture
def tracking() -> Iterator[fake.FakeTracking]:
    with fake.serving() as found:
        yield found


@pytest.fixture
def train(database, settings, tenant_id):
    def run(content: bytes = b"fitted", **changes) -> registry.Version:
        store = storage.opened(settings, tenant_id=tenant_id)
        sha256 = store.put(content)
        number = trained.add(database, tenant_id, artifact_sha256=sha256, **changes)
        with database.tenant(tenant_id) as connection:
            return registry.version(
                connection, tenant_id=tenant_id, name=NAME, number=number
            )

    return run


@pytest.fixture
def command(database, settings, tracking):
    """Run the command line; returns its exit code."""

    def run(*words: str, **environ: str) -> int:
        variables = {
            "FOREBAY_DATABASE_URL": settings.database_url,
            "FOREBAY_ARTIFACTS": settings.artifacts,
        }
        given = [NAME, "--tracking-uri", tracking.url, "--tenant", "tenant", *words]
        return main(given, variables | environ)

    return run


def test_a_version_becomes_a_finished_run_with_all_that_is_known(tracking, train):
    version = train(metrics={"crps": None})
    run_id, known = export(Server(tracking.url), version, b"fitted")
    assert (run_id, known) == ("run0", False)
    assert tracking.experiments == {"forebay/load-day-ahead": "1"}
    run = tracking.runs["run0"]
    assert (run["name"], run["status"]) == ("load-day-ahead 1", "FINISHED")
    measured = {name: one for name, one in version.metrics.items() if one is not None}
    assert run["metrics"] == measured
    assert run["params"]["horizon"] == "24"
    assert run["params"]["members"] == "['theta', 'lightgbm']"
    assert run["params"]["params.series"] == '{"tag": "load"}'
    assert run["tags"]["forebay.code_revision"] == version.code_revision
    assert run["tags"]["forebay.library.numpy"] == "2.4.0"
    path = f"1/run0/artifacts/{version.artifact_sha256}.bin"
    assert tracking.files == {path: b"fitted"}


def test_a_version_is_exported_once(tracking, train):
    server, version = Server(tracking.url), train()
    first, _ = export(server, version, b"fitted")
    assert export(server, version, b"fitted") == (first, True)
    other, known = export(server, train(), b"fitted")
    assert (other == first, known) == (False, False)
    assert len(tracking.runs) == 2


@pytest.mark.parametrize("step", ["log-batch", "update"])
def test_an_export_that_broke_off_is_made_again(tracking, train, step):
    server, version = Server(tracking.url), train()
    tracking.failing = step
    with pytest.raises(MlflowRefused, match=r"answers 500: .*out of order"):
        export(server, version, b"fitted")
    tracking.failing = ""
    assert export(server, version, b"fitted") == ("run1", False)
    assert tracking.runs["run1"]["status"] == "FINISHED"


def test_a_server_that_takes_no_files_gets_the_hash_alone(tracking, train):
    tracking.proxied = False
    version = train()
    export(Server(tracking.url), version, b"fitted")
    assert tracking.files == {}
    assert tracking.runs["run0"]["tags"]["forebay.artifact"] == version.artifact_sha256


def test_many_and_long_params_are_cut_as_mlflow_wants_them(tracking, train):
    version = train(params={f"p{number}": "x" * 7_000 for number in range(230)})
    export(Server(tracking.url), version, b"fitted")
    assert len(tracking.runs["run0"]["params"]) == 230 + 9


def test_the_command_exports_one_version_or_all_and_says_so(
    tracking, train, command, capsys
):
    for content in (b"one", b"two"):
        train(content)
    assert command("--version", "2") == 0
    assert capsys.readouterr().out == "load-day-ahead 2: exported, run run0\n"
    assert command("--version", "all") == 0
    assert capsys.readouterr().out == (
        "load-day-ahead 2: was there, run run0\nload-day-ahead 1: exported, run run1\n"
    )
    assert sorted(tracking.files.values()) == [b"one", b"two"]


@pytest.mark.parametrize(
    "words", [["--version", "9"], ["--version", "champion"], ["--tenant", "nobody"]]
)
def test_the_command_fails_where_there_is_no_such_version(
    tracking, train, command, capsys, words
):
    train()
    assert command(*words) == 1
    assert capsys.readouterr().err == "no such version of a model load-day-ahead\n"
    assert tracking.runs == {}


@pytest.mark.parametrize(
    ("environ", "header"),
    [
        ({}, None),
        ({"MLFLOW_TRACKING_TOKEN": "t"}, "Bearer t"),
        (
            {"MLFLOW_TRACKING_USERNAME": "ada", "MLFLOW_TRACKING_PASSWORD": "pw"},
            "Basic YWRhOnB3",
        ),
    ],
)
def test_the_password_comes_from_the_environment(
    tracking, train, command, capsys, environ, header
):
    train()
    assert command("--version", "1", **environ) == 0
    assert tracking.authorizations == {header}
    assert "pw" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "address", ["file:///etc", "mlruns", "http://", "http://ada:pw@host", "ftp://host"]
)
def test_an_address_that_is_none_of_a_server_is_refused(command, capsys, address):
    with pytest.raises(SystemExit):
        command("--tracking-uri", address)
    assert "usage:" in capsys.readouterr().err
