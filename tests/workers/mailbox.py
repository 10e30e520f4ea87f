"""An SMTP server on this machine that takes what is sent, or refuses as it is told.

It speaks as much of RFC 5321 as a client needs, line by line: EHLO, STARTTLS, AUTH
PLAIN, MAIL, RCPT, DATA with its dots, QUIT.
"""

import base64
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage


@dataclass
class Mailbox:
    """What came: envelopes and messages.

    ``script`` answers a line, or all that begin with a word, otherwise.
    """

    port: int = 0
    users: dict[str, str] = field(default_factory=dict)
    script: dict[str, str] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    envelopes: list[tuple[str, list[str]]] = field(default_factory=list)
    messages: list[EmailMessage] = field(default_factory=list)


class _Talk:
    def __init__(
        self, line: socket.socket, box: Mailbox, tls: ssl.SSLContext | None
    ) -> None:
        self.line, self.box, self.tls = line, box, tls
        self.file = line.makefile("rwb")
        self.sender, self.receivers = "", list[str]()
        self.secure = False

    def say(self, text: str) -> None:
        self.file.write(text.encode() + b"\r\n")
        self.file.flush()

    def run(self) -> None:
        self.say(self.box.script.get("HELLO", "220 mailbox"))
        while text := self.file.readline().decode().rstrip("\r\n"):
            word = text.split(" ", 1)[0].upper()
            self.box.said.append("AUTH ..." if word == "AUTH" else text)
            answer = self.box.script.get(text) or self.box.script.get(word)
            if answer:
                self.say(answer)
            elif not getattr(self, f"_{word.lower()}", self._unknown)(text):
                return

    def _unknown(self, _text: str) -> bool:
        self.say("500 what?")
        return True

    def _ehlo(self, _text: str) -> bool:
        offers = ["mailbox"]
        if self.tls and not self.secure:
            offers.append("STARTTLS")
        if self.box.users and (self.secure or not self.tls):
            offers.append("AUTH PLAIN")
        for one in offers[:-1]:
            self.say(f"250-{one}")
        self.say(f"250 {offers[-1]}")
        return True

    def _starttls(self, _text: str) -> bool:
        self.say("220 go on")
        self.line = self.tls.wrap_socket(self.line, server_side=True)
        self.file = self.line.makefile("rwb")
        self.secure = True
        return True

    def _auth(self, text: str) -> bool:
        _, user, password = base64.b64decode(text.split()[2]).decode().split("\0")
        good = self.box.users.get(user) == password
        self.say("235 welcome" if good else "535 no such user or password")
        return True

    def _mail(self, text: str) -> bool:
        self.sender, self.receivers = _address(text), []
        self.say("250 ok")
        return True

    def _rcpt(self, text: str) -> bool:
        self.receivers.append(_address(text))
        self.say("250 ok")
        return True

    def _data(self, _text: str) -> bool:
        self.say("354 tell")
        lines = []
        while (one := self.file.readline()) != b".\r\n":
            lines.append(one.removeprefix(b"."))
        self.box.envelopes.append((self.sender, self.receivers))
        made = message_from_bytes(b"".join(lines), policy=policy.default)
        self.box.messages.append(made)
        self.say("250 taken")
        return True

    def _rset(self, _text: str) -> bool:
        self.say("250 ok")
        return True

    def _quit(self, _text: str) -> bool:
        self.say("221 bye")
        return False


def _address(text: str) -> str:
    return text.partition("<")[2].partition(">")[0]


@contextmanager
def mailbox(
    tls: ssl.SSLContext | None = None, *, at_once: bool = False
) -> Iterator[Mailbox]:
    """Serve until the block ends; ``at_once`` begins with TLS, else it is offered."""
    box = Mailbox()
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        box.port = server.getsockname()[1]

        def serve() -> None:
            while not over.is_set():
                with suppress(TimeoutError):
                    line, _ = server.accept()
                    line.settimeout(10)
                    with suppress(OSError, ValueError), line:
                        _serve(line, box, tls, at_once=at_once)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield box
        finally:
            over.set()
            thread.join()


def _serve(
    line: socket.socket, box: Mailbox, tls: ssl.SSLContext | None, *, at_once: bool
) -> None:
    if at_once:
        line = tls.wrap_socket(line, server_side=True)
    talk = _Talk(line, box, None if at_once else tls)
    try:
        talk.run()
    finally:
        with suppress(OSError, ValueError):
            talk.file.close()
        talk.line.close()
