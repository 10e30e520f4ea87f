"""Each fault that found a bug, as a test of its own."""

import errno
from pathlib import Path

import pytest

from tasks.settings import Settings
from web.app import create_app

pytestmark = pytest.mark.servers


@pytest.fixture
def client(settings, issue_key, tenant_id):
    """A client of the web door that says who it is."""
    app = create_app(settings)
    found = app.test_client()
    found.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {issue_key(tenant_id)}"
    yield found
    app.extensions["forebay"].close()


class FullFile:
    """A file on a file system without room."""

    def __init__(self, file, number: int) -> None:
        self._file = file
        self._number = number

    def __enter__(self):
        return self

    def __exit__(self, *_details) -> None:
        self._file.close()

    def write(self, piece: bytes) -> int:
        self._file.write(piece[: len(piece) // 2])
        raise OSError(self._number, "no room")


@pytest.fixture
def no_room(monkeypatch):
    """Let every file opened for writing fail half way; call it with the error."""
    opened = Path.open

    def begin(number: int) -> None:
        def full(path, mode="r", *more, **named):
            file = opened(path, mode, *more, **named)
            return FullFile(file, number) if path.suffix == ".part" else file

        monkeypatch.setattr(Path, "open", full)

    return begin


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_an_upload_without_room_is_told_so_and_leaves_nothing(
    client, settings: Settings, no_room, number
):
    no_room(number)
    answer = client.post("/v1/uploads?filename=a.csv", data=b"series,ts,value\n")
    assert answer.status_code == 507
    assert answer.json["type"] == "/problems/storage-full"
    assert answer.headers["Retry-After"]
    assert [one for one in settings.artifacts_path.rglob("*") if one.is_file()] == []


def test_any_other_fault_of_the_disk_is_not_taken_for_a_full_one(client, no_room):
    no_room(errno.EIO)
    answer = client.post("/v1/uploads?filename=a.csv", data=b"series,ts,value\n")
    assert answer.status_code == 500
