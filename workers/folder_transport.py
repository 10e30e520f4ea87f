"""kombu's filesystem transport, with messages that appear whole.

The original writes a message into a file that a reader may already have found: at our
polling interval a worker met an empty file within minutes and ended with a
JSONDecodeError (kombu 5.7.0, ``Channel._put``; the first write of an exchange's table
has the same gap). Remove this file when kombu writes aside and renames.
"""

import os
import tempfile
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

from kombu.transport import filesystem
from kombu.utils.json import dumps


class Channel(filesystem.Channel):
    """Writes aside, then renames or links: a file is seen complete or not at all."""

    def _put(  # type: ignore[override] # kombu itself passes more than its stub says
        self, queue: str, message: Any, **_options: Any
    ) -> None:
        folder = Path(self.data_folder_out)
        # Names sort by age, which is the order that readers take them in.
        name = f"{time.time_ns():020d}_{uuid.uuid4()}.{queue}.msg"
        _aside(folder, message).rename(folder / name)

    def _queue_bind(
        self, exchange: str, routing_key: str, pattern: str | None, queue: str
    ) -> None:
        table = self.control_folder / f"{exchange}.exchange"
        if not table.exists():
            empty = _aside(table.parent, [])
            with suppress(FileExistsError):
                os.link(empty, table)
            empty.unlink()
        super()._queue_bind(exchange, routing_key, pattern, queue)


class Transport(filesystem.Transport):
    """The transport that uses these channels."""

    Channel = Channel


def _aside(folder: Path, payload: Any) -> Path:
    """Write a file under a name that no queue has."""
    descriptor, name = tempfile.mkstemp(dir=folder, suffix=".part")
    with os.fdopen(descriptor, "w") as file:
        file.write(dumps(payload))
    return Path(name)
