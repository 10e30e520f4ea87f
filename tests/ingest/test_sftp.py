"""Files come over SSH from the server whose key is pinned, and from no other."""

import io
import json
import os
from datetime import UTC, datetime

import paramiko
import pytest

from ingest.exchange import NotAllowed, RateLimited, Request, Unreachable
from ingest.placeholders import MissingSecret, UnfitSecret
from ingest.sftp import SftpTransport
from ingest.spool import TooLarge
from ingest.wire import Wire
from tests.ingest.carrying import outside
from tests.sources.sftp import PASSWORD, USER, serve_folder

ROWS = b"ts,value\n" + b"2026-01-01T00:00Z,1.5\n" * 20_000
AT = datetime(2026, 10, 1, 17, 30, tzinfo=UTC)
LOGIN = {"user": USER, "password": PASSWORD}


@pytest.fixture(scope="module")
def key():
    return paramiko.ECDSAKey.generate()


@pytest.fixture
def served(tmp_path, key):
    root = tmp_path / "drop"
    (root / "2026").mkdir(parents=True)
    for name in ("b.csv", "a file.csv", "2026/final.csv"):
        (root / name).write_bytes(ROWS)
        os.utime(root / name, (AT.timestamp(), AT.timestamp()))
    (root / "link.csv").symlink_to(root / "b.csv")
    with serve_folder(root, key=key) as found:
        yield found


@pytest.fixture
def opened(tmp_path, served):
    """Open a transport; what it opened is closed in the end."""
    carriers = []

    def open_one(secrets=None, *, host_key=None, **more) -> SftpTransport:
        pinned = served.host_key if host_key is None else host_key
        given = LOGIN if secrets is None else secrets
        found = SftpTransport(outside(tmp_path, given, **more), host_key=pinned)
        carriers.append(found)
        return found

    yield open_one
    for one in carriers:
        one.close()


def test_a_folder_is_listed(served, opened):
    answer = opened().send(Request(f"sftp://{served.host}/"))
    expected = {"size": len(ROWS), "mtime": "2026-10-01T17:30:00+00:00"}
    assert json.loads(answer.body) == {
        "files": [{"name": name, **expected} for name in ("a file.csv", "b.csv")]
    }


def test_a_listing_goes_as_deep_as_it_is_asked_to(served, opened):
    deep = Request(f"sftp://{served.host}/~/", params=(("depth", "2"),))
    files = json.loads(opened().send(deep).body)["files"]
    assert [one["name"] for one in files] == ["2026/final.csv", "a file.csv", "b.csv"]


@pytest.mark.parametrize("path", ["b.csv", "a%20file.csv", "~/b.csv", "2026/final.csv"])
def test_a_file_is_read_with_its_size_and_time(served, opened, path):
    answer = opened().send(Request(f"sftp://{served.host}/{path}"))
    assert (answer.status, answer.whole, answer.body == ROWS) == (200, True, True)
    assert answer.headers["content-length"] == str(len(ROWS))
    assert answer.headers["last-modified"] == "Thu, 01 Oct 2026 17:30:00 GMT"


def test_one_log_in_serves_many_requests(served, opened):
    carrier = opened()
    tag = carrier.send(Request(f"sftp://{served.host}/b.csv")).headers["etag"]
    known = {"If-None-Match": tag}
    again = carrier.send(Request(f"sftp://{served.host}/b.csv", headers=known))
    assert (again.status, again.body, served.logins) == (304, b"", 1)


def test_a_large_file_lies_in_a_file(tmp_path, served, opened):
    carrier = opened(wire=Wire(in_memory=1_000))
    answer = carrier.send(Request(f"sftp://{served.host}/b.csv"))
    assert answer.path.parent == tmp_path
    assert answer.body == ROWS
    with pytest.raises(TooLarge):
        opened(wire=Wire(most_bytes=10)).send(Request(f"sftp://{served.host}/b.csv"))


def test_a_key_lets_in_as_a_password_does(served, opened):
    served.client_key = paramiko.ECDSAKey.generate()
    text = io.StringIO()
    served.client_key.write_private_key(text)
    carrier = opened({"user": USER, "private_key": text.getvalue()})
    assert carrier.send(Request(f"sftp://{served.host}/b.csv")).status == 200


def test_a_key_that_is_none_is_named_and_not_shown(served, opened):
    carrier = opened({"user": USER, "private_key": "-----BEGIN nothing-----"})
    with pytest.raises(UnfitSecret, match=r"^the secret private_key cannot be used"):
        carrier.send(Request(f"sftp://{served.host}/b.csv"))


def test_a_wrong_password_is_an_answer_that_says_so(served, opened):
    carrier = opened({**LOGIN, "password": "wrong-password"})
    answer = carrier.send(Request(f"sftp://{served.host}/b.csv"))
    assert (answer.status, answer.body) == (401, b"the server refuses user or key")


@pytest.mark.parametrize("missing", ["user", "password", "host_key"])
def test_what_is_missing_to_log_in_is_named(served, opened, missing):
    secrets = {name: value for name, value in LOGIN.items() if name != missing}
    carrier = opened(secrets, host_key="" if missing == "host_key" else None)
    with pytest.raises(MissingSecret) as error:
        carrier.send(Request(f"sftp://{served.host}/b.csv"))
    assert error.value.name == missing
    assert served.logins == 0


def test_the_host_key_may_be_a_fingerprint_or_a_secret(served, opened):
    fingerprint = served.key.fingerprint
    request = Request(f"sftp://{served.host}/b.csv")
    assert opened(host_key=fingerprint).send(request).status == 200
    secrets = {**LOGIN, "host_key": f"{served.host_key} a comment"}
    assert opened(secrets, host_key="").send(request).status == 200


@pytest.mark.parametrize("kind", ["line", "fingerprint", "nonsense"])
def test_a_server_with_another_key_is_told_no_password(served, opened, kind):
    other = paramiko.ECDSAKey.generate()
    pinned = {
        "line": f"{other.get_name()} {other.get_base64()}",
        "fingerprint": other.fingerprint,
        "nonsense": "nonsense",
    }[kind]
    with pytest.raises(NotAllowed, match="not the pinned one"):
        opened(host_key=pinned).send(Request(f"sftp://{served.host}/b.csv"))
    assert served.logins == 0


@pytest.mark.parametrize(
    ("path", "status"), [("none.csv", 404), ("none/", 404), ("2026", 404)]
)
def test_what_is_not_there_is_not_found(served, opened, path, status):
    carrier = opened()
    assert carrier.send(Request(f"sftp://{served.host}/{path}")).status == status
    assert carrier.send(Request(f"sftp://{served.host}/b.csv")).status == 200


def test_a_file_that_breaks_off_is_not_whole_and_the_next_try_is(served, opened):
    carrier, request = opened(), Request(f"sftp://{served.host}/b.csv")
    served.cut_after = 100_000
    broken = carrier.send(request)
    assert not broken.whole
    assert ROWS.startswith(broken.body)
    assert carrier.send(request).body == ROWS
    assert served.logins == 2


def test_a_closed_port_is_unreachable(served, opened):
    carrier = opened()
    with pytest.raises(Unreachable, match=r"^127\.0\.0\.1: the connection failed"):
        carrier.send(Request("sftp://127.0.0.1:1/b.csv"))


def test_a_judge_and_a_pace_are_asked_first(served, opened):
    def never(_url: str) -> tuple[str, ...]:
        raise NotAllowed("a private address")

    def full(_request: Request) -> None:
        raise RateLimited(60, "slowly")

    request = Request(f"sftp://{served.host}/b.csv")
    with pytest.raises(NotAllowed, match="private"):
        opened(judge=never).send(request)
    with pytest.raises(RateLimited):
        opened(pace=full).send(request)
    assert served.logins == 0


@pytest.mark.parametrize(
    "url",
    [
        "sftp:///b.csv",
        "sftp://me@{host}/b.csv",
        "sftp://{host}/../b.csv",
        "sftp://a:b/",
    ],
)
def test_what_is_no_address_is_not_asked(served, opened, url):
    with pytest.raises(NotAllowed):
        opened().send(Request(url.format(host=served.host)))


def test_the_password_does_not_come_through(tmp_path, served, opened, caplog):
    caplog.set_level("DEBUG")
    (tmp_path / "drop" / "b.csv").write_text(f"user,{PASSWORD}\n")
    answer = opened().send(Request(f"sftp://{served.host}/b.csv"))
    assert answer.body == b"user,***\n"
    assert PASSWORD not in caplog.text
