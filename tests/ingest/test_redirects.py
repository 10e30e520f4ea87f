"""Redirects are followed a few times, judged each time, and take no secret along."""

import pytest

from ingest.exchange import NotAllowed, Request, secret
from ingest.wire import Wire
from tests.ingest.carrying import transport
from tests.sources.server import Call, Reply, serve

KEY = "k3y/with+all=of&it"
PRIVATE = {
    "X-Api-Key": secret("key"),
    "Authorization": "Basic c3RhdGlj",
    "X-Plain": "plain",
}


class Maze:
    """Answers /307?to=x with a redirect to x, and any other path with itself."""

    def answer(self, call: Call) -> Reply:
        code = call.path.strip("/")
        if code.startswith("30"):
            return Reply(int(code), b"moved", {"Location": call.one("to")})
        return Reply(200, call.path.encode())


def to(*hops: str, code: int = 302) -> tuple[tuple[str, str], ...]:
    """Return the query that leads over some addresses."""
    found = hops[-1]
    for hop in hops[-2::-1]:
        found = f"{hop}/{code}?to={found}"
    return (("to", found),)


@pytest.fixture
def served():
    with serve(Maze()) as found:
        yield found


@pytest.fixture
def elsewhere():
    with serve(Maze()) as found:
        yield found


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirect_is_followed(tmp_path, served, code):
    with transport(tmp_path) as carrier:
        answer = carrier.send(Request(f"{served.url}/{code}", params=to("/rows?a=1")))
    assert (answer.status, answer.body) == (200, b"/rows")
    assert served.calls[1].query == (("a", "1"),)


def test_a_redirect_counts_from_where_it_was_said(tmp_path, served):
    with transport(tmp_path) as carrier:
        answer = carrier.send(Request(f"{served.url}/302", params=to("rows#part")))
    assert answer.body == b"/rows"


@pytest.mark.parametrize(("most", "calls"), [(3, 4), (1, 2), (0, 1)])
def test_after_a_few_redirects_the_next_one_is_the_answer(
    tmp_path, served, most, calls
):
    circle = f"{served.url}/302"
    with transport(tmp_path, wire=Wire(redirects=most)) as carrier:
        params = to(*["http://" + served.url.removeprefix("http://")] * 5, circle)
        answer = carrier.send(Request(circle, params=params))
    assert answer.status == 302
    assert len(served.calls) == calls


def test_a_redirect_without_an_address_is_the_answer(tmp_path, served):
    with transport(tmp_path) as carrier:
        assert carrier.send(Request(f"{served.url}/302")).status == 302


def test_each_address_is_judged_without_its_query(tmp_path, served, elsewhere):
    judged = []

    def judge(url: str) -> tuple[str, ...]:
        judged.append(url)
        return ("127.0.0.1",)

    params = (*to(f"{elsewhere.url}/rows?a=1"), ("key", secret("key")))
    with transport(tmp_path, {"key": KEY}, judge=judge) as carrier:
        carrier.send(Request(f"{served.url}/302", params=params))
    assert judged == [f"{served.url}/302", f"{elsewhere.url}/rows"]


def test_a_redirect_to_where_nothing_may_be_sent_is_not_followed(
    tmp_path, served, elsewhere
):
    def judge(url: str) -> tuple[str, ...]:
        if url.startswith(elsewhere.url):
            raise NotAllowed("a private address")
        return ("127.0.0.1",)

    with (
        transport(tmp_path, judge=judge) as carrier,
        pytest.raises(NotAllowed, match="a private address"),
    ):
        carrier.send(Request(f"{served.url}/302", params=to(elsewhere.url)))
    assert elsewhere.calls == []


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://a.test/", "gopher:x"])
def test_a_redirect_leads_to_no_other_scheme(tmp_path, served, url):
    with transport(tmp_path) as carrier, pytest.raises(NotAllowed, match="http"):
        carrier.send(Request(f"{served.url}/302", params=to(url)))


def test_what_is_private_is_sent_to_its_own_host_only(tmp_path, served, elsewhere):
    params = to(served.url, f"{elsewhere.url}/rows")
    with transport(tmp_path, {"key": KEY}) as carrier:
        carrier.send(Request(f"{served.url}/302", params=params, headers=PRIVATE))
    assert [call.headers["x-api-key"] for call in served.calls] == [KEY, KEY]
    (call,) = elsewhere.calls
    assert call.headers["x-plain"] == "plain"
    assert "x-api-key" not in call.headers
    assert "authorization" not in call.headers


def test_what_was_left_behind_is_not_taken_up_on_the_way_back(
    tmp_path, served, elsewhere
):
    params = to(elsewhere.url, f"{served.url}/rows")
    with transport(tmp_path, {"key": KEY}) as carrier:
        carrier.send(Request(f"{served.url}/302", params=params, headers=PRIVATE))
    assert "x-api-key" not in served.calls[1].headers


@pytest.mark.parametrize(
    "written", ["k3y/with+all=of%26it", "k3y%2Fwith%2Ball%3Dof%26it"]
)
def test_an_address_with_a_secret_in_it_leads_to_no_other_host(
    tmp_path, served, elsewhere, written
):
    params = to(f"{elsewhere.url}/rows?api_key={written}")
    with (
        transport(tmp_path, {"key": KEY}) as carrier,
        pytest.raises(NotAllowed, match="a secret to another host"),
    ):
        carrier.send(Request(f"{served.url}/302", params=params))
    assert elsewhere.calls == []


def test_the_own_host_may_tell_a_secret_to_itself(tmp_path, served):
    params = to("/rows?api_key=k3y%2Fwith%2Ball%3Dof%26it")
    with transport(tmp_path, {"key": KEY}) as carrier:
        carrier.send(Request(f"{served.url}/302", params=params))
    assert served.calls[1].query == (("api_key", KEY),)


@pytest.mark.parametrize("code", [301, 302, 303])
def test_what_was_posted_is_asked_for_after_a_redirect(tmp_path, served, code):
    posted = Request(
        f"{served.url}/{code}", params=to("/rows"), method="POST", body="a={secret:key}"
    )
    with transport(tmp_path, {"key": KEY}) as carrier:
        carrier.send(posted)
    assert [call.method for call in served.calls] == ["POST", "GET"]
    assert served.calls[1].body == b""


@pytest.mark.parametrize("code", [307, 308])
def test_what_was_posted_is_posted_again_where_the_source_says_so(
    tmp_path, served, elsewhere, code
):
    url, params = f"{served.url}/{code}", to(f"{elsewhere.url}/rows")
    with transport(tmp_path, {"key": KEY}) as carrier:
        carrier.send(Request(url, params=params, method="POST", body="a=1"))
        with pytest.raises(NotAllowed, match="a secret to another host"):
            carrier.send(
                Request(url, params=params, method="POST", body="{secret:key}")
            )
    assert [(call.method, call.body) for call in elsewhere.calls] == [("POST", b"a=1")]
