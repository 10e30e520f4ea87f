"""Requests to buckets are signed as Amazon says, and a bucket that checks agrees."""

from collections.abc import Iterator
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.buckets import BucketTransport, Endpoint
from ingest.exchange import Answer, NotAllowed, Request
from ingest.placeholders import MissingSecret
from tests.ingest.carrying import NOW, outside, transport
from tests.sources.scripted import reply, serve_script
from tests.tasks import bucket as fake

KEYS = {"access_key": fake.ACCESS_KEY, "secret_key": fake.SECRET_KEY}
LIST = ("list-type", "2")


@pytest.fixture
def served() -> Iterator[fake.FakeBucket]:
    with fake.serving() as found:
        yield found


def asked(tmp_path, url: str, request: Request, keys=KEYS) -> Answer:
    """Return the answer of a bucket at an address."""
    world = outside(tmp_path, keys)
    with transport(tmp_path, keys) as http:
        carrier = BucketTransport(
            http,
            endpoint=Endpoint(url, fake.REGION),
            secrets=world.secrets,
            clock=world.clock,
        )
        return carrier.send(request)


@pytest.mark.parametrize(
    "key",
    [
        "rows.csv",
        "2026/10/rows.csv",
        "a b+c&d=e.csv",
        "größe~1.csv",
        "a//b",
        "50%25.csv",
        "what?#.csv",
        "plus+plus",
    ],
)
def test_an_object_is_read_whatever_its_name(tmp_path, served, key):
    served.objects[key.replace("%25", "%")] = b"1,2\n"
    answer = asked(tmp_path, served.url, Request(f"s3://{fake.BUCKET}/{key}"))
    assert (answer.status, answer.body, served.refused) == (200, b"1,2\n", [])
    assert answer.headers["last-modified"] == "Thu, 01 Jan 2026 00:00:00 GMT"
    assert "etag" in answer.headers


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    prefix=st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12),
    token=st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=12),
)
def test_a_list_is_signed_whatever_it_asks_for(tmp_path, served, prefix, token):
    params = (LIST, ("prefix", prefix), ("continuation-token", token))
    request = Request(f"s3://{fake.BUCKET}/", params=params)
    assert asked(tmp_path, served.url, request).status == 200
    assert served.refused == []


def test_a_list_has_pages(tmp_path, served):
    served.objects |= {f"in/{name}.csv": b"1" for name in "abc"} | {"out": b"2"}
    request = Request(f"s3://{fake.BUCKET}/", params=(LIST, ("prefix", "in/")))
    first = ET.fromstring(asked(tmp_path, served.url, request).body)
    after = first.findtext("NextContinuationToken", "")
    following = replace(
        request, params=(*request.params, ("continuation-token", after))
    )
    second = ET.fromstring(asked(tmp_path, served.url, following).body)
    keys = [one.text for page in (first, second) for one in page.iter("Key")]
    assert keys == ["in/a.csv", "in/b.csv", "in/c.csv"]


def test_a_wrong_key_is_an_answer_that_says_so(tmp_path, served):
    keys = {**KEYS, "secret_key": "another-secret"}
    answer = asked(tmp_path, served.url, Request(f"s3://{fake.BUCKET}/rows"), keys)
    assert answer.status == 403
    assert served.refused == ["the signature is wrong"]


def test_without_keys_nothing_is_signed(tmp_path, served):
    request = Request(f"s3://{fake.BUCKET}/rows")
    assert asked(tmp_path, served.url, request, {}).status == 403
    assert served.refused == ["not signed"]


def test_half_of_the_keys_is_not_enough(tmp_path, served):
    keys = {"access_key": fake.ACCESS_KEY}
    with pytest.raises(MissingSecret, match="secret_key"):
        asked(tmp_path, served.url, Request(f"s3://{fake.BUCKET}/rows"), keys)
    assert served.calls == []


def test_the_day_of_a_signature_is_that_of_the_clock(tmp_path):
    with serve_script(reply(b"")) as served:
        url = f"http://store.test:{served.port}/"
        asked(tmp_path, url, Request("s3://rows/a b"), {**KEYS, "session_token": "tok"})
    head = served.requests[0].decode()
    assert head.startswith("GET /rows/a%20b HTTP/1.1\r\n")
    assert f"x-amz-date: {NOW:%Y%m%dT%H%M%SZ}\r\n" in head
    assert f"/{NOW:%Y%m%d}/{fake.REGION}/s3/aws4_request" in head
    assert "x-amz-security-token: tok\r\n" in head
    assert fake.SECRET_KEY not in head


def test_a_signed_request_is_not_redirected(tmp_path):
    moved = reply(b"", "Location: http://other.test/", status="307 Temporary Redirect")
    with serve_script(moved) as served:
        url = f"http://store.test:{served.port}"
        assert asked(tmp_path, url, Request("s3://rows/a")).status == 307
    assert len(served.requests) == 1


def test_without_an_endpoint_amazon_is_asked(tmp_path):
    judged = []

    def judge(url: str) -> tuple[str, ...]:
        judged.append(url)
        raise NotAllowed("seen")

    with transport(tmp_path, KEYS, judge=judge) as http:
        carrier = BucketTransport(
            http, endpoint=Endpoint(), secrets=KEYS, clock=lambda: NOW
        )
        with pytest.raises(NotAllowed, match="seen"):
            carrier.send(Request("s3://rows/a.csv"))
    assert judged == ["https://s3.us-east-1.amazonaws.com/rows/a.csv"]


@pytest.mark.parametrize(
    "request_", [Request("s3:///key"), Request("s3://rows/a", method="POST", body="")]
)
def test_what_is_no_object_is_not_asked_for(tmp_path, served, request_):
    with pytest.raises(NotAllowed, match="read as s3://"):
        asked(tmp_path, served.url, request_)
    assert served.calls == []
