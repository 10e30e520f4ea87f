"""A real SFTP server on 127.0.0.1 over one folder, in threads of the test."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import paramiko

USER, PASSWORD = "forebay", "a pass/word+of=the test"


@dataclass
class ServedFolder:
    """A running server: its address, its key, and what is to go wrong."""

    host: str = ""
    key: paramiko.PKey = field(default_factory=paramiko.ECDSAKey.generate)
    client_key: paramiko.PKey | None = None
    logins: int = 0
    cut_after: int | None = None
    """Break all connections off at this byte of a file."""
    connections: list[paramiko.Transport] = field(default_factory=list)

    @property
    def host_key(self) -> str:
        """The key's line of OpenSSH."""
        return f"{self.key.get_name()} {self.key.get_base64()}"


@contextmanager
def serve_folder(
    root: Path, *, key: paramiko.PKey | None = None
) -> Iterator[ServedFolder]:
    """Serve a folder on a free port of 127.0.0.1."""
    served = ServedFolder(**({"key": key} if key else {}))
    listening = socket.create_server(("127.0.0.1", 0))
    served.host = f"127.0.0.1:{listening.getsockname()[1]}"

    def accept() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            transport = paramiko.Transport(connection)
            served.connections.append(transport)
            transport.add_server_key(served.key)
            transport.set_subsystem_handler(
                "sftp", paramiko.SFTPServer, _Files, root=root, served=served
            )
            try:
                transport.start_server(server=_Door(served))
            except (paramiko.SSHException, EOFError, OSError):
                transport.close()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield served
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()
        for transport in served.connections:
            transport.close()
            transport.join()


class _Door(paramiko.ServerInterface):
    def __init__(self, served: ServedFolder) -> None:
        self._served = served

    def get_allowed_auths(self, _username: str) -> str:
        return "password,publickey"

    def check_auth_password(self, username: str, password: str) -> int:
        return self._let(username == USER and password == PASSWORD)

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        return self._let(username == USER and key == self._served.client_key)

    def check_channel_request(self, _kind: str, _number: int) -> int:
        return paramiko.OPEN_SUCCEEDED

    def _let(self, good: object) -> int:
        self._served.logins += bool(good)
        return paramiko.AUTH_SUCCESSFUL if good else paramiko.AUTH_FAILED


class _Files(paramiko.SFTPServerInterface):
    def __init__(self, server, *, root: Path, served: ServedFolder) -> None:
        super().__init__(server)
        self._root = root
        self._served = served

    def _real(self, path: str) -> Path:
        return self._root / self.canonicalize(path).lstrip("/")

    def list_folder(self, path: str) -> list[paramiko.SFTPAttributes] | int:
        try:
            found = sorted(self._real(path).iterdir())
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno)
        return [
            paramiko.SFTPAttributes.from_stat(one.lstat(), one.name) for one in found
        ]

    def stat(self, path: str) -> paramiko.SFTPAttributes | int:
        try:
            return paramiko.SFTPAttributes.from_stat(self._real(path).stat())
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno)

    lstat = stat

    def open(self, path: str, flags: int, _attr: object) -> "_Handle | int":
        if flags & (os.O_WRONLY | os.O_RDWR):
            return paramiko.SFTP_PERMISSION_DENIED
        try:
            return _Handle(self._real(path), self._served)
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno)


class _Handle(paramiko.SFTPHandle):
    def __init__(self, path: Path, served: ServedFolder) -> None:
        super().__init__(os.O_RDONLY)
        self.readfile = path.open("rb")
        self._served = served

    def stat(self) -> paramiko.SFTPAttributes:
        return paramiko.SFTPAttributes.from_stat(os.fstat(self.readfile.fileno()))

    def read(self, offset: int, length: int) -> bytes | int:
        edge = self._served.cut_after
        if edge is not None and offset + length > edge:
            self._served.cut_after = None
            for one in self._served.connections:
                one.close()
            return paramiko.SFTP_FAILURE
        return super().read(offset, length)
