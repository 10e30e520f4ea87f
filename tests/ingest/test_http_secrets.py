"""Secrets are on the wire to their host, and nowhere else."""

import base64
import gzip
import json
import logging
import pickle
import traceback
from urllib.parse import parse_qs, quote

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ingest.exchange import NotAllowed, Request, Unreachable, secret
from ingest.placeholders import MissingSecret, UnfitSecret, filled
from ingest.wire import Wire
from tests.ingest.carrying import transport
from tests.ingest.test_redaction import FORMS, TYPABLE
from tests.sources.faults import FaultPlan
from tests.sources.scripted import RESET, reply, serve_script
from tests.sources.server import Call, Reply, serve

KEY = "k3y/with+all=of&it"


class Echo:
    """Tells back all it was asked, in the body and in a header, as EIA does."""

    def answer(self, call: Call) -> Reply:
        told = {
            "params": call.query,
            "headers": dict(call.headers),
            "body": call.body.decode(),
        }
        asked = "&".join(f"{name}={value}" for name, value in call.query)
        return Reply(200, json.dumps(told).encode(), {"X-Asked": asked})


def test_a_secret_is_sent_where_its_place_holder_stands(tmp_path):
    request = Request(
        "",
        params=(("api_key", secret("key")), ("a", "b")),
        headers={"X-Api-Key": f"Token {secret('key')}"},
        method="POST",
        body=f"key={secret('key')}",
    )
    with serve(Echo()) as served, transport(tmp_path, {"key": KEY}) as carrier:
        answer = carrier.send(Request(**{**vars(request), "url": served.url}))
    (call,) = served.calls
    assert call.query == (("api_key", KEY), ("a", "b"))
    assert call.headers["x-api-key"] == f"Token {KEY}"
    assert call.body.decode() == f"key={KEY}"
    assert b"***" in answer.body
    assert KEY not in answer.body.decode()
    assert answer.headers["x-asked"] == "api_key=***&a=b"


@pytest.mark.parametrize(
    ("kind", "body", "read"),
    [
        (
            "application/x-www-form-urlencoded",
            "user=me&password={secret:key}",
            lambda body: parse_qs(body)["password"][0],
        ),
        (
            "application/json; charset=utf-8",
            '{"password": "{secret:key}"}',
            lambda body: json.loads(body)["password"],
        ),
        ("text/plain", "{secret:key}", str),
    ],
)
def test_a_secret_is_escaped_as_its_body_wants_it(kind, body, read):
    value = 'a&b="c\\d%e+f\n'
    asked = Request(
        "https://a.test", method="POST", headers={"content-type": kind}, body=body
    )
    assert read(filled(asked, {"key": value}).body.decode()) == value


def test_a_secret_in_xml_stays_text():
    kind = {"Content-Type": "text/xml"}
    asked = Request("https://a.test", headers=kind, body="<k>{secret:key}</k>")
    assert filled(asked, {"key": "<&>"}).body == b"<k>&lt;&amp;&gt;</k>"


def test_user_and_password_are_coded_as_basic_wants_it(tmp_path):
    header = f"Basic {secret('user')}:{secret('password')}"
    secrets = {"user": "forebay", "password": "pä55:wörd"}
    with serve(Echo()) as served, transport(tmp_path, secrets) as carrier:
        answer = carrier.send(Request(served.url, headers={"Authorization": header}))
    sent = served.calls[0].headers["authorization"].removeprefix("Basic ")
    assert base64.b64decode(sent).decode() == "forebay:pä55:wörd"
    assert sent not in answer.body.decode()


def test_what_looks_like_a_place_holder_inside_of_a_secret_is_left():
    asked = Request("https://a.test", params=(("a", secret("one")),))
    given = {"one": "{secret:two}", "two": "2"}
    assert filled(asked, given).params == (("a", "{secret:two}"),)


def test_a_missing_secret_is_named_before_anything_is_sent(tmp_path):
    asked, paced = Request("", headers={"X-Key": secret("api_key")}), []
    with (
        serve(Echo()) as served,
        transport(tmp_path, {"key": KEY, "api_key": ""}, pace=paced.append) as carrier,
    ):
        request = Request(**{**vars(asked), "url": served.url})
        with pytest.raises(MissingSecret, match="no secret api_key") as missing:
            carrier.send(request)
    assert missing.value.name == "api_key"
    assert str(pickle.loads(pickle.dumps(missing.value))) == str(missing.value)
    assert (served.calls, paced) == ([], [])


@pytest.mark.parametrize("value", ["two\nlines", "kéy", "nul\0"])
def test_a_secret_that_no_header_holds_is_named_and_not_shown(tmp_path, value):
    asked = Request("http://a.test/", headers={"X-Key": secret("api_key")})
    with (
        transport(tmp_path, {"api_key": value}) as carrier,
        pytest.raises(UnfitSecret) as unfit,
    ):
        carrier.send(asked)
    assert str(unfit.value) == "the secret api_key cannot be used where it belongs"


def test_an_address_holds_no_secret(tmp_path):
    with (
        transport(tmp_path, {"key": KEY}) as carrier,
        pytest.raises(NotAllowed, match="may not stand in an address"),
    ):
        carrier.send(Request("http://a.test/{secret:key}/rows"))


def shown(error: BaseException) -> str:
    """Return all that a log could say of an exception."""
    chain = []
    while error is not None:
        chain += [repr(error), str(error), *map(repr, error.args)]
        chain += traceback.format_exception(error)
        error = error.__cause__ or error.__context__
    return "\n".join(chain)


@pytest.mark.parametrize("script", [RESET, b"", b"no HTTP at all\r\n\r\n", None])
def test_no_exception_shows_a_secret(tmp_path, caplog, script):
    caplog.set_level(logging.DEBUG)
    with serve_script(*([script] if script is not None else [])) as served:
        port = served.port
        if script is not None:
            error = refused(tmp_path, port)
    if script is None:
        error = refused(tmp_path, port)
    for told in (shown(error), caplog.text):
        assert KEY not in told
        assert quote(KEY, safe="") not in told
        assert "api_key" not in told


def refused(tmp_path, port: int) -> Unreachable:
    """Return what comes of a request with a secret that gets no answer."""
    asked = Request(
        f"http://source.test:{port}/rows",
        params=(("api_key", secret("key")),),
        headers={"X-Key": secret("key")},
    )
    with (
        transport(tmp_path, {"key": KEY}) as carrier,
        pytest.raises(Unreachable) as failed,
    ):
        carrier.send(asked)
    return failed.value


def test_the_log_tells_of_a_request_without_its_query(tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    odd = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nbroken " + KEY.encode()
    with (
        serve_script(reply(b"1"), odd + b"\r\n\r\n[]") as served,
        transport(tmp_path, {"key": KEY}) as carrier,
    ):
        for _ in range(2):
            asked = Request(f"http://source.test:{served.port}/rows")
            with_key = {**vars(asked), "params": (("api_key", secret("key")),)}
            carrier.send(Request(**with_key))
    assert "GET /rows HTTP/1.1" in caplog.text
    assert "api_key" not in caplog.text
    assert KEY not in caplog.text


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    value=TYPABLE.filter(lambda one: not set(one) & {"*", "."}),
    form=st.sampled_from(sorted(set(FORMS) - {"in HTML by number"})),
    offset=st.integers(0, 200_000),
    packed=st.booleans(),
)
@example(value="00000&", form="in HTML", offset=0, packed=False)
def test_no_answer_holds_a_secret(tmp_path, value, form, offset, packed):
    written = FORMS[form](value)
    body = b"." * offset + written.encode() + b"." * 70_000
    sent = (
        reply(gzip.compress(body, 1), "Content-Encoding: gzip", f"X-Asked: {written}")
        if packed
        else reply(body, f"X-Asked: {written}")
    )
    with (
        serve_script(sent) as served,
        transport(tmp_path, {"key": value}, wire=Wire(in_memory=100_000)) as carrier,
    ):
        answer = carrier.send(Request(f"http://source.test:{served.port}/"))
    assert answer.whole
    assert answer.body.replace(b".", b"") == b"***"
    assert written not in str(answer.headers)
    assert "content-length" not in answer.headers


def test_a_secret_that_breaks_off_with_its_answer_is_left_at_most_in_part(tmp_path):
    with (
        serve_script(
            reply(b"key=" + KEY.encode() + b"&more").removesuffix(b"e")
        ) as served,
        transport(tmp_path, {"key": KEY}) as carrier,
    ):
        answer = carrier.send(Request(f"http://source.test:{served.port}/"))
    assert (answer.body, answer.whole) == (b"key=***&mor", False)
    assert answer.headers["content-length"] == "27"


def test_what_a_source_gave_is_a_secret_from_then_on(tmp_path):
    header = {"Authorization": f"Bearer {secret('token')}"}
    with serve(Echo()) as served, transport(tmp_path) as carrier:
        with pytest.raises(MissingSecret):
            carrier.send(Request(served.url, headers=header))
        carrier.learn("token", "token-of-today")
        first = carrier.send(Request(served.url, headers=header))
        carrier.learn("token", "token-of-tomorrow")
        asked = Request(served.url, headers=header, params=(("a", "token-of-today"),))
        second = carrier.send(asked)
    assert served.calls[0].headers["authorization"] == "Bearer token-of-today"
    assert served.calls[1].headers["authorization"] == "Bearer token-of-tomorrow"
    assert b"token-of" not in first.body + second.body


def test_who_logs_in_sees_what_the_log_in_gave(tmp_path):
    given_token = reply(b"token-of-today", "Set-Cookie: sso=token-of-today")
    with (
        serve_script(given_token) as served,
        transport(tmp_path, {"password": KEY}) as carrier,
    ):
        carrier.learn("token", "token-of-today")
        url = f"http://source.test:{served.port}/"
        answer = carrier.send(Request(url, kept=False))
    assert answer.body == b"token-of-today"
    assert answer.headers["set-cookie"] == "sso=token-of-today"


def test_a_fault_does_not_make_a_secret_show(tmp_path):
    plan = FaultPlan({1: "truncate", 2: "500", 3: "html"})
    request = Request("", params=(("api_key", secret("key")),))
    with serve(Echo(), plan) as served, transport(tmp_path, {"key": KEY}) as carrier:
        for _ in range(4):
            answer = carrier.send(Request(**{**vars(request), "url": served.url}))
            assert KEY not in answer.body.decode()
    assert plan.calls == 4
