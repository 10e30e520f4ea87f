"""One request, one answer: whole or said not to be, within limits, whatever comes."""

import gzip
import hashlib
import zlib
from datetime import UTC, datetime, timedelta

import pytest

from ingest.exchange import NotAllowed, RateLimited, Request, Unreachable
from ingest.spool import TooLarge
from ingest.wire import Wire
from tests.ingest.carrying import NOW, transport
from tests.sources.faults import FaultPlan
from tests.sources.scripted import RESET, SILENT, reply, serve_script
from tests.sources.server import Call, Reply, serve

ROWS = b"ts,value\n" + b"2026-01-01T00:00Z,1.5\n" * 2_000
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class Echo:
    """Answers with the status that the path names, and with what was asked."""

    def answer(self, call: Call) -> Reply:
        status = int(call.path.strip("/") or 200)
        return Reply(status, call.body or b"asked", {"X-Asked": str(call.query)})


def carried(tmp_path, *script: bytes, wire: Wire | None = None, **more):
    """Return the answer to one request of a server with a script."""
    with (
        serve_script(*script) as served,
        transport(tmp_path, wire=wire or Wire(), **more) as carrier,
    ):
        return carrier.send(Request(f"http://source.test:{served.port}/rows"))


def test_an_answer_says_what_came_and_when(tmp_path):
    answer = carried(tmp_path, reply(ROWS, "Content-Type: text/csv", "X-Page: 2"))
    assert answer.status == 200
    assert answer.headers["x-page"] == "2"
    assert answer.media_type == "text/csv"
    assert answer.headers["content-length"] == str(len(ROWS))
    assert (answer.body, answer.whole, answer.fetched_at) == (ROWS, True, NOW)
    assert answer.sha256 == hashlib.sha256(ROWS).hexdigest()


@pytest.mark.parametrize("status", [204, 304, 400, 401, 404, 429, 500, 503])
def test_every_status_is_an_answer(tmp_path, status):
    plan = FaultPlan()
    with serve(Echo(), plan) as served, transport(tmp_path) as carrier:
        answer = carrier.send(Request(f"{served.url}/{status}"))
    assert answer.status == status
    assert plan.calls == 1


def test_who_knows_a_state_already_may_say_so(tmp_path):
    unchanged = b'HTTP/1.1 304 Not Modified\r\nETag: "7"\r\n\r\n'
    with serve_script(unchanged) as served, transport(tmp_path) as carrier:
        url = f"http://source.test:{served.port}/rows"
        answer = carrier.send(Request(url, headers={"If-None-Match": '"7"'}))
    assert b'If-None-Match: "7"\r\n' in served.requests[0]
    assert (answer.status, answer.body, answer.whole) == (304, b"", True)


def test_parameters_go_in_their_order_and_may_come_twice(tmp_path):
    params = (("facets[type][]", "D"), ("facets[type][]", "NG"), ("a", "b c&d"))
    with serve(Echo()) as served, transport(tmp_path) as carrier:
        carrier.send(Request(served.url, params=params))
    assert served.calls[0].query == params


def test_a_large_body_lies_in_a_file(tmp_path):
    small = carried(tmp_path, reply(ROWS), wire=Wire(in_memory=len(ROWS)))
    assert small.path is None
    large = carried(tmp_path, reply(ROWS), wire=Wire(in_memory=len(ROWS) - 1))
    assert large.content is None
    assert large.path.parent == tmp_path
    assert large.body == ROWS
    assert large.sha256 == small.sha256


@pytest.mark.parametrize(
    "answer",
    [
        reply(ROWS),
        CHUNKED + b"%x\r\n%s\r\n0\r\n\r\n" % (len(ROWS), ROWS),
        reply(gzip.compress(ROWS), "Content-Encoding: gzip"),
    ],
    ids=["declared", "chunked", "packed"],
)
def test_a_body_beyond_the_limit_is_refused_and_leaves_no_file(tmp_path, answer):
    with pytest.raises(TooLarge, match="larger than 20000 bytes"):
        carried(tmp_path, answer, wire=Wire(most_bytes=20_000, in_memory=100))
    assert list(tmp_path.iterdir()) == []


def test_a_chunked_answer_is_whole_at_its_end(tmp_path):
    answer = carried(tmp_path, CHUNKED + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
    assert (answer.body, answer.whole) == (b"abcde", True)


@pytest.mark.parametrize(
    "broken",
    [
        reply(b"abcdef").removesuffix(b"f"),
        CHUNKED + b"5\r\nabcde\r\n",
        CHUNKED + b"9\r\nabcde",
        CHUNKED + b"5\r\nabcde\r\nnonsense\r\n",
    ],
    ids=["length", "between chunks", "inside a chunk", "damaged"],
)
def test_a_body_that_breaks_off_is_not_whole_and_keeps_what_came(tmp_path, broken):
    answer = carried(tmp_path, broken)
    assert (answer.status, answer.body, answer.whole) == (200, b"abcde", False)


def test_a_packed_body_is_unpacked(tmp_path):
    packed = gzip.compress(ROWS)
    answer = carried(tmp_path, reply(packed, "Content-Encoding: gzip"))
    assert (answer.body, answer.whole) == (ROWS, True)
    assert "content-encoding" not in answer.headers
    assert "content-length" not in answer.headers


def test_a_packed_body_may_have_parts_and_padding(tmp_path):
    packed = gzip.compress(b"one,") + gzip.compress(b"two") + b"\0" * 20
    answer = carried(tmp_path, reply(packed, "Content-Encoding: gzip"))
    assert (answer.body, answer.whole) == (b"one,two", True)


def test_a_packed_body_of_nothing_is_whole(tmp_path):
    answer = carried(tmp_path, reply(b"", "Content-Encoding: gzip"))
    assert (answer.body, answer.whole) == (b"", True)


def test_what_unpacks_to_much_more_than_it_was_is_unpacked_whole(tmp_path):
    zeros = b"0" * 5_000_000
    packed = gzip.compress(zeros)
    answer = carried(tmp_path, reply(packed, "Content-Encoding: gzip"))
    assert (answer.body == zeros, answer.whole) == (True, True)


def test_a_packed_body_that_breaks_off_is_not_whole(tmp_path):
    rows = b"".join(b"%d,%d\n" % (n, n * n % 7_919) for n in range(5_000))
    packed = gzip.compress(rows)
    declared = reply(packed, "Content-Encoding: gzip")
    on_the_wire = carried(tmp_path, declared[: -len(packed) // 2])
    # Here the transfer is whole, and the file that was transferred is not.
    before = carried(tmp_path, reply(packed[:-9_000], "Content-Encoding: gzip"))
    for answer in (on_the_wire, before):
        assert not answer.whole
        assert rows.startswith(answer.body)
        assert len(answer.body) > 1_000


def test_damage_inside_of_a_packed_body_is_no_whole_answer(tmp_path):
    packed = bytearray(gzip.compress(ROWS))
    packed[-6] ^= 0xFF  # of its checksum
    assert not carried(tmp_path, reply(packed, "Content-Encoding: gzip")).whole


def test_a_coding_nobody_asked_for_is_left_as_it_is(tmp_path):
    answer = carried(tmp_path, reply(b"\x0b\x02", "Content-Encoding: br"))
    assert answer.headers["content-encoding"] == "br"
    assert answer.body == b"\x0b\x02"


@pytest.mark.parametrize("answer", [RESET, b"", b"HTTP/1.1 2", b"oh\r\n"])
def test_without_a_head_there_is_no_answer_and_no_second_try(tmp_path, answer):
    with serve_script(answer) as served, transport(tmp_path) as carrier:
        request = Request(f"http://source.test:{served.port}/rows")
        with pytest.raises(Unreachable, match=r"^source\.test: the connection broke"):
            carrier.send(request)
    assert len(served.requests) == 1


@pytest.mark.parametrize("cut", [20, 40, 60, 90])
def test_a_head_that_breaks_off_is_no_whole_answer(tmp_path, cut):
    head = reply(ROWS, "Content-Type: text/csv", "X-Padding: " + "x" * 60)
    answer = carried(tmp_path, head[:cut])
    assert (answer.body, answer.whole) == (b"", False)


def test_the_end_of_a_connection_may_be_that_of_a_body(tmp_path):
    answer = carried(tmp_path, b"HTTP/1.1 200 OK\r\n\r\nabc")
    assert (answer.body, answer.whole) == (b"abc", True)


def test_a_closed_port_is_unreachable(tmp_path):
    with serve_script() as served:
        port = served.port
    with transport(tmp_path) as carrier, pytest.raises(Unreachable, match="accepts"):
        carrier.send(Request(f"http://source.test:{port}/"))


def test_a_source_that_keeps_still_is_unreachable(tmp_path):
    with pytest.raises(Unreachable, match="nothing came in time"):
        carried(tmp_path, SILENT, wire=Wire(read_s=0.05))


def test_all_of_an_answer_has_to_come_before_a_deadline(tmp_path):
    times = iter([NOW + timedelta(minutes=5 * number) for number in range(20)])
    with pytest.raises(Unreachable, match="no whole answer came in 1200 s"):
        carried(
            tmp_path,
            reply(b"0" * 1_000_000),
            clock=lambda: next(times),
            wire=Wire(total_s=1_200, in_memory=1),
        )
    assert list(tmp_path.iterdir()) == []


def test_the_clock_stamps_the_beginning_of_an_answer(tmp_path):
    times = iter([NOW + timedelta(seconds=number) for number in range(20)])
    answer = carried(tmp_path, reply(b"x"), clock=lambda: next(times))
    assert answer.fetched_at == NOW + timedelta(seconds=2)  # begun, sent, answered


def test_connections_are_used_again_and_cookies_are_not(tmp_path):
    first = reply(b"1", "Set-Cookie: session=abc; Path=/")
    with serve_script(first, reply(b"2")) as served, transport(tmp_path) as carrier:
        url = f"http://source.test:{served.port}/"
        answers = [carrier.send(Request(url)) for _ in range(2)]
    assert [one.body for one in answers] == [b"1", b"2"]
    assert "set-cookie" not in answers[0].headers
    assert served.connections == 1
    assert b"cookie" not in served.requests[1].lower()


def test_the_one_who_asks_gives_a_name_and_takes_gzip_only(tmp_path):
    wire = Wire(user_agent="Forebay/2026.1 (+mailto:ops@example.test)")
    with serve_script(reply(b"")) as served, transport(tmp_path, wire=wire) as carrier:
        carrier.send(Request(f"http://source.test:{served.port}/"))
    head = served.requests[0].decode().lower()
    assert "user-agent: forebay/2026.1 (+mailto:ops@example.test)\r\n" in head
    assert "accept-encoding: gzip\r\n" in head
    assert f"host: source.test:{served.port}\r\n" in head


def test_proxies_and_passwords_of_the_environment_are_not_used(tmp_path, monkeypatch):
    (tmp_path / ".netrc").write_text("machine source.test login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with serve_script(reply(b"direct")) as served, transport(tmp_path) as carrier:
        answer = carrier.send(Request(f"http://source.test:{served.port}/"))
    assert answer.body == b"direct"
    assert b"authorization" not in served.requests[0].lower()


def test_the_pace_is_kept_once_for_each_request_before_it_is_sent(tmp_path):
    asked = []
    with serve(Echo()) as served, transport(tmp_path, pace=asked.append) as carrier:
        request = Request(served.url, cost=3.0)
        carrier.send(request)
    assert asked == [request]


def test_a_limit_without_room_stops_a_request(tmp_path):
    def full(_request: Request) -> None:
        raise RateLimited(60, "30 a minute")

    with (
        serve(Echo()) as served,
        transport(tmp_path, pace=full) as carrier,
        pytest.raises(RateLimited),
    ):
        carrier.send(Request(served.url))
    assert served.calls == []


@pytest.mark.parametrize(
    "url",
    [
        "ftp://source.test/rows",
        "file:///etc/passwd",
        "http:///rows",
        "http://[::1/rows",
        "http://source.test:99999/",
        "http://user:password@source.test/rows",
        "source.test/rows",
        "",
    ],
)
def test_what_is_no_address_of_http_is_not_asked(tmp_path, url):
    with transport(tmp_path) as carrier, pytest.raises(NotAllowed):
        carrier.send(Request(url))


def test_a_body_is_sent(tmp_path):
    with serve(Echo()) as served, transport(tmp_path) as carrier:
        asked = Request(served.url, method="POST", body='{"from": "Zürich"}')
        answer = carrier.send(asked)
    assert answer.body.decode() == '{"from": "Zürich"}'
    assert served.calls[0].method == "POST"


def test_the_time_of_an_answer_is_in_utc(tmp_path):
    answer = carried(tmp_path, reply(b""), clock=lambda: datetime.now(UTC))
    assert answer.fetched_at.utcoffset() == timedelta(0)


def test_what_is_not_packed_though_it_is_said_to_be_is_taken_as_it_is(tmp_path):
    for body in (ROWS, b"x"):
        answer = carried(tmp_path, reply(body, "Content-Encoding: gzip"))
        assert (answer.body, answer.whole) == (body, True)


@pytest.mark.parametrize("bits", [15, -15])
def test_deflate_comes_with_a_header_or_without(tmp_path, bits):
    packer = zlib.compressobj(wbits=bits)
    packed = packer.compress(ROWS) + packer.flush()
    answer = carried(tmp_path, reply(packed, "Content-Encoding: deflate"))
    assert (answer.body, answer.whole) == (ROWS, True)
    cut_off = carried(tmp_path, reply(packed[:-40], "Content-Encoding: deflate"))
    assert not cut_off.whole
