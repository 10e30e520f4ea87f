"""One log-in serves many requests, and a log-in that ran out is renewed once."""

from datetime import UTC, datetime
from typing import Any

import pytest

from ingest.contract import Page, Partition
from ingest.exchange import (
    Answer,
    NotAllowed,
    RateLimited,
    Request,
    Unreachable,
    secret,
)
from ingest.fetch import Refused
from ingest.login import LoggedIn, LogsIn
from ingest.placeholders import MissingSecret
from ingest.verdicts import OK, Verdict, general
from tests.ingest.carrying import transport
from tests.sources.server import Call, Reply, serve

PARTITION = Partition("day", datetime(2026, 1, 1, tzinfo=UTC))
SECRETS = {"user": "forebay", "password": "pass word&more"}


class Sso:
    """Gives tokens that hold for some requests; says so under 200, as ICE does."""

    def __init__(self, *, holds: int = 100, status: int = 200) -> None:
        self.holds = holds
        self.status = status
        self.tokens = 0
        self.left = 0

    def answer(self, call: Call) -> Reply:
        if call.path == "/login":
            if call.body != b"user=forebay&password=pass+word%26more":
                return Reply(401, b"who?")
            self.tokens, self.left = self.tokens + 1, self.holds
            return Reply(200, f"token-number-{self.tokens}".encode())
        token = call.headers.get("cookie", "").removeprefix("sso=")
        if call.path == "/rows" and (
            token != f"token-number-{self.tokens}" or not self.left
        ):
            return Reply(self.status, b"please log in")
        self.left -= 1
        return Reply(200, b"rows of " + token.encode())


class Ice:
    """Just enough of a connector."""

    def __init__(self, url: str, said: str | Verdict | None = None) -> None:
        self.url = url
        self.said = said
        self.reads = 0

    def login(self) -> Request | None:
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        body = "user={secret:user}&password={secret:password}"
        url = f"{self.url}/login"
        return Request(url, method="POST", headers=form, body=body, kept=False)

    def token(self, answer: Answer) -> str | Verdict:
        if (verdict := general(answer)) is not None:
            return verdict
        return self.said or answer.body.decode()

    def read(self, _request: Request, answer: Answer, partition: Partition) -> Page:
        assert partition is PARTITION
        self.reads += 1
        out = answer.body == b"please log in"
        return Page(Verdict("auth", "the token ran out") if out else OK)


class NoLogin(Ice):
    """A credential may hold the token itself."""

    def login(self) -> Request | None:
        return None


def rows(url: str, path: str = "/rows") -> Request:
    return Request(f"{url}{path}", headers={"Cookie": f"sso={secret('token')}"})


def paths(served) -> list[str]:
    return [call.path for call in served.calls]


def test_a_connector_that_logs_in_is_told_from_one_that_does_not():
    assert isinstance(Ice(""), LogsIn)
    assert not isinstance(object(), LogsIn)


def test_one_log_in_serves_many_requests(tmp_path):
    with serve(Sso()) as served, transport(tmp_path, SECRETS) as carrier:
        logged_in = LoggedIn(carrier, Ice(served.url), partition=PARTITION)
        answers = [logged_in.send(rows(served.url)) for _ in range(3)]
    assert paths(served) == ["/login", "/rows", "/rows", "/rows"]
    assert {one.body for one in answers} == {b"rows of ***"}


def test_a_request_without_a_token_needs_no_log_in(tmp_path):
    with serve(Sso()) as served, transport(tmp_path, SECRETS) as carrier:
        logged_in = LoggedIn(carrier, Ice(served.url), partition=PARTITION)
        logged_in.send(Request(f"{served.url}/open"))
    assert paths(served) == ["/open"]


@pytest.mark.parametrize("status", [200, 401, 403])
def test_a_log_in_that_ran_out_is_renewed(tmp_path, status):
    sso = Sso(holds=2, status=status)
    with serve(sso) as served, transport(tmp_path, SECRETS) as carrier:
        logged_in = LoggedIn(carrier, Ice(served.url), partition=PARTITION)
        answers = [logged_in.send(rows(served.url)) for _ in range(4)]
    assert [one.body for one in answers] == [b"rows of ***"] * 4
    expected = ["/login", "/rows", "/rows", "/rows", "/login", "/rows", "/rows"]
    assert paths(served) == expected


def test_a_log_in_that_does_not_help_is_tried_once_per_request(tmp_path):
    with serve(Sso(holds=0)) as served, transport(tmp_path, SECRETS) as carrier:
        logged_in = LoggedIn(carrier, Ice(served.url), partition=PARTITION)
        assert logged_in.send(rows(served.url)).body == b"please log in"
        assert paths(served) == ["/login", "/rows"]
        assert logged_in.send(rows(served.url)).body == b"please log in"
    assert paths(served) == ["/login", "/rows", "/rows", "/login", "/rows"]


def test_the_same_token_may_be_given_again(tmp_path):
    class Same(Sso):
        def answer(self, call: Call) -> Reply:
            self.tokens = 0
            return super().answer(call)

    with serve(Same(holds=1)) as served, transport(tmp_path, SECRETS) as carrier:
        logged_in = LoggedIn(carrier, Ice(served.url), partition=PARTITION)
        first = logged_in.send(rows(served.url, "/other"))
        carrier.learn("token", "token-number-1")
        assert first.body == b"rows of ***"
        answer = carrier.send(Ice(served.url).login())
    assert answer.body == b"token-number-1"


def test_a_long_answer_is_not_read_twice(tmp_path):
    class Long:
        def answer(self, call: Call) -> Reply:
            return Reply(200, b"token" if call.path == "/login" else b"x" * 100_000)

    with serve(Long()) as served, transport(tmp_path, SECRETS) as carrier:
        connector = Ice(served.url)
        logged_in = LoggedIn(carrier, connector, partition=PARTITION)
        for _ in range(3):
            logged_in.send(rows(served.url))
    assert connector.reads == 0


@pytest.mark.parametrize(
    ("said", "raised", "words"),
    [
        (Verdict("auth", "wrong password"), Refused, "^auth: log-in: wrong password"),
        (
            Verdict("schema_drift", "no token"),
            Refused,
            "schema_drift: log-in: no token",
        ),
        (Verdict("transient", "down"), Unreachable, "log-in: down"),
        (Verdict("incomplete", "half"), Unreachable, "log-in: half"),
    ],
)
def test_a_log_in_that_fails_says_so_in_the_words_of_fetch(
    tmp_path, said, raised, words
):
    with serve(Sso()) as served, transport(tmp_path, SECRETS) as carrier:
        logged_in = LoggedIn(carrier, Ice(served.url, said), partition=PARTITION)
        with pytest.raises(raised, match=words):
            logged_in.send(rows(served.url))
    assert paths(served) == ["/login"]


@pytest.mark.parametrize(("wait_s", "expected"), [(7.0, 7.0), (None, 60.0)])
def test_a_log_in_may_have_to_wait(tmp_path, wait_s: Any, expected):
    said = Verdict("rate_limited", "slowly", wait_s)
    with serve(Sso()) as served, transport(tmp_path, SECRETS) as carrier:
        logged_in = LoggedIn(carrier, Ice(served.url, said), partition=PARTITION)
        with pytest.raises(RateLimited) as limited:
            logged_in.send(rows(served.url))
    assert limited.value.wait_s == expected


def test_a_wrong_password_is_refused_and_not_shown(tmp_path):
    wrong = {**SECRETS, "password": "wrong-password"}
    with serve(Sso()) as served, transport(tmp_path, wrong) as carrier:
        logged_in = LoggedIn(carrier, Ice(served.url), partition=PARTITION)
        with pytest.raises(Refused, match="auth: log-in: who") as refused:
            logged_in.send(rows(served.url))
    assert "wrong-password" not in repr(refused.value)


def test_a_credential_may_hold_the_token_itself(tmp_path):
    with serve(Sso()) as served, transport(tmp_path, {"token": "abcdef"}) as carrier:
        logged_in = LoggedIn(carrier, NoLogin(served.url), partition=PARTITION)
        assert logged_in.send(rows(served.url)).body == b"please log in"
        assert logged_in.send(rows(served.url)).body == b"please log in"
    assert paths(served) == ["/rows", "/rows"]


def test_without_a_token_and_a_log_in_the_token_is_what_is_missing(tmp_path):
    with transport(tmp_path) as carrier:
        logged_in = LoggedIn(carrier, NoLogin(""), partition=PARTITION)
        with pytest.raises(MissingSecret, match="token"):
            logged_in.send(rows("http://a.test"))


def test_a_log_in_goes_only_where_it_may(tmp_path):
    def never(_url: str) -> tuple[str, ...]:
        raise NotAllowed("a private address")

    with transport(tmp_path, SECRETS, judge=never) as carrier:
        logged_in = LoggedIn(carrier, Ice("http://a.test"), partition=PARTITION)
        with pytest.raises(NotAllowed):
            logged_in.send(rows("http://a.test"))
