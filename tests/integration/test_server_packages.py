"""What is missing is found and installed without starting or touching any service."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.servers import choice, debian, docker, packages

HERE = {"initdb", "rabbitmqctl", "redis-server", "chromium", "chromedriver"} | {
    "prometheus"
}


def which_of(programs):
    return lambda name: f"/usr/bin/{name}" if name in programs else None


@pytest.fixture
def debian_root(tmp_path: Path) -> Path:
    (tmp_path / "etc/postgresql-common").mkdir(parents=True)
    (tmp_path / "usr/sbin").mkdir(parents=True)
    (tmp_path / "etc/debian_version").write_text("12.0\n")
    return tmp_path


def test_nothing_is_missing_where_all_programs_are():
    assert packages.missing(which_of(HERE)) == []


def test_each_absent_program_names_its_package():
    absent = {"initdb", "chromedriver"}
    found = packages.missing(which_of(HERE - absent))
    assert found == ["postgresql", "chromium-driver"]


def test_a_program_is_found_in_debians_hidden_folder(tmp_path):
    program = tmp_path / "usr/lib/postgresql/15/bin/only-here"
    program.parent.mkdir(parents=True)
    program.touch(mode=0o755)
    assert packages.find_program("only-here", root=tmp_path) == str(program)
    assert packages.find_program("nowhere", root=tmp_path) is None


def test_installing_forbids_service_starts_only_while_apt_runs(debian_root):
    policy = debian_root / "usr/sbin/policy-rc.d"
    cluster = debian_root / "etc/postgresql-common/createcluster.d"
    seen = []

    def run(command):
        status = subprocess.run([policy], check=False).returncode
        [setting] = cluster.iterdir()
        seen.append((command[:2], command[-2:], status, setting.read_text()))

    packages.install(["redis-server", "chromium"], run=run, root=debian_root, user_id=0)
    no_cluster = "create_main_cluster = false\n"
    assert seen == [
        (["apt-get", "update"], ["apt-get", "update"], 101, no_cluster),
        (["apt-get", "install"], ["redis-server", "chromium"], 101, no_cluster),
    ]
    assert not policy.exists()
    assert not cluster.exists()


def test_a_policy_of_the_machine_is_left_as_it_is(debian_root):
    policy = debian_root / "usr/sbin/policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 104\n")
    packages.install(["chromium"], run=list, root=debian_root, user_id=0)
    assert policy.read_text() == "#!/bin/sh\nexit 104\n"


def test_a_failed_installation_leaves_no_policy_behind(debian_root):
    def run(command):
        raise subprocess.CalledProcessError(100, command)

    with pytest.raises(subprocess.CalledProcessError):
        packages.install(["chromium"], run=run, root=debian_root, user_id=0)
    assert not (debian_root / "usr/sbin/policy-rc.d").exists()
    assert not (debian_root / "etc/postgresql-common/createcluster.d").exists()


def test_without_root_the_packages_are_named_and_nothing_runs(debian_root):
    ran = []
    with pytest.raises(packages.CannotInstallError, match="apt-get install chromium"):
        packages.install(["chromium"], run=ran.append, root=debian_root, user_id=1000)
    assert ran == []


def test_on_another_system_the_packages_are_named(tmp_path):
    with pytest.raises(packages.CannotInstallError, match=r"not Debian.*chromium"):
        packages.install(["chromium"], run=list, root=tmp_path, user_id=0)


@pytest.mark.parametrize(
    ("wanted", "missing", "engine", "place"),
    [
        ("auto", [], True, "debian"),
        ("auto", ["postgresql"], True, "docker"),
        ("auto", ["postgresql"], False, "debian"),
        ("auto", ["chromium"], True, "debian"),
        ("debian", ["postgresql"], True, "debian"),
        ("docker", [], False, "docker"),
    ],
)
def test_where_servers_come_from(wanted, missing, engine, place):
    chosen = choice.choose(
        {choice.VARIABLE: wanted}, missing=missing, engine_answers=lambda: engine
    )
    assert chosen == place


def test_an_unknown_choice_is_refused():
    with pytest.raises(ValueError, match="'podman': choose from auto, debian, docker"):
        choice.choose({choice.VARIABLE: "podman"}, missing=[], engine_answers=bool)


class TestCommand:
    """``python -m tests.servers.debian``."""

    @pytest.fixture
    def installed(self, monkeypatch) -> list[list[str]]:
        calls: list[list[str]] = []
        monkeypatch.setattr(packages, "install", calls.append)
        monkeypatch.setattr(docker, "engine_answers", bool)
        monkeypatch.delenv(choice.VARIABLE, raising=False)
        return calls

    def test_it_installs_nothing_that_is_there(self, installed, monkeypatch, capsys):
        monkeypatch.setattr(packages, "missing", list)
        assert debian.main() == 0
        assert installed == []
        assert "nothing to install" in capsys.readouterr().out

    def test_it_installs_what_is_missing(self, installed, monkeypatch, capsys):
        monkeypatch.setattr(packages, "missing", lambda: ["chromium"])
        assert debian.main() == 0
        assert installed == [["chromium"]]
        assert "installed chromium" in capsys.readouterr().out

    def test_containers_still_need_the_browser(self, installed, monkeypatch):
        monkeypatch.setenv(choice.VARIABLE, "docker")
        monkeypatch.setattr(packages, "missing", lambda: ["postgresql", "chromium"])
        assert debian.main() == 0
        assert installed == [["chromium"]]

    def test_it_fails_with_the_reason(self, monkeypatch, capsys):
        monkeypatch.setenv(choice.VARIABLE, "podman")
        assert debian.main() == 1
        assert "choose from" in capsys.readouterr().err


class TestDocker:
    """Only what can be seen without an engine: which commands it would be given."""

    @pytest.fixture
    def client(self, tmp_path: Path, monkeypatch) -> Path:
        """A stand-in for the docker program that writes its arguments down."""
        program = tmp_path / "docker"
        program.write_text(f'#!/bin/sh\necho "$*" >> {tmp_path}/asked\necho c0ffee\n')
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
        return program

    def test_a_client_without_an_engine_is_not_enough(self, client):
        assert docker.engine_answers()
        client.write_text("#!/bin/sh\nexit 1\n")
        assert not docker.engine_answers()

    def test_a_container_is_published_on_loopback_and_removed(
        self, client, monkeypatch
    ):
        monkeypatch.setattr(docker.DockerRedis, "answers", lambda _: True)
        with docker.DockerRedis() as server:
            server.kill()
        asked = (client.parent / "asked").read_text().splitlines()
        assert f"--publish 127.0.0.1:{server.port}:6379" in asked[0]
        assert asked[1:] == [
            "start c0ffee",
            "kill --signal 9 c0ffee",
            "rm --force --volumes c0ffee",
        ]
