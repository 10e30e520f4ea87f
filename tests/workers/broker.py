"""A look into the queues of a broker, and a line to it that can be cut."""

import contextlib
import selectors
import socket
import threading
from dataclasses import dataclass
from typing import Any

from kombu import Connection

from tasks.catalog import QUEUES
from tasks.settings import Settings
from tests.servers.ports import free_port
from workers.settings import declare_queues, make_app


@dataclass(frozen=True)
class Sent:
    """One message as a worker would get it."""

    task_id: str
    task: str
    arguments: dict[str, Any]
    headers: dict[str, Any]
    durable: bool


class Broker:
    """What a test asks of the broker behind some settings."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.app = make_app(settings)

    def drain(self, queue: str = "system") -> list[Sent]:
        """Take all messages of a queue."""
        found = []
        with self._connection() as connection:
            channel: Any = connection.default_channel
            while (raw := channel.basic_get(queue, no_ack=True)) is not None:
                message = channel.message_to_python(raw)
                found.append(
                    Sent(
                        message.headers["id"],
                        message.headers["task"],
                        message.payload[1],
                        message.headers,
                        message.properties["delivery_mode"] == 2,
                    )
                )
        return found

    def ids(self, queue: str = "system") -> list[str]:
        """Take all messages of a queue; return their ids."""
        return [message.task_id for message in self.drain(queue)]

    def declare(self) -> None:
        """Declare all queues, as the dispatcher does when it connects."""
        with self._connection() as connection:
            declare_queues(self.app, connection)

    def delete_queues(self, *names: str) -> None:
        """Delete queues with all that is in them."""
        with self._connection() as connection:
            for name in names or QUEUES:
                connection.default_channel.queue_delete(name)

    def close(self) -> None:
        """Let go of all connections."""
        self.app.close()

    def _connection(self) -> Connection:
        return self.app.connection_for_write()


class Line:
    """A line to a server at a port of its own, which can be cut and mended."""

    def __init__(self, target_port: int) -> None:
        self.port = free_port()
        self._target = ("127.0.0.1", target_port)
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def mend(self) -> None:
        """Let clients through."""
        self._over.clear()
        entrance = socket.create_server(("127.0.0.1", self.port))
        self._thread = threading.Thread(target=self._carry, args=(entrance,))
        self._thread.start()

    def cut(self) -> None:
        """Hang up on everybody and let nobody in."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _carry(self, entrance: socket.socket) -> None:
        with contextlib.ExitStack() as open_ends, selectors.DefaultSelector() as ready:
            open_ends.enter_context(entrance)
            ready.register(entrance, selectors.EVENT_READ, None)
            while not self._over.is_set():
                for key, _ in ready.select(timeout=0.02):
                    if key.data is None:
                        near, _ = entrance.accept()
                        far = socket.create_connection(self._target)
                        for end, other in ((near, far), (far, near)):
                            open_ends.enter_context(end)
                            ready.register(end, selectors.EVENT_READ, other)
                    elif not _pass_on(key.fileobj, key.data):
                        ready.unregister(key.fileobj)


def _pass_on(source: Any, target: socket.socket) -> bool:
    """Carry what there is; return whether there may be more."""
    try:
        content = source.recv(65_536)
        target.sendall(content)
    except OSError:
        return False
    return bool(content)
