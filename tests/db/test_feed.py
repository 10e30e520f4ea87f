"""A tenant's stream tells every event once, whenever its transaction commits."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as with_settings
from hypothesis import strategies as st
from sqlalchemy import text

from db import feed
from db.feed import Mark
from db.session import Connection, Database
from tests.db import rows

pytestmark = pytest.mark.servers

_WRITE = text("""
INSERT INTO job_events (tenant_id, job_id, at, kind, body)
VALUES (:tenant_id, :job_id, now(), 'progress', '{}') RETURNING id
""")


class Reader:
    """A client of the stream; it keeps the id of the last event, as browsers do."""

    def __init__(self, database: Database, tenant_id: int) -> None:
        self._database = database
        self._tenant_id = tenant_id
        with database.tenant(tenant_id) as connection:
            self._place = feed.now(connection)
        self.kept = [str(self._place)]
        self.seen: list[feed.Event] = []

    def read(self, most: int = 10_000) -> list[int]:
        """Read what there is; hang up in the middle after ``most`` events."""
        before = len(self.seen)
        while True:
            with self._database.tenant(self._tenant_id) as connection:
                found, place = feed.after(
                    connection, tenant_id=self._tenant_id, mark=self._place
                )
            for event, own in found:
                if len(self.seen) - before == most:
                    self.resume()
                    return self._numbers(before)
                self.seen.append(event)
                self.kept.append(str(own))
            self._place = place
            if place.upto is None:
                return self._numbers(before)

    def resume(self, kept: int = -1) -> None:
        """Come back with an id that was told, by default the last one."""
        place = feed.parse(self.kept[kept])
        assert place is not None
        self._place = place

    def _numbers(self, first: int) -> list[int]:
        return [event.id for event in self.seen[first:]]


class Writer:
    """An open transaction that writes events of one job."""

    def __init__(self, database: Database, tenant_id: int, job_id: str) -> None:
        self._transaction = ExitStack()
        self._row = {"tenant_id": tenant_id, "job_id": job_id}
        self._connection: Connection = self._transaction.enter_context(
            database.tenant(tenant_id)
        )

    def write(self) -> int:
        """Write an event that nobody else sees yet; return its number."""
        return int(self._connection.execute(_WRITE, self._row).scalar_one())

    def commit(self) -> None:
        """End the transaction for good."""
        self._transaction.close()

    def abort(self) -> None:
        """End the transaction as if it had never been."""
        error = InterruptedError()
        with pytest.raises(InterruptedError), self._transaction:
            raise error


@pytest.fixture
def reader(database, tenant_id) -> Reader:
    """A client that is there from now on."""
    return Reader(database, tenant_id)


@contextmanager
def writing(database: Database, tenant_id: int, job_id: str) -> Iterator[Writer]:
    """Open a transaction that is rolled back unless the test commits it."""
    writer = Writer(database, tenant_id, job_id)
    yield writer
    writer.abort()


def _in_table(database: Database, tenant_id: int) -> list[int]:
    with database.tenant(tenant_id) as connection:
        return list(connection.scalars(text("SELECT id FROM job_events ORDER BY id")))


@pytest.fixture
def late(database, tenant_id) -> tuple[Reader, int, int]:
    """A reader who read an event while one of a lower number was not committed."""
    first, second = (rows.queued(database, tenant_id) for _ in range(2))
    reader = Reader(database, tenant_id)
    slow = Writer(database, tenant_id, first)
    quick = Writer(database, tenant_id, second)
    low, high = slow.write(), quick.write()
    assert low < high
    quick.commit()
    assert reader.read() == [high]
    slow.commit()
    return reader, low, high


def test_an_event_that_commits_after_a_higher_number_is_told_once(late):
    reader, low, high = late
    assert reader.read() == [low]
    assert reader.read() == []
    assert [one.id for one in reader.seen] == [high, low]


def test_a_client_that_comes_back_is_told_the_late_event_once(late):
    reader, low, _ = late
    reader.resume()
    assert reader.read() == [low]
    reader.resume()
    assert reader.read() == []


def test_each_event_s_own_mark_leads_to_what_was_told_after_it(late):
    reader, low, high = late
    reader.read()
    for kept, rest in ((0, [low, high]), (1, [low]), (2, [])):
        reader.resume(kept)
        assert reader.read() == rest


def test_a_client_that_saw_nothing_yet_misses_nothing_either(database, tenant_id):
    job_id = rows.queued(database, tenant_id)
    with writing(database, tenant_id, job_id) as writer:
        number = writer.write()
        reader = Reader(database, tenant_id)
        assert reader.read() == []
        writer.commit()
        assert reader.read() == [number]


def test_a_transaction_that_stays_open_holds_nobody_else_back(
    database, tenant_id, reader
):
    job_id = rows.queued(database, tenant_id)
    with writing(database, tenant_id, job_id) as writer:
        held = writer.write()
        others = [rows.queued(database, tenant_id) for _ in range(3)]
        assert [one.id for one in reader.seen] == []
        reader.read()
        assert [one.job_id for one in reader.seen] == [job_id, *others]
        writer.commit()
    assert reader.read() == [held]


def test_what_was_rolled_back_is_never_told(database, tenant_id):
    job_id = rows.queued(database, tenant_id)
    reader = Reader(database, tenant_id)
    with writing(database, tenant_id, job_id) as writer:
        writer.write()
    assert reader.read() == []


@pytest.mark.parametrize("count", [2, 3, 4, 6, 7])
def test_more_events_than_a_batch_come_whole_and_can_be_cut_anywhere(
    database, tenant_id, monkeypatch, count
):
    monkeypatch.setattr(feed, "_BATCH", 3)
    reader = Reader(database, tenant_id)
    job_ids = [rows.queued(database, tenant_id) for _ in range(count)]
    whole = reader.read()
    assert [one.job_id for one in reader.seen] == job_ids
    for kept in range(count + 1):
        reader.resume(kept)
        assert reader.read() == whole[kept:]


def test_a_job_s_life_is_told_in_its_order_with_its_bodies(database, tenant_id, reader):
    job_id = rows.running(database, tenant_id)
    rows.finish(database, job_id, state="failed", reason="timeout")
    reader.read()
    assert [one.kind for one in reader.seen] == ["queued", "running", "failed"]
    assert reader.seen[-1].body["reason"] == "timeout"
    assert [one.at for one in reader.seen] == sorted(one.at for one in reader.seen)


def test_another_tenant_s_events_are_never_told(
    database, tenant_id, other_tenant_id, reader
):
    other = Reader(database, other_tenant_id)
    rows.running(database, other_tenant_id)
    job_id = rows.queued(database, tenant_id)
    reader.read()
    assert [one.job_id for one in reader.seen] == [job_id]
    other.kept = reader.kept
    other.resume()
    assert other.read() == []


def test_a_tenant_s_mark_shows_another_its_own_events_only(
    database, tenant_id, other_tenant_id, reader
):
    rows.queued(database, tenant_id)
    theirs = rows.queued(database, other_tenant_id)
    other = Reader(database, other_tenant_id)
    other.kept = reader.kept
    other.resume()
    other.read()
    assert [one.job_id for one in other.seen] == [theirs]


def play(
    steps: list[tuple[str, int]], reader: Reader, begin: Callable[[int], Writer]
) -> None:
    """Do as the steps say; what is still open then is committed."""
    writers: dict[int, Writer] = {}
    for what, number in steps:
        if what == "write":
            if number not in writers:
                writers[number] = begin(number)
            writers[number].write()
        elif what == "read":
            reader.read(number)
        elif what == "resume":
            reader.resume()
        elif number in writers:
            getattr(writers.pop(number), what)()
    for writer in writers.values():
        writer.commit()


_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(0, 2)),
        st.tuples(st.sampled_from(["commit", "abort"]), st.integers(0, 2)),
        st.tuples(st.just("read"), st.integers(0, 5)),
        st.tuples(st.just("resume"), st.just(0)),
    ),
    max_size=30,
)


@with_settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=_STEPS)
def test_whatever_commits_and_breaks_when_the_stream_is_the_table(
    database, tenant_id, monkeypatch, steps
):
    monkeypatch.setattr(feed, "_BATCH", 3)
    job_ids = [rows.queued(database, tenant_id) for _ in range(3)]
    known = _in_table(database, tenant_id)
    reader = Reader(database, tenant_id)
    play(steps, reader, lambda slot: Writer(database, tenant_id, job_ids[slot]))
    reader.read()
    told = [one.id for one in reader.seen]
    assert sorted(told) == _in_table(database, tenant_id)[len(known) :]
    for job_id in job_ids:
        own = [one.id for one in reader.seen if one.job_id == job_id]
        assert own == sorted(own)


@st.composite
def _snapshots(draw: st.DrawFn) -> str:
    """Draw a snapshot as PostgreSQL writes one."""
    first = draw(st.integers(1, 10**12))
    span = draw(st.integers(0, 50))
    ages = draw(st.sets(st.integers(0, 49), max_size=5))
    unended = sorted(first + age for age in ages if age < span)
    return f"{first}:{first + span}:{','.join(map(str, unended))}"


_MARKS = st.one_of(
    st.builds(Mark, before=_snapshots()),
    st.builds(
        Mark, before=_snapshots(), upto=_snapshots(), told=st.integers(0, 10**15)
    ),
)


@with_settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(mark=_MARKS)
def test_a_mark_reads_as_it_was_written_and_postgresql_takes_it(
    database, tenant_id, mark
):
    assert feed.parse(str(mark)) == mark
    with database.tenant(tenant_id) as connection:
        assert feed.after(connection, tenant_id=tenant_id, mark=mark)[0] == []


NONSENSE = (
    *("", "0", "17", "abc", "1:2", "1:2:3:4", "1:2:/", "1:2://", "1:2:/1:2:"),
    *("1:2:/1:2:/", "1:2:/1:2:/-1", "1:2:/1:2:/x", "/1:2:/1", "1:2:\n", " 1:2:"),
    *("0:0:", "0:5:", "2:1:", "5:9:4", "5:9:9", "5:9:7,6", "5:9:,", "5:9:7,"),
    *("1:2:/2:1:/5", "\u0661:\u0662:", "1:2:/1:2:/\u0663", "1.0:2:", "-1:2:"),
    *("9" * 19 + ":" + "9" * 19 + ":", "1:" + "9" * 30 + ":", "1:2:/1:2:/" + "9" * 19),
)


@pytest.mark.parametrize("told", NONSENSE)
def test_nonsense_is_no_mark(told):
    assert feed.parse(told) is None


@with_settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(told=st.text(alphabet="0123456789:,/", max_size=25))
def test_whatever_is_taken_for_a_mark_postgresql_takes_too(database, tenant_id, told):
    mark = feed.parse(told)
    if mark is not None:
        with database.tenant(tenant_id) as connection:
            feed.after(connection, tenant_id=tenant_id, mark=mark)
