"""Runs a Singer tap as if it were a source: its records are the answer, as NDJSON.

Which programs may run is the operator's list; a request only names one of them. What it
is given lies in files that nobody else can read, and is gone when it ends.
"""

import json
import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

import orjson

from ingest.exchange import Answer, NotAllowed, Request, Unreachable
from ingest.placeholders import filled
from ingest.redaction import Redactor
from ingest.spool import keep
from ingest.verdicts import words
from ingest.wire import Outside

_PARTS = ("config", "catalog", "state")
_FAILED, _CONFUSED = 500, 502
_LAST_WORDS = 4_096
_PIECE = 1 << 16


class SingerTransport:
    """Carries ``singer://tap/stream``, whose body is JSON: config, catalog, state.

    Args:
        outside: the outside world; of its judge nothing is asked, because a tap goes
            wherever it wants: that is why only listed ones run.
        taps: the commands that may be run, by name; the programs by absolute path.
    """

    def __init__(self, outside: Outside, *, taps: Mapping[str, Sequence[str]]) -> None:
        self._outside = outside
        self._taps = dict(taps)
        self._redactor = Redactor(outside.secrets.values())

    def send(self, request: Request) -> Answer:
        """Run a tap to its end and return the records of one stream.

        A tap that fails answers with status 500 and its last words; one that writes
        what is no message, with 502.

        Raises:
            NotAllowed: no tap of that name is listed, or it says too much.
            Unreachable: it cannot be started, or does not end in time.
            RateLimited: the source's limit leaves no room soon.
            MissingSecret: its config names a secret that is not there.
        """
        name, _, stream = request.url.partition("://")[2].partition("/")
        command = self._taps.get(name)
        if command is None or not stream:
            raise NotAllowed(f"no tap {name!r} is listed for this tenant")
        given = json.loads(filled(request, self._outside.secrets).body or b"{}")
        self._outside.pace(request)
        with tempfile.TemporaryDirectory(dir=self._outside.folder) as folder:
            line = [*command, *_written(Path(folder), given)]
            return self._ran(line, stream, Path(folder))

    def close(self) -> None:
        """Do nothing: each tap has ended."""

    def _ran(self, line: list[str], stream: str, folder: Path) -> Answer:
        wire, fetched_at = self._outside.wire, self._outside.clock()
        with (folder / "log").open("w+b") as log, _started(line, folder, log) as tap:
            timer = threading.Timer(wire.total_s, _ended, (tap,))
            timer.start()
            messages = _Messages(tap, stream)
            try:
                kept = keep(
                    self._redactor.stream(messages.records()),
                    folder=self._outside.folder,
                    in_memory=wire.in_memory,
                    most_bytes=wire.most_bytes,
                )
                if messages.confused:
                    _ended(tap)  # nobody reads on, and a full pipe would hold it
                code = tap.wait()
            finally:
                late = not timer.is_alive()
                timer.cancel()
                _ended(tap)
            if late:
                raise Unreachable(f"the tap did not end within {wire.total_s:g} s")
            if code or messages.confused:
                status = _CONFUSED if messages.confused else _FAILED
                return self._failure(status, log, messages)
        state = self._redactor.header(json.dumps(messages.state))
        headers = {"content-type": "application/x-ndjson", "x-singer-state": state}
        return Answer(
            200, headers, fetched_at, kept.content, kept.path, sha256=kept.sha256
        )

    def _failure(self, status: int, log: IO[bytes], messages: "_Messages") -> Answer:
        log.seek(max(0, log.seek(0, os.SEEK_END) - _LAST_WORDS))
        said = messages.confused or words(log.read())
        content = self._redactor.content(said.encode())
        headers = {"content-type": "text/plain"}
        return Answer(status, headers, self._outside.clock(), content)


class _Messages:
    """What a tap writes: records are passed on, of states the last one is kept."""

    def __init__(self, tap: "subprocess.Popen[bytes]", stream: str) -> None:
        self.state: object = None
        self.confused = ""
        self._tap = tap
        self._stream = stream

    def records(self) -> Iterator[bytes]:
        """Yield the records of the stream, many lines at a time."""
        piece: list[bytes] = []
        size = 0
        for line in self._tap.stdout or ():
            record = self._record(line)
            if self.confused:
                return
            if record is not None:
                piece.append(record)
                size += len(record)
            if size > _PIECE:
                yield b"".join(piece)
                piece, size = [], 0
        yield b"".join(piece)

    def _record(self, line: bytes) -> bytes | None:
        if not line.strip():
            return None
        try:
            message = json.loads(line)
            kind = message["type"]
        except (ValueError, TypeError, KeyError, RecursionError):
            self.confused = f"the tap wrote what is no message: {words(line[:300])}"
            return None
        if kind == "STATE":
            self.state = message.get("value")
        if kind == "BATCH" and message.get("stream") == self._stream:
            self.confused = "the tap wrote its records to files: turn off its batches"
        if kind != "RECORD" or message.get("stream") != self._stream:
            return None
        try:
            return orjson.dumps(message.get("record")) + b"\n"
        except TypeError:  # an integer beyond 64 bits
            return json.dumps(message.get("record")).encode() + b"\n"


def _written(folder: Path, given: Mapping[str, object]) -> Iterator[str]:
    """Write what a tap is given, and yield the arguments that name the files."""
    for part in _PARTS:
        if given.get(part) is not None:
            path = folder / f"{part}.json"
            path.touch(mode=0o600)
            path.write_text(json.dumps(given[part]), encoding="utf-8")
            yield from (f"--{part}", str(path))


def _started(
    line: list[str], folder: Path, log: IO[bytes]
) -> "subprocess.Popen[bytes]":
    try:
        return subprocess.Popen(  # noqa: S603 - the operator listed it
            line,
            cwd=folder,
            env={},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
    except OSError as error:
        raise Unreachable(f"the tap cannot be started: {error.strerror}") from error


def _ended(tap: "subprocess.Popen[bytes]") -> None:
    """End a tap and all that it started; one that has ended is left alone."""
    if tap.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(tap.pid, signal.SIGKILL)
