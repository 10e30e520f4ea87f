"""Only listed folders are read, and nothing that lies outside of them."""

import hashlib
import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ingest.exchange import Answer, NotAllowed, Request
from ingest.folders import FolderTransport
from ingest.spool import TooLarge
from ingest.wire import Wire
from tests.ingest.carrying import NOW, outside

ROWS = b"ts,value\n2026-01-01T00:00Z,1.5\n"
AT = datetime(2026, 10, 1, 17, 30, tzinfo=UTC)


@pytest.fixture
def drop(tmp_path) -> Path:
    """A drop folder with a file, a folder below, and a secret beside it."""
    found = tmp_path / "drop"
    (found / "2026" / "10").mkdir(parents=True)
    for name in ("b.csv", "a file #1.csv", "2026/early.csv", "2026/10/final.csv"):
        path = found / name
        path.write_bytes(ROWS)
        os.utime(path, (AT.timestamp(), AT.timestamp()))
    (tmp_path / "secret").write_text("not yours")
    (tmp_path / "drop of others").mkdir()
    return found


def asked(drop: Path, name: str, *, wire: Wire | None = None, **more) -> Answer:
    """Return the answer to a request for what lies in the drop folder."""
    spool = drop.parent / "spool"
    spool.mkdir(exist_ok=True)
    world = outside(spool, wire=wire or Wire())
    carrier = FolderTransport(world, roots=(drop.parent / "other", drop))
    return carrier.send(Request(f"file://{drop}{name}", **more))


def names(answer: Answer) -> list[str]:
    return [one["name"] for one in json.loads(answer.body)["files"]]


def test_a_folder_is_listed_in_the_order_of_names(drop):
    answer = asked(drop, "/")
    assert answer.media_type == "application/json"
    assert (answer.status, answer.whole, answer.fetched_at) == (200, True, NOW)
    expected = {"size": len(ROWS), "mtime": "2026-10-01T17:30:00+00:00"}
    assert json.loads(answer.body) == {
        "files": [{"name": name, **expected} for name in ("a file #1.csv", "b.csv")]
    }


@pytest.mark.parametrize(
    ("depth", "below"),
    [
        ("1", []),
        ("2", ["2026/early.csv"]),
        ("8", ["2026/10/final.csv", "2026/early.csv"]),
    ],
)
def test_a_listing_goes_as_deep_as_it_is_asked_to(drop, depth, below):
    answer = asked(drop, "/", params=(("depth", depth),))
    assert names(answer) == [*below, "a file #1.csv", "b.csv"]


@pytest.mark.parametrize("depth", ["0", "9", "-1", "many", "²"])
def test_a_depth_is_a_small_number(drop, depth):
    with pytest.raises(NotAllowed, match="from 1 to 8"):
        asked(drop, "/", params=(("depth", depth),))


@pytest.mark.parametrize(
    "name", ["/b.csv", "/a file #1.csv", "/a%20file%20%231.csv", "/2026//10/final.csv"]
)
def test_a_file_is_read_with_its_size_and_time(drop, name):
    answer = asked(drop, name)
    assert (answer.status, answer.body, answer.whole) == (200, ROWS, True)
    assert answer.sha256 == hashlib.sha256(ROWS).hexdigest()
    assert answer.headers["content-length"] == str(len(ROWS))
    assert answer.headers["last-modified"] == "Thu, 01 Oct 2026 17:30:00 GMT"


def test_a_file_that_is_known_already_is_not_read_again(drop):
    tag = asked(drop, "/b.csv").headers["etag"]
    again = asked(drop, "/b.csv", headers={"If-None-Match": f'"x", {tag}'})
    assert (again.status, again.body) == (304, b"")
    (drop / "b.csv").write_bytes(ROWS * 2)
    changed = asked(drop, "/b.csv", headers={"If-None-Match": tag})
    assert (changed.status, changed.body) == (200, ROWS * 2)
    assert changed.headers["etag"] != tag


def test_a_large_file_is_copied_so_that_it_stays_what_it_was(drop):
    answer = asked(drop, "/b.csv", wire=Wire(in_memory=3))
    (drop / "b.csv").write_bytes(b"something else")
    assert answer.path.parent == drop.parent / "spool"
    assert answer.body == ROWS


def test_a_file_beyond_the_limit_is_refused(drop):
    with pytest.raises(TooLarge):
        asked(drop, "/b.csv", wire=Wire(most_bytes=len(ROWS) - 1))


def test_a_file_that_grows_while_it_is_read_is_not_whole(drop):
    path = drop / "b.csv"

    def grows(_: str | None = None) -> datetime:
        with path.open("ab") as growing:
            growing.write(b"more\n")
        return NOW

    carrier = FolderTransport(outside(drop, clock=grows), roots=(drop,))
    assert not carrier.send(Request(f"file://{path}")).whole


@pytest.mark.parametrize(
    "name", ["/none.csv", "/none/", "/b.csv/", "/b.csv/x", "/2026"]
)
def test_what_is_not_there_is_not_found(drop, name):
    assert asked(drop, name).status == 404


@pytest.mark.parametrize(
    "url",
    [
        "{drop}/../secret",
        "{drop}/%2e%2e/secret",
        "{drop}/2026/../../secret",
        "{drop}/./b.csv",
        "{above}/secret",
        "{above}/drop of others/",
        "{above}/",
        "/etc/passwd",
        "/",
        "",
        "{drop}/b.csv%00.txt",
    ],
)
def test_nothing_outside_of_a_listed_folder_is_read(drop, url):
    carrier = FolderTransport(outside(drop), roots=(drop,))
    path = url.format(drop=drop, above=drop.parent)
    with pytest.raises(NotAllowed):
        carrier.send(Request(f"file://{path}"))


def test_without_listed_folders_nothing_is_read(drop):
    with pytest.raises(NotAllowed, match="not below a folder"):
        FolderTransport(outside(drop), roots=()).send(Request(f"file://{drop}/"))


def test_files_of_another_machine_are_not_read(drop):
    carrier = FolderTransport(outside(drop), roots=(drop,))
    with pytest.raises(NotAllowed):
        carrier.send(Request(f"file://files.test{drop}/b.csv"))
    assert carrier.send(Request(f"file://localhost{drop}/b.csv")).body == ROWS


def test_no_link_is_followed_and_none_is_listed(drop):
    (drop / "link.csv").symlink_to(drop.parent / "secret")
    (drop / "inner.csv").symlink_to(drop / "b.csv")
    (drop / "away").symlink_to(drop.parent)
    for name in ("/link.csv", "/inner.csv", "/away/secret", "/away/"):
        with pytest.raises(NotAllowed, match="link"):
            asked(drop, name)
    assert names(asked(drop, "/", params=(("depth", "3"),))) == [
        "2026/10/final.csv",
        "2026/early.csv",
        "a file #1.csv",
        "b.csv",
    ]


def test_a_listed_folder_may_itself_be_reached_by_a_link(drop):
    link = drop.parent / "current"
    link.symlink_to(drop)
    carrier = FolderTransport(outside(drop), roots=(link,))
    assert carrier.send(Request(f"file://{link}/b.csv")).body == ROWS


def test_a_pipe_does_not_hold_the_reader(drop):
    os.mkfifo(drop / "pipe")
    with pytest.raises(NotAllowed, match="regular"):
        asked(drop, "/pipe")
    assert names(asked(drop, "/")) == ["a file #1.csv", "b.csv"]


def test_a_missing_root_is_not_found(tmp_path):
    gone = tmp_path / "gone"
    carrier = FolderTransport(outside(tmp_path), roots=(gone,))
    assert carrier.send(Request(f"file://{gone}/")).status == 404


def test_no_file_stays_open(drop):
    before = len(list(Path("/proc/self/fd").iterdir()))
    for name in ("/", "/b.csv", "/none", "/2026", "/2026/10/final.csv"):
        asked(drop, name)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_secret_of_the_source_is_taken_out_of_files_too(drop):
    (drop / "b.csv").write_bytes(b"key=s3cr3t-key;")
    world = outside(drop, {"key": "s3cr3t-key"})
    answer = FolderTransport(world, roots=(drop,)).send(Request(f"file://{drop}/b.csv"))
    assert answer.body == b"key=***;"
    assert answer.whole
