"""The line of each kind of channel: where a delivery goes, and in what form."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from db.deliveries import Due
from db.session import Database
from tasks import credentials, webhooks
from tasks.addresses import Refused, Resolve, Target, target
from tasks.errors import InvalidData
from tasks.settings import Settings
from workers import mail
from workers.addresses import Answer, NotSent, post
from workers.mail import Mail
from workers.receivers import Later, Receivers

_HEADERS = {"Content-Type": "application/json", "User-Agent": "forebay"}
_TAKEN = 250


@dataclass(frozen=True)
class Around:
    """What sending needs from the world around it."""

    database: Database
    settings: Settings
    listed: frozenset[str]
    resolve: Resolve
    tls: ssl.SSLContext

    def judged(self, url: str) -> Target:
        """Resolve a URL and judge where it leads."""
        return target(url, listed=self.listed, resolve=self.resolve)


def send(due: Due, body: bytes, at: datetime, around: Around) -> Answer:
    """Send a delivery along its line.

    Raises:
        Refused, Unresolved: nothing may be sent there.
        NotSent: no answer came.
    """
    if due.channel == "slack":
        return _slack(due, body, around)
    if due.channel == "email":
        return _email(due, body, at, around)
    return _webhook(due, body, at, around)


def _webhook(due: Due, body: bytes, at: datetime, around: Around) -> Answer:
    secrets = webhooks.secrets_at(
        around.settings.secret_key,
        webhook_id=due.webhook_id,
        generation=due.generation,
        rotated_at=due.rotated_at,
        now=at,
    )
    signed = webhooks.signed_headers(secrets, delivery_id=due.id, at=at, body=body)
    return _post(around.judged(due.url), {**_HEADERS, **signed}, body, around)


def _slack(due: Due, body: bytes, around: Around) -> Answer:
    url = _secrets(due, around).get("url", "")
    return _post(around.judged(url), _HEADERS, body, around)


def _email(due: Due, body: bytes, at: datetime, around: Around) -> Answer:
    config = due.config or {}
    where = around.judged(f"http://{_bracketed(config['host'])}:{mail.port_of(config)}")
    login = _secrets(due, around) if due.credential else None
    if login is not None and not {"username", "password"} <= login.keys():
        raise NotSent("the credential has no username and password")
    whom = Receivers.of(body.decode(), config["to"])
    replies: Mapping[str, tuple[int, str]] = {}
    try:
        if whom.left:
            mail.send(
                Mail(due.id, at, whom.told, whom.left, config, login),
                where,
                timeout_s=around.settings.webhook_timeout_s,
                tls=around.tls,
            )
    except mail.Rejected as error:
        return Answer(error.code, None, final=error.said)
    except mail.NotAll as error:
        replies = error.replies
    return _mailed(whom.after(replies), replies)


def _mailed(whom: Receivers, replies: Mapping[str, tuple[int, str]]) -> Answer:
    if whom.left:
        _, said = replies[whom.left[0]]
        raise Later(said, whom.body)
    if whom.refused:
        return Answer(whom.code, None, final=whom.said, body=whom.body)
    return Answer(_TAKEN, None, body=whom.body)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _post(
    where: Target, headers: Mapping[str, str], body: bytes, around: Around
) -> Answer:
    return post(
        where,
        headers=headers,
        body=body,
        timeout_s=around.settings.webhook_timeout_s,
        tls=around.tls,
    )


def _secrets(due: Due, around: Around) -> Mapping[str, str]:
    """Open the credential of a channel; a fault of it may be mended meanwhile."""
    if due.credential is None:
        raise Refused("the channel has no credential")
    try:
        with around.database.tenant(due.tenant_id) as connection:
            return credentials.opened(
                connection,
                tenant_id=due.tenant_id,
                name=due.credential,
                keys=credentials.keys_of(around.settings),
            )
    except InvalidData as error:
        raise NotSent(str(error)) from error
