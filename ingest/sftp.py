"""Carries requests to SFTP servers: files, and lists of folders as JSON."""

import errno
import stat
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

import paramiko

from ingest.arrivals import Body, Content, Deadline, answered
from ingest.exchange import Answer, NotAllowed, Request, Unreachable
from ingest.files import File, Place, known_already, levels, listing, place, refusal
from ingest.redaction import Redactor
from ingest.ssh import opened
from ingest.wire import Outside

_PIECE = 32_768
_AHEAD = 64  # blocks that are asked for before they are needed: 2 MiB
_PORT = 22
_HOME = "~"
_BROKEN = (paramiko.SSHException, OSError, EOFError)
_LISTED = {"content-type": "application/json"}


class SftpTransport:
    """Reads ``sftp://host:port/folder/`` and ``sftp://host:port/folder/file``.

    A path below ``/~/`` begins where the user's log-in does. Its secrets are ``user``,
    ``password`` or ``private_key`` with ``passphrase``, and ``host_key``: a line of
    OpenSSH, or a fingerprint that begins with ``SHA256:``.

    Args:
        outside: the outside world.
        host_key: what is pinned, if it is no secret of the credential.
    """

    def __init__(self, outside: Outside, *, host_key: str = "") -> None:
        self._outside = outside
        pinned = {"host_key": host_key} if host_key else {}
        self._secrets = {**outside.secrets, **pinned}
        self._redactor = Redactor(outside.secrets.values())
        self._sessions: dict[object, paramiko.SFTPClient] = {}

    def send(self, request: Request) -> Answer:
        """Return a file, or the list of a folder's files.

        Raises:
            Unreachable: the server does not answer, or not in time.
            RateLimited: the source's limit leaves no room soon.
            NotAllowed: the address may not be reached, or has another key.
            TooLarge: the file is larger than the limit.
            MissingSecret: what is needed to log in is not there.
            UnfitSecret: the private key cannot be read.
        """
        where = place(request.url)
        host, port = _server(where)
        addresses = self._outside.judge(f"sftp://{where.host}/")
        self._outside.pace(request)
        clock, server = self._outside.clock, (host, port, addresses)
        try:
            session = self._session(addresses, port, server)
            found = self._found(request, where, session)
        except paramiko.AuthenticationException:
            return refusal(401, "the server refuses user or key", clock=clock)
        except _BROKEN as error:
            status = _status(error)
            if status is not None:
                return refusal(status, "the file cannot be read", clock=clock)
            self._drop(server)
            message = f"{host}: the connection failed ({type(error).__name__})"
            raise Unreachable(message) from None
        if isinstance(found, Answer):
            return found
        head, body = found
        return answered(head, body, outside=self._outside, redactor=self._redactor)

    def close(self) -> None:
        """Close all connections."""
        for server in list(self._sessions):
            self._drop(server)

    def _session(
        self, addresses: tuple[str, ...], port: int, server: object
    ) -> paramiko.SFTPClient:
        session = self._sessions.get(server)
        channel = session.get_channel() if session is not None else None
        if channel is None or channel.closed:
            self._drop(server)
            wire = self._outside.wire
            transport = opened(addresses, port, secrets=self._secrets, wire=wire)
            self._sessions[server] = _client(transport, wire.read_s)
        return self._sessions[server]

    def _drop(self, server: object) -> None:
        session = self._sessions.pop(server, None)
        if session is not None and (channel := session.get_channel()) is not None:
            channel.get_transport().close()

    def _found(
        self, request: Request, where: Place, session: paramiko.SFTPClient
    ) -> Answer | tuple[tuple[int, Mapping[str, str]], Body]:
        path, clock = _path(where), self._outside.clock
        if where.is_folder:
            content = listing(_files(session, path, "", levels(request)))
            return (200, _LISTED), Content(content)
        state = session.stat(path)
        if not stat.S_ISREG(state.st_mode or 0):
            words = "this is no file; the address of a folder ends with /"
            return refusal(404, words, clock=clock)
        file = _file("", state)
        if known_already(request, file):
            return Answer(304, file.headers, clock(), b"")
        deadline = Deadline(clock, self._outside.wire.total_s)
        remote = session.open(path, "rb")
        return (200, file.headers), _RemoteBody(remote, file, deadline)


class _RemoteBody(Body):
    """A file on its way; not whole if it breaks off or is written to meanwhile."""

    def __init__(
        self, remote: paramiko.SFTPFile, file: File, deadline: Deadline
    ) -> None:
        super().__init__(file.size)
        self._remote = remote
        self._file = file
        self._deadline = deadline

    def __iter__(self) -> Iterator[bytes]:
        left = self._file.size
        try:
            self._remote.prefetch(self._file.size, max_concurrent_requests=_AHEAD)
            while left and (chunk := self._remote.read(min(_PIECE, left))):
                left -= len(chunk)
                yield chunk
                self._deadline.left_s()
            after = _file("", self._remote.stat())
        except _BROKEN:
            self.whole = False
        else:
            self.whole = not left and after == self._file
        finally:
            self._remote.close()


def _client(transport: paramiko.Transport, read_s: float) -> paramiko.SFTPClient:
    try:
        channel = transport.open_session(timeout=read_s)
        channel.settimeout(read_s)
        channel.invoke_subsystem("sftp")
        return paramiko.SFTPClient(channel)
    except BaseException:
        transport.close()
        raise


def _server(where: Place) -> tuple[str, int]:
    host, _, port = (
        where.host.rpartition(":") if ":" in where.host else (where.host, "", "")
    )
    if not host or "@" in host or (port and not port.isdecimal()):
        raise NotAllowed("an address is sftp://host:port/path; users are secrets")
    return host.strip("[]"), int(port) if port else _PORT


def _path(where: Place) -> str:
    if where.parts[:1] == (_HOME,):
        return "/".join(where.parts[1:]) or "."
    return "/" + "/".join(where.parts)


def _files(
    session: paramiko.SFTPClient, path: str, above: str, depth: int
) -> Iterator[File]:
    for state in session.listdir_attr(path):
        name, mode = state.filename, state.st_mode or 0
        if "/" in name or name in {".", ".."}:
            continue
        if stat.S_ISREG(mode):
            yield _file(f"{above}{name}", state)
        elif depth > 1 and stat.S_ISDIR(mode):
            below = f"{path.rstrip('/')}/{name}"
            yield from _files(session, below, f"{above}{name}/", depth - 1)


def _file(name: str, state: paramiko.SFTPAttributes) -> File:
    modified = datetime.fromtimestamp(state.st_mtime or 0, UTC)
    return File(name, state.st_size or 0, modified)


def _status(error: BaseException) -> int | None:
    number = getattr(error, "errno", None)
    return {errno.ENOENT: 404, errno.EACCES: 403}.get(number) if number else None
