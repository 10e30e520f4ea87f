"""The scheme of an address says what carries it."""

import paramiko
import pytest

from ingest.buckets import Endpoint
from ingest.exchange import NotAllowed, Request
from ingest.transports import Places, Transports
from tests.ingest.carrying import outside
from tests.sources import sftp
from tests.sources.scripted import reply, serve_script
from tests.tasks import bucket as fake


@pytest.fixture
def drop(tmp_path):
    found = tmp_path / "drop"
    found.mkdir()
    (found / "rows.csv").write_bytes(b"from a folder")
    return found


def test_http_is_carried(tmp_path):
    with (
        serve_script(reply(b"from the web")) as served,
        Transports(outside(tmp_path)) as transports,
    ):
        answer = transports.send(Request(f"http://source.test:{served.port}/"))
    assert answer.body == b"from the web"


def test_files_of_listed_folders_are_carried(tmp_path, drop):
    with Transports(outside(tmp_path), places=Places(roots=(drop,))) as transports:
        answer = transports.send(Request(f"file://{drop}/rows.csv"))
    assert answer.body == b"from a folder"


def test_without_a_list_no_folder_is_read(tmp_path, drop):
    with Transports(outside(tmp_path)) as transports, pytest.raises(NotAllowed):
        transports.send(Request(f"file://{drop}/rows.csv"))


def test_files_of_sftp_are_carried(tmp_path, drop):
    secrets = {"user": sftp.USER, "password": sftp.PASSWORD}
    with sftp.serve_folder(drop, key=paramiko.ECDSAKey.generate()) as served:
        places = Places(host_key=served.host_key)
        with Transports(outside(tmp_path, secrets), places=places) as transports:
            request = Request(f"sftp://{served.host}/rows.csv")
            answers = [transports.send(request) for _ in range(2)]
    assert [one.body for one in answers] == [b"from a folder"] * 2
    assert served.logins == 1


def test_objects_of_buckets_are_carried(tmp_path):
    secrets = {"access_key": fake.ACCESS_KEY, "secret_key": fake.SECRET_KEY}
    with fake.serving() as served:
        served.objects["rows.csv"] = b"from a bucket"
        places = Places(endpoint=Endpoint(served.url, fake.REGION))
        with Transports(outside(tmp_path, secrets), places=places) as transports:
            answer = transports.send(Request(f"s3://{fake.BUCKET}/rows.csv"))
    assert answer.body == b"from a bucket"


@pytest.mark.parametrize("url", ["ftp://a.test/", "gopher://a.test/", "", "rows.csv"])
def test_no_other_scheme_is_carried(tmp_path, url):
    with Transports(outside(tmp_path)) as transports, pytest.raises(NotAllowed):
        transports.send(Request(url))


def test_what_a_source_gave_is_put_into_requests(tmp_path):
    with (
        serve_script(reply(b"token: given-today")) as served,
        Transports(outside(tmp_path)) as transports,
    ):
        transports.learn("token", "given-today")
        url = f"http://source.test:{served.port}/"
        answer = transports.send(Request(url, headers={"X-Token": "{secret:token}"}))
    assert b"X-Token: given-today\r\n" in served.requests[0]
    assert answer.body == b"token: ***"
