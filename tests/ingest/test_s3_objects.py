"""Objects of buckets: samples, lists in pages, versions, and what S3 says of errors."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from ingest.buckets import BucketTransport, Endpoint
from ingest.connectors.s3_objects import S3Objects, S3ObjectsConfig
from ingest.contract import Partition
from ingest.fetch import exchanges
from ingest.table_layout import TableLayout
from tests.ingest.carrying import NOW, transport
from tests.ingest.wire_samples import after_each_fault, codes, made, rows, sample
from tests.sources import bucket as fake
from tests.sources.server import serve
from tests.sources.truth import DAY, Truth, grid

START = datetime(2026, 1, 1, tzinfo=UTC)
MONTH = Partition("month", START, START + 31 * DAY)
SENT = START + 12 * DAY
KEYS = {"access_key": "AKFAKE", "secret_key": "a-fake-secret"}


def bucket(**more):
    fields = {
        "bucket": "b-1",
        "prefix": "load/",
        "pattern": "load/%Y/%m/%d.csv",
        "layout": TableLayout(series_columns=("series",)),
    }
    return S3Objects(S3ObjectsConfig(**{**fields, **more}))


def listed(answer, connector=None, partition=MONTH):
    connector = connector or bucket()
    (request,) = connector.requests(partition)
    return connector.read(request, answer, partition)


def test_a_list_leads_to_its_next_page_and_to_its_objects():
    answer = sample("generic/s3_list.xml", media_type="application/xml")
    page = listed(answer)
    assert page.verdict.cls == "metadata"
    onward, found = page.follow
    assert dict(onward.params)["continuation-token"] == "tok1"
    assert found.url == "s3://b-1/load/2026/01/09.csv"
    etag = '"9b2cf535f27731c974343645a3985328"'
    assert found.headers == {"If-Match": etag}
    assert found.place["identity"] == (
        f"load/2026/01/09.csv|{etag}|2048|2026-01-10T02:11:09+00:00"
    )


def test_an_object_that_is_sent_again_is_another_version():
    text = sample("generic/s3_list.xml").body.decode()
    before = listed(made(text)).follow[1]
    for old, new in (
        ("343645a3985328", "0000000000000"),
        ("02:11:09", "03:00:00"),
        (">2048<", ">2049<"),
    ):
        after = listed(made(text.replace(old, new))).follow[1]
        assert after.place["identity"] != before.place["identity"]


def test_a_list_that_leads_to_itself_or_nowhere_is_an_error():
    answer, connector = sample("generic/s3_list.xml"), bucket()
    onward = listed(answer).follow[0]
    assert connector.read(onward, answer, MONTH).verdict.cls == "malformed"
    text = answer.body.replace(b"NextContinuationToken", b"Other")
    assert listed(made(text)).verdict.cls == "malformed"


@pytest.mark.parametrize(
    ("status", "code", "cls"),
    [
        (503, "SlowDown", "rate_limited"),
        (200, "SlowDown", "rate_limited"),
        (503, "ServiceUnavailable", "transient"),
        (500, "InternalError", "transient"),
        (403, "AccessDenied", "auth"),
        (403, "SignatureDoesNotMatch", "auth"),
        (400, "ExpiredToken", "auth"),
        (404, "NoSuchBucket", "config"),
        (301, "PermanentRedirect", "config"),
        (403, "RequestTimeTooSkewed", "config"),
        (418, "Unheard", "config"),
        (200, "Unheard", "transient"),
    ],
)
def test_errors_are_told_by_their_code(status, code, cls):
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code></Error>"
    assert listed(made(body, status)).verdict.cls == cls


def test_the_sample_of_slowing_down_is_a_limit():
    answer = sample("generic/s3_err_slowdown.xml", 503, "application/xml")
    assert listed(answer).verdict.cls == "rate_limited"
    after = listed(replace(answer, headers={"retry-after": "7"})).verdict
    assert after.wait_s == 7


@pytest.mark.parametrize(
    ("body", "cls"),
    [
        ("<ListBucketResult><IsTrunc", "transient"),
        ("<Other/>", "schema_drift"),
        ("<!DOCTYPE html><html>Will be right back</html>", "transient"),
        ("<ListBucketResult><Contents/></ListBucketResult>", "malformed"),
    ],
)
def test_what_is_no_list_is_not_taken_for_an_empty_one(body, cls):
    assert listed(made(body)).verdict.cls == cls


def test_an_entity_that_would_grow_without_end_is_not_read():
    bomb = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12))
    text = f'<!DOCTYPE l [<!ENTITY a0 "xxxxxxxxxx">{bomb}]><ListBucketResult>'
    page = listed(made(f"{text}<Name>&a11;</Name></ListBucketResult>"))
    assert page.follow == ()


ENTRY = (
    "<Contents><Key>{0}</Key><LastModified>2026-01-10T00:00:00.000Z</LastModified>"
    "<ETag>e</ETag><Size>{1}</Size><StorageClass>{2}</StorageClass></Contents>"
)


@pytest.mark.parametrize(
    ("key", "size", "kept"),
    [
        ("load/2026/01/09.csv", 5, "STANDARD"),
        ("load/2026/02/09.csv", 5, ""),
        ("load/2026/01/09.csv.part", 5, ""),
        ("load/2026/01/09.csv", 0, ""),
        ("load/2026/01/", 0, ""),
        ("load/2026/01/09.csv", 5, "GLACIER"),
    ],
)
def test_only_whole_objects_of_the_window_are_read(key, size, kept):
    entry = ENTRY.format(key, size, kept or "STANDARD")
    body = f"<ListBucketResult>{entry}</ListBucketResult>"
    assert len(listed(made(body)).follow) == (kept == "STANDARD")


def test_keys_are_read_as_they_were_written():
    entry = ENTRY.format("load/a%2Bb+c%C3%A9.csv", 5, "STANDARD")
    body = (
        f"<ListBucketResult><EncodingType>url</EncodingType>{entry}</ListBucketResult>"
    )
    (request,) = listed(made(body), bucket(pattern="*.csv")).follow
    assert request.place["name"] == "load/a+b cé.csv"
    assert request.url == "s3://b-1/load/a%2Bb%20c%C3%A9.csv"


def of_file(body, status=200, **headers):
    connector = bucket()
    (_, request) = listed(sample("generic/s3_list.xml")).follow
    return connector.read(request, made(body, status, **headers), MONTH)


def test_an_object_that_changed_since_it_was_listed_is_asked_for_later():
    body = "ts,series,value\n2026-01-09T00:00Z,A,1\n"
    assert of_file(body, 412).verdict.cls == "transient"
    assert of_file(body, etag='"another"').verdict.cls == "transient"
    assert of_file(body, content_length="2047").verdict.cls == "transient"
    assert of_file(body).verdict.cls == "ok"


def test_a_bad_object_does_not_keep_the_others_out():
    page = of_file(b"\xff\xfe\x00")
    assert page.verdict.cls == "ignored"
    assert page.verdict.detail.startswith("malformed: ")
    assert codes(page) == [(1, "malformed_file")]


def test_rows_are_known_since_their_object_was_written():
    (batch,) = of_file("ts,series,value\n2026-01-09T00:00Z,A,1\n").batches
    written = datetime(2026, 1, 10, 2, 11, 9, tzinfo=UTC)
    assert batch.rows["published_at"].to_pylist() == [written]


def read_bucket(served, folder, connector, partition=MONTH):
    with transport(folder, KEYS) as http:
        carrier = BucketTransport(
            http, endpoint=Endpoint(served.url), secrets=KEYS, clock=lambda: NOW
        )
        return list(
            exchanges(connector, partition, transport=carrier, pause=lambda _s: None)
        )


def told(truth, as_of):
    return sorted(
        (
            (name.lower(), ts, value, None)
            for (name, ts), value in truth.values(as_of).items()
        ),
        key=str,
    )


def test_more_than_5000_rows_come_object_by_object(tmp_path):
    truth = Truth(1, series=("A", "B", "C", "D"), starts=grid(START, 24 * 60))
    source = fake.Bucket(most=10)
    source.put_days(truth, START + 90 * DAY)
    with serve(source) as served:
        plan = bucket().plan(START, START + 60 * DAY)
        found = [
            one
            for part in plan
            for one in read_bucket(served, tmp_path, bucket(), part)
        ]
        assert rows(found) == told(truth, START + 90 * DAY)
        again = read_bucket(served, tmp_path, bucket(), plan[1])
        assert set(rows(again)) < set(rows(found))
        assert KEYS["secret_key"] not in repr(served.calls)


def test_any_single_fault_gives_the_same_rows(tmp_path):
    truth = Truth(2, starts=grid(START, 24 * 3))
    source = fake.Bucket(most=2)
    source.put_days(truth, SENT)
    with serve(source) as served:
        for call, fault, found in after_each_fault(
            served, lambda: rows(read_bucket(served, tmp_path, bucket()))
        ):
            assert found == told(truth, SENT), (call, fault)


def test_a_revision_arrives_with_the_object_that_holds_it(tmp_path):
    truth = Truth(3, starts=grid(START, 48), revised=0.0, missing=0.0)
    source = fake.Bucket()
    source.put_days(truth, SENT)
    with serve(source) as served:
        before = read_bucket(served, tmp_path, bucket())
        truth.revise("A", START, 1.25, SENT + timedelta(hours=1))
        source.put_days(truth, SENT + timedelta(hours=2))
        after = read_bucket(served, tmp_path, bucket())
    assert set(rows(after)) - set(rows(before)) == {("a", START, 1.25, None)}
    assert {one.request.fingerprint for one in after[1:]} != {
        one.request.fingerprint for one in before[1:]
    }


@pytest.mark.parametrize(
    ("status", "code", "cls"),
    [
        (400, "ThrottlingException", "rate_limited"),
        (409, "OperationAborted", "transient"),
        (409, "Unheard", "config"),
    ],
)
def test_a_code_that_is_not_listed_is_told_by_its_words(status, code, cls):
    body = f"<Error><Code>{code}</Code><Message>m</Message></Error>"
    verdict = listed(made(body, status)).verdict
    assert (verdict.cls, verdict.detail) == (cls, f"{code}: m")
