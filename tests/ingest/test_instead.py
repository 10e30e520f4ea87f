"""What comes instead of data, whatever its status says, from each connector's view."""

import gzip
import json
from dataclasses import replace

import pytest

from ingest.connectors import connectors
from ingest.exchange import Answer
from ingest.refusals import refusal, refused
from ingest.verdicts import decoded, general, markup, retry_after_s
from tests.ingest.wire_samples import counted, made

LOG_IN = (
    b"<html><head><title>Sign in</title></head><body><form>"
    b'<input name="user"><input class="x" type="password"></form></body></html>'
)
AWAY = b"<html><body>Will be right back</body></html>"
FOLDERS = {"cme_settlements", "drop_folder", "grid_india_psp"}
"""Their listings are our own, so no publisher's notice comes in their place."""

ASKED = sorted(connectors().keys() - FOLDERS)
JSON = sorted(set(ASKED) - {"entsoe", "s3_objects", "singer_tap", "web_table"})


def answered(name: str, body: bytes, status: int = 200, **headers: str):
    """Return what the last request of a connector's example makes of a body."""
    kind = connectors()[name]
    example = kind.example()
    reader = kind(example.config)
    (request, *_) = reader.requests(example.partition)
    for before in example.answers[:-1]:
        page = reader.read(request, before, example.partition)
        request = page.follow[-1]
    return reader.read(request, made(body, status, **headers), example.partition)


def whole(name: str) -> Answer:
    return connectors()[name].example().answers[-1]


@pytest.mark.parametrize("name", sorted(connectors()))
def test_a_body_may_come_packed_without_a_word_of_it(name):
    plain, media_type = whole(name).body, whole(name).media_type
    packed = answered(name, gzip.compress(plain), content_type=media_type)
    found = counted(packed)
    assert found == counted(answered(name, plain, content_type=media_type))
    assert found[1] > 0


@pytest.mark.parametrize("name", sorted(connectors()))
def test_a_packed_body_that_is_cut_off_is_asked_for_again(name):
    media_type = whole(name).media_type
    cut_off = gzip.compress(whole(name).body)[:-9]
    page = answered(name, cut_off, content_type=media_type)
    assert counted(page)[:2] == ("transient", 0)


@pytest.mark.parametrize("name", ASKED)
def test_a_page_that_asks_for_a_password_needs_a_person(name):
    page = answered(name, LOG_IN, content_type="text/html")
    assert counted(page)[:2] == ("auth", 0)
    assert "Sign in" in page.verdict.detail


@pytest.mark.parametrize("name", sorted(set(ASKED) - {"web_table"}))
@pytest.mark.parametrize(
    "before",
    [
        b"\xef\xbb\xbf",
        b"\n<!-- cached -->\n",
        b'<?xml version="1.0"?>\n<!DOCTYPE html>',
    ],
)
def test_a_page_is_one_whatever_stands_before_it(name, before):
    page = answered(name, before + AWAY, content_type="text/html")
    assert counted(page)[:2] == ("transient", 0)
    assert "right back" in page.verdict.detail


@pytest.mark.parametrize("name", sorted(connectors()))
def test_an_answer_without_content_is_empty(name):
    assert counted(answered(name, b"", 204))[:2] == ("empty", 0)


@pytest.mark.parametrize("name", sorted(set(ASKED) - {"s3_objects", "web_table"}))
@pytest.mark.parametrize(
    ("error", "cls"),
    [
        ({"error": "API rate limit exceeded"}, "rate_limited"),
        ({"error": {"code": "x", "message": "Invalid API key"}}, "auth"),
        ({"message": "Internal server error"}, "transient"),
    ],
)
def test_an_error_of_json_under_200_is_told_by_its_words(name, error, cls):
    page = answered(name, json.dumps(error).encode())
    assert counted(page)[:2] == (cls, 0)
    (*_, words) = error["error"].values() if cls == "auth" else error.values()
    assert words in page.verdict.detail


@pytest.mark.parametrize("name", JSON)
def test_a_sentence_instead_of_json_is_shown(name):
    page = answered(name, b"Too Many Requests", content_type="text/plain")
    assert counted(page)[:2] == ("rate_limited", 0)
    page = answered(name, b"Bad Gateway", content_type="text/plain")
    assert counted(page)[:2] == ("transient", 0)
    assert "Bad Gateway" in page.verdict.detail


@pytest.mark.parametrize(
    ("document", "cls"),
    [
        ({"error": {"code": 503, "message": "x"}}, "transient"),
        ({"error": "no such series"}, "schema_drift"),
        ({"errors": [{"status": "422", "title": "Bad dates"}]}, "config"),
        ({"status": 500, "title": "Unexpected Problem"}, "transient"),
        ({"status": "fail", "reason": "quota used up"}, "rate_limited"),
        ({"code": 400, "error": "api_key is not set"}, "auth"),
        ({"data": None, "errors": [{"message": "Unauthorized"}]}, "auth"),
    ],
)
def test_an_error_is_told_by_words_and_codes(document, cls):
    assert refused(document).cls == cls


@pytest.mark.parametrize(
    "document",
    [
        {},
        [],
        None,
        {"title": "Prices", "rows": []},
        {"error": None, "data": []},
        {"error": False, "status": 200, "data": []},
        {"message": "no data found"},
        {"message": "Resource lists", "records": []},
        {"errorCode": "0", "errorMessage": "Success", "data": []},
        {"error": {"code": 200, "message": "OK"}, "data": []},
        {"message": "ok", "rows": None},
    ],
)
def test_what_tells_of_no_error_is_none(document):
    assert refused(document) is None


def test_a_short_body_of_words_or_json_may_be_an_error():
    error = made(b'{"error": "Quota exceeded"}', 200, retry_after="2.5")
    assert (refusal(error).cls, refusal(error).wait_s) == ("rate_limited", 2.5)
    assert refusal(made(b"<Error><Code>AccessDenied</Code></Error>")).cls == "auth"
    assert refusal(made(b"ts,value\n2026-01-01,1\n")) is None
    assert refusal(made(b"token required\n" + b"x,1\n" * 40_000)) is None


@pytest.mark.parametrize(
    ("status", "cls"),
    [
        (202, "not_available"),
        (204, "empty"),
        (206, "transient"),
        (418, "config"),
        (423, "transient"),
        (425, "transient"),
    ],
)
def test_a_status_means_by_itself(status, cls):
    assert general(made(b"", status)).cls == cls


def test_an_answer_of_204_that_breaks_off_is_not_empty():
    assert general(replace(made(b"", 204), whole=False)).cls == "transient"


def test_json_is_read_in_the_charset_that_is_declared():
    body = '{"place": "Zürich", "value": NaN}'
    latin = made(body.encode("latin-1"), content_type="text/json; charset=ISO-8859-1")
    assert decoded(latin)["place"] == "Zürich"
    wide = made(body.encode("utf-16"), content_type="text/json; charset=utf-16")
    assert decoded(wide)["place"] == "Zürich"


@pytest.mark.parametrize("more", ["", ", NaN"])
def test_json_in_utf_8_is_so_whatever_a_server_says_of_all_that_it_sends(more):
    body = f'["Zürich"{more}]'.encode()
    assert decoded(made(body, content_type="a/json; charset=latin-1"))[0] == "Zürich"


def test_what_only_begins_like_the_name_of_a_part_of_a_page_is_none():
    assert markup(made(b"<meta-data/>")) is None
    assert markup(made(b"<meta charset=utf-8>")).cls == "transient"


def test_json_of_an_undeclared_charset_is_malformed_and_not_asked_for_again():
    verdict = decoded(made('{"place": "Zürich"}'.encode("latin-1")))
    assert verdict.cls == "malformed"
    assert "utf-8" in verdict.detail
    assert decoded(made('{"place": "Zü'.encode()[:-1])).cls == "transient"


def test_a_page_needs_no_password_to_be_one():
    assert markup(made(AWAY)).cls == "transient"
    limit = made(b"<html><h1>Too many requests</h1></html>", retry_after="9")
    assert (markup(limit).cls, markup(limit).wait_s) == ("rate_limited", 9.0)
    assert markup(made(b"<rows><row/></rows>")) is None


@pytest.mark.parametrize(
    ("text", "wait_s"),
    [("0", 0.0), ("1.5", 1.5), ("-3", None), ("soon", None), ("", None)],
)
def test_a_pause_may_be_a_part_of_a_second(text, wait_s):
    assert retry_after_s(made(b"", 429, retry_after=text)) == wait_s


@pytest.mark.parametrize(
    ("status", "text", "cls"),
    [
        (403, "API rate limit exceeded for 192.0.2.1", "rate_limited"),
        (403, "Forbidden", "auth"),
        (400, "Quota exceeded", "rate_limited"),
        (400, '{"error": "Invalid API key"}', "auth"),
        (400, "no such column; try again", "config"),
        (404, "Invalid API key", "config"),
        (401, "rate limit", "auth"),
    ],
)
def test_a_status_of_many_meanings_is_told_by_words(status, text, cls):
    verdict = general(made(text, status, retry_after="7"))
    assert (verdict.cls, verdict.detail, verdict.wait_s) == (cls, text, 7.0)
