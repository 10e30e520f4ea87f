"""No secret comes through, in whatever form, wherever the chunks are cut."""

import base64
import html
import itertools
import json
import math
import re
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ingest.redaction import SHORTEST, Redactor

FORMS = {
    "as it is": str,
    "in an address": lambda one: quote(one, safe=""),
    "in a path": quote,
    "in a form": quote_plus,
    "in small hex": lambda one: re.sub(
        "%..", lambda found: found[0].lower(), quote(one, safe="")
    ),
    "encoded twice": lambda one: quote(quote(one, safe=""), safe=""),
    "in JSON": lambda one: json.dumps(one)[1:-1],
    "in JSON as UTF-8": lambda one: json.dumps(one, ensure_ascii=False)[1:-1],
    "in JSON of PHP": lambda one: json.dumps(one)[1:-1].replace("/", "\\/"),
    "in JSON in JSON": lambda one: json.dumps(json.dumps(one)[1:-1])[1:-1],
    "in HTML": html.escape,
    "in HTML by number": lambda one: "".join(f"&#{ord(c)};" for c in one),
}
TYPABLE = st.text(
    st.characters(min_codepoint=32, max_codepoint=126), min_size=6, max_size=24
)
ANY = st.text(
    st.characters(exclude_categories=["Cs", "Cc"]), min_size=SHORTEST, max_size=12
)
LETTERS_STAY = [name for name in FORMS if name != "in HTML by number"]
often = settings(max_examples=60, deadline=None)


def pieces(content: bytes, cuts: list[int]) -> list[bytes]:
    edges = sorted({0, len(content), *(cut % (len(content) + 1) for cut in cuts)})
    return [content[low:high] for low, high in itertools.pairwise(edges)]


@pytest.mark.parametrize("form", LETTERS_STAY)
@often
@given(secret=TYPABLE | ANY, before=st.text(), after=st.text())
@example(secret="\\\\\\\\x\\", before="\\", after="\\\\")
@example(secret="a+b/c==d", before="", after="")
def test_no_form_of_a_secret_comes_through(form, secret, before, after):
    written = FORMS[form](secret)
    body = f"{before}{written}{after}".encode(errors="replace")
    safe = Redactor([secret]).content(body)
    assert written.encode() not in safe
    assert secret.encode() not in safe


@often
@given(
    secret=st.text(
        st.characters(exclude_characters="*", codec="utf-8"), min_size=5, max_size=20
    ),
    before=st.binary(max_size=9),
    after=st.binary(max_size=9),
)
def test_of_a_secret_inside_of_base64_only_what_it_shares_is_left(
    secret, before, after
):
    text = before + secret.encode() + after
    redactor = Redactor([secret])
    for coded in (base64.b64encode(text), base64.urlsafe_b64encode(text)):
        left, right = redactor.content(coded).split(b"***")
        assert len(left) <= math.ceil(len(before) * 8 / 6)
        assert len(right.rstrip(b"=")) <= math.ceil(len(after) * 8 / 6) + 1


def test_the_header_of_a_log_in_by_password_is_cleaned():
    coded = base64.b64encode(b"forebay:pa55w0rd!").decode()
    safe = Redactor(["pa55w0rd!"]).header(f"Basic {coded}")
    assert coded not in safe
    assert safe.startswith("Basic ")


@often
@given(
    secrets=st.lists(TYPABLE, min_size=1, max_size=3),
    parts=st.lists(st.integers(0, 2) | st.binary(max_size=20), max_size=8),
    cuts=st.lists(st.integers(0, 10_000), max_size=12),
)
def test_where_the_chunks_are_cut_makes_no_difference(secrets, parts, cuts):
    body = b"".join(
        secrets[one % len(secrets)].encode() if isinstance(one, int) else one
        for one in parts
    )
    redactor = Redactor(secrets)
    streamed = b"".join(redactor.stream(pieces(body, cuts)))
    assert streamed == redactor.content(body)
    for secret in secrets:
        assert secret.encode() not in streamed


@pytest.mark.parametrize("form", FORMS)
def test_a_secret_is_found_byte_by_byte(form):
    secret = 'k3y/with+all "of" it & më'
    if form == "in HTML by number":
        secret = "/+-.:-/+"
    body = f"<<{FORMS[form](secret)}>>".encode()
    chunks = [body[at : at + 1] for at in range(len(body))]
    assert b"".join(Redactor([secret]).stream(chunks)) == b"<<***>>"


@often
@given(body=st.binary(max_size=300), cuts=st.lists(st.integers(0, 300), max_size=5))
def test_what_holds_no_secret_is_left_as_it_is(body, cuts):
    redactor = Redactor(["0123456789abcdef/secret"])
    assert b"".join(redactor.stream(pieces(body, cuts))) == body


def test_without_secrets_chunks_pass_untouched():
    chunks = [b"a", b"", b"b"]
    assert list(Redactor([]).stream(chunks)) == chunks


def test_of_two_secrets_that_begin_alike_the_longer_one_is_taken_out():
    redactor = Redactor(["abcd", "abcdefgh"])
    assert redactor.text("x abcdefgh y abcd z") == "x *** y *** z"


def test_a_mask_never_completes_another_secret():
    redactor = Redactor(["a***b", "cdef"])
    assert redactor.text("acdefb") == "a###b"


def test_a_secret_too_short_to_tell_from_data_is_left():
    assert Redactor(["12", ""]).text("2012-12-12") == "2012-12-12"


def test_a_text_says_whether_it_holds_a_secret():
    redactor = Redactor(["s3cr3t/key"])
    assert redactor.holds("https://a.test/?key=s3cr3t%2Fkey")
    assert not redactor.holds("https://a.test/?key=s3cr3t")


def test_a_long_row_of_backslashes_is_searched_in_no_time():
    redactor = Redactor(["\\" * 40 + "end"])
    body = b"end " + b"\\" * 39 + b" " + b"\\" * 5_000 + b"x"
    assert redactor.content(body) == body
