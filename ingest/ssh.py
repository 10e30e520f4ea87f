"""Opens SSH to a judged address, to the server whose key is pinned and no other."""

import io
import socket
from collections.abc import Mapping

import paramiko

from ingest.exchange import NotAllowed
from ingest.placeholders import MissingSecret, UnfitSecret
from ingest.wire import Wire

_KINDS = (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey)
_RSA = ("rsa-sha2-512", "rsa-sha2-256")


def opened(
    addresses: tuple[str, ...], port: int, *, secrets: Mapping[str, str], wire: Wire
) -> paramiko.Transport:
    """Return a connection that has logged in.

    Args:
        addresses: numeric; the first that accepts is taken.
        port: of the server.
        secrets: ``host_key``, ``user``, and ``password`` or ``private_key`` with its
            ``passphrase``.
        wire: limits.

    Raises:
        MissingSecret: what is needed to log in is not there.
        UnfitSecret: the private key cannot be read.
        NotAllowed: the server has another key than the pinned one.
        OSError: no address accepts a connection.
        paramiko.SSHException: no session came about, or the log-in is refused.
    """
    for name in ("host_key", "user"):
        if not secrets.get(name):
            raise MissingSecret(name)
    key = _private_key(secrets)
    if key is None and not secrets.get("password"):
        raise MissingSecret("password")
    transport = paramiko.Transport(_connected(addresses, port, wire.connect_s))
    try:
        _pin(transport, secrets["host_key"])
        transport.start_client(timeout=wire.connect_s * 2)
        _check(transport.get_remote_server_key(), secrets["host_key"])
        transport.auth_timeout = wire.connect_s * 4
        if key is not None:
            transport.auth_publickey(secrets["user"], key)
        else:
            transport.auth_password(secrets["user"], secrets["password"])
    except BaseException:
        transport.close()
        raise
    return transport


def _connected(
    addresses: tuple[str, ...], port: int, timeout_s: float
) -> socket.socket:
    failure = OSError("there is no address")
    for address in addresses:
        try:
            return socket.create_connection((address, port), timeout_s)
        except OSError as error:
            failure = error
    raise failure


def _private_key(secrets: Mapping[str, str]) -> paramiko.PKey | None:
    text = secrets.get("private_key")
    if not text:
        return None
    for kind in _KINDS:
        try:
            return kind.from_private_key(io.StringIO(text), secrets.get("passphrase"))
        except (paramiko.SSHException, ValueError, IndexError):
            continue
    raise UnfitSecret("private_key")


def _pin(transport: paramiko.Transport, pinned: str) -> None:
    """Ask for the key of the pinned kind: a server may have several."""
    options = transport.get_security_options()
    words = pinned.split()
    wanted = _RSA if "ssh-rsa" in words else tuple(words)
    kinds = tuple(one for one in options.key_types if one in wanted)
    if kinds:
        options.key_types = kinds


def _check(key: paramiko.PKey, pinned: str) -> None:
    """Hold a server's key against a line of OpenSSH or a fingerprint by SHA-256."""
    text = pinned.strip()
    same = (
        key.fingerprint == text.rstrip("=")
        if text.startswith("SHA256:")
        else key.get_base64() in text.split()
    )
    if not same:
        raise NotAllowed("the server's host key is not the pinned one")
