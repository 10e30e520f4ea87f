"""What clients read, the audit of it, and a tiny run on the suite's own servers."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import streamers, streams
from bench.load import Refused
from bench.servers import Servers
from bench.streamers import Order, Stream, blocks, note
from bench.streams import Audit, Found, Phase, Plan

TINY = Plan(
    followers=4, feeds=2, jobs=90, pairs=1, submissions=12, threads=2, quiet_s=2
)
ROWS = [(1, "queued"), (2, "running"), (3, "succeeded")]
WIRE = (
    b"retry: 1000\n\nid: 7\nevent: queued\ndata: {}\n\n: still here\n\n"
    b"id: 1:2:/1:3:/8\nevent: running\ndata: {}\n\n"
)


@given(st.lists(st.integers(0, len(WIRE)), max_size=6))
def test_events_are_read_whole_however_the_bytes_come(cuts):
    places = [0, *sorted(cuts), len(WIRE)]
    found, rest = [], b""
    for start, end in itertools.pairwise(places):
        events, rest = blocks(rest + WIRE[start:end])
        found += events
    assert found == [("7", "queued"), ("1:2:/1:3:/8", "running")]
    assert rest == b""


def test_a_mark_moves_the_place_and_is_no_event():
    stream = Stream("/v1/events")
    note(stream, "5:6:", "mark")
    assert (stream.latest, stream.seen) == ("5:6:", [])
    note(stream, "5:6:/5:9:/12", "running")
    assert (stream.latest, stream.seen) == ("5:6:/5:9:/12", [(12, "running")])


def test_an_order_is_passed_on_without_what_was_seen():
    order = Order(1, "k", [Stream("/a", "3", [(3, "queued")])], [Stream("/b")], 1)
    told = streams.asdict(order)
    assert streamers.parse(told).jobs == [Stream("/a", "3")]
    assert streamers.parse(told).feeds == order.feeds


def test_an_event_that_did_not_come_is_lost():
    assert streams.audit([(ROWS, ROWS), (ROWS[:2], ROWS)]) == Audit(5, 1, 0)


def test_an_event_that_came_twice_is_repeated():
    assert streams.audit([(ROWS + ROWS[1:2], ROWS)]) == Audit(4, 0, 1)


def test_an_event_of_nowhere_breaks_the_run():
    with pytest.raises(Refused, match="no table has"):
        streams.audit([(ROWS, ROWS[:2])])


def test_the_ratio_is_the_median_of_the_pairs():
    without = [Phase(1, one) for one in (10.0, 20.0, 30.0)]
    beside = [Phase(1, one) for one in (30.0, 20.0, 45.0)]
    found = Found(without, beside, Audit(5, 1, 0))
    assert (found.ratio.low, found.ratio.median, found.ratio.high) == (1, 1.5, 3)
    drawn = streams.table(found)
    assert "| 1.50 (1.00-3.00) | < 2 | met |" in drawn
    assert drawn.endswith("5 events told, 1 lost, 0 repeated: missed")


@pytest.mark.servers
@pytest.mark.slow
def test_a_tiny_run_loses_no_event(postgres_server, rabbitmq_server, tmp_path):
    servers = Servers(postgres_server, rabbitmq_server, {})
    found = streams.run(servers, TINY, folder=tmp_path)
    assert (found.audit.lost, found.audit.repeated) == (0, 0)
    # Each followed job has its three events at least, and each feed those of all jobs.
    submitted = TINY.jobs + 2 * TINY.pairs * TINY.submissions
    assert found.audit.told >= 3 * TINY.jobs + TINY.feeds * 3 * submitted
    assert len(found.beside) == len(found.without) == TINY.pairs
