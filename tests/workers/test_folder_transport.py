"""Messages through a folder: whole or not there, in order, each to one reader."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from kombu import Connection

from tests.workers.folder_options import options

MESSAGES = 400


@pytest.fixture
def folder(tmp_path) -> Path:
    for part in ("messages", "control"):
        (tmp_path / part).mkdir()
    return tmp_path


@pytest.fixture
def connection(folder):
    with Connection(
        transport="workers.folder_transport:Transport",
        transport_options=options(folder),
    ) as found:
        yield found


def test_messages_come_out_in_the_order_they_went_in(connection):
    queue = connection.SimpleQueue("line")
    for number in range(50):
        queue.put({"number": number})
    taken = [queue.get(timeout=5) for _ in range(50)]
    assert [message.payload["number"] for message in taken] == list(range(50))
    for message in taken:
        message.ack()
    queue.close()


def test_a_reader_never_meets_half_a_message(connection, folder):
    """A second process writes large messages while this one reads as fast as it can."""
    program = textwrap.dedent(f"""
        from pathlib import Path
        from kombu import Connection
        from tests.workers.folder_options import options
        with Connection(
            transport="workers.folder_transport:Transport",
            transport_options=options(Path({str(folder)!r})),
        ) as connection:
            queue = connection.SimpleQueue("large")
            for number in range({MESSAGES}):
                queue.put({{"number": number, "text": "x" * 200_000}})
            queue.close()
    """)
    writer = subprocess.Popen([sys.executable, "-c", program])
    queue = connection.SimpleQueue("large")
    seen = []
    while len(seen) < MESSAGES:
        message = queue.get(timeout=20)
        assert len(message.payload["text"]) == 200_000
        seen.append(message.payload["number"])
        message.ack()
    queue.close()
    assert writer.wait(timeout=20) == 0
    assert seen == list(range(MESSAGES))
    assert list((folder / "messages").iterdir()) == []


def test_the_depth_of_a_queue_counts_its_messages_only(connection):
    first, second = connection.SimpleQueue("first"), connection.SimpleQueue("second")
    for number in range(3):
        first.put({"number": number})
    assert (first.qsize(), second.qsize()) == (3, 0)
    assert first.clear() == 3
    for queue in (first, second):
        queue.close()


def test_the_table_of_an_exchange_is_whole_from_its_first_binding(connection, folder):
    queue = connection.SimpleQueue("bound")
    tables = {path.name for path in (folder / "control").iterdir()}
    assert "bound.exchange" in tables
    assert all(not name.endswith(".part") for name in tables)
    queue.close()
