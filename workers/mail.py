"""Sends an alert as e-mail: SMTP to an address that was judged, TLS before a password.

``smtplib`` does the talking. It is given a socket that is connected already, because it
would resolve the host by itself.
"""

import smtplib
import socket
import ssl
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any

from tasks.addresses import Target
from workers.addresses import NotSent, connected

_LEAST, _READY, _UNABLE = 200, 220, 504
_PERMANENT = 5  # a class of replies: the same again would be answered the same
_PORTS = {"starttls": 587, "tls": 465, "none": 25}


class Rejected(Exception):
    """The server will not take it, now or later; ``code`` is its reply's."""

    def __init__(self, code: int, said: str) -> None:
        super().__init__(code, said)
        self.code, self.said = code, said


class NotAll(Exception):
    """The server took it, but not for these; ``replies`` are codes and words."""

    def __init__(self, replies: Mapping[str, tuple[int, str]]) -> None:
        super().__init__(replies)
        self.replies = replies


@dataclass(frozen=True)
class Mail:
    """What to send, to which of the receivers, by which rules, and who sends."""

    delivery_id: str
    at: datetime
    told: Mapping[str, Any]
    to: Sequence[str]
    config: Mapping[str, Any]
    login: Mapping[str, str] | None


def port_of(config: Mapping[str, Any]) -> int:
    """Return the port of a channel's server: what is told, or the usual one."""
    return int(config.get("port") or _PORTS[config.get("security", "starttls")])


def message(mail: Mail) -> EmailMessage:
    """Return the message; its Message-ID is that of the delivery in each retry."""
    told = mail.told
    made = EmailMessage()
    made["From"] = mail.config["from"]
    made["To"] = ", ".join(mail.config["to"])
    made["Subject"] = " ".join(str(told.get("subject", "Forebay")).split())
    made["Date"] = format_datetime(mail.at)
    host = str(mail.config["from"]).rpartition("@")[2]
    made["Message-ID"] = f"<{mail.delivery_id}@{host}>"
    made["Auto-Submitted"] = "auto-generated"
    made.set_content(str(told.get("text", "")))
    return made


def send(mail: Mail, target: Target, *, timeout_s: float, tls: ssl.SSLContext) -> None:
    """Send a message; all receivers must be taken by the server.

    Raises:
        Rejected: the server refuses for good.
        NotAll: it refuses some receivers, or all, for good or for now.
        NotSent: it did not work, and may later.
    """
    with connected(target, timeout_s=timeout_s) as line:
        try:
            _talk(mail, target, line, tls)
        except smtplib.SMTPResponseException as error:
            raise _refusal(error.smtp_code, error.smtp_error) from error
        except smtplib.SMTPRecipientsRefused as error:
            replies = {
                one: (code, _words(code, told))
                for one, (code, told) in error.recipients.items()
            }
            raise NotAll(replies) from error
        except smtplib.SMTPNotSupportedError as error:
            raise Rejected(_UNABLE, f"the server cannot do it: {error}") from error
        except smtplib.SMTPServerDisconnected as error:
            raise NotSent("the connection failed or broke") from error
        except smtplib.SMTPException as error:
            raise NotSent("the answer is not SMTP") from error
        except UnicodeEncodeError as error:
            raise NotSent("the user and the password have to be ASCII") from error
        except ValueError as error:
            raise NotSent("the answer is not SMTP") from error


def _talk(mail: Mail, target: Target, line: socket.socket, tls: ssl.SSLContext) -> None:
    server = smtplib.SMTP(local_hostname="forebay")
    security = mail.config.get("security", "starttls")
    wrapped = security == "tls"
    server.sock = _wrapped(line, target, tls) if wrapped else line
    try:
        code, told = server.getreply()
        if code != _READY:
            raise smtplib.SMTPConnectError(code, told)
        server.ehlo_or_helo_if_needed()
        if security == "starttls":
            _upgrade(server, line, target, tls)
        if mail.login:
            server.login(mail.login["username"], mail.login["password"])
        refused = server.send_message(message(mail), to_addrs=list(mail.to))
        if refused:
            raise smtplib.SMTPRecipientsRefused(refused)
        with suppress(smtplib.SMTPException):  # it is taken, whatever comes now
            server.quit()
    finally:
        server.close()


def _wrapped(line: socket.socket, target: Target, tls: ssl.SSLContext) -> socket.socket:
    return tls.wrap_socket(line, server_hostname=target.host.rstrip("."))


def _upgrade(
    server: smtplib.SMTP, line: socket.socket, target: Target, tls: ssl.SSLContext
) -> None:
    """Begin TLS; what the server said before is forgotten, as RFC 3207 asks."""
    if not server.has_extn("starttls"):
        raise smtplib.SMTPNotSupportedError("it offers no STARTTLS")
    code, told = server.docmd("STARTTLS")
    if code != _READY:
        raise smtplib.SMTPResponseException(code, told)
    server.sock = _wrapped(line, target, tls)
    server.file = None
    server.helo_resp = server.ehlo_resp = None
    server.esmtp_features = {}
    server.does_esmtp = False
    server.ehlo_or_helo_if_needed()


def _refusal(code: int, told: bytes | str) -> Exception:
    """Return what a reply means; its text is the server's, so it is cut short."""
    if code < _LEAST:
        return NotSent("the answer is not SMTP")
    said = _words(code, told)
    return Rejected(code, said) if code // 100 == _PERMANENT else NotSent(said)


def _words(code: int, told: bytes | str) -> str:
    words = told.decode("utf-8", "replace") if isinstance(told, bytes) else told
    return f"the server answered {code} {' '.join(words.split())[:120]}".strip()
