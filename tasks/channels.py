"""Channels: what each kind has to be told, and how a message reads there.

Webhooks get JSON in the form of Standard Webhooks, Slack and what takes its incoming
webhooks get ``text`` and ``blocks``, e-mail a subject and plain text.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from tasks.errors import FieldError, InvalidParams

MOST_CHANNELS = 50
_SECURITY = ("starttls", "tls", "none")
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_ADDRESS = re.compile(
    r"[^\s@<>,;:\"\\()\[\]\x00-\x1f\x7f]{1,64}@(?=.{1,253}\Z)"
    rf"{_LABEL}(?:\.{_LABEL})*"
)
_MOST_RECEIVERS = 20
_LARGEST_PORT = 65_535
_LONGEST_HEADER = 150
_SIGNS = {"low": "⚪", "medium": "🟡", "high": "🟠", "critical": "🔴"}


@dataclass(frozen=True)
class Notice:
    """What is to be told of an incident; without ``incident`` it is only a test."""

    occasion: str
    rule: str
    at: datetime
    incident: Mapping[str, Any] | None = None

    @property
    def kind(self) -> str:
        """The kind of the event, as the API and webhooks call it."""
        return f"alert.{self.occasion}"

    @property
    def title(self) -> str:
        """One line that says it."""
        if self.incident is None:
            return f"Test of the alert rule {self.rule}"
        word = {"opened": "", "worse": "Worse: ", "resolved": "Resolved: "}
        more = len(self.incident["series"]) - 1
        others = f" and {more} more series" if more > 0 else ""
        headline = f"{self.incident['headline']}{others}"
        return f"{word[self.occasion]}[{self.incident['severity']}] {headline}"

    @property
    def lines(self) -> list[str]:
        """What there is to know, in a few lines."""
        if self.incident is None:
            return ["Nothing is wrong. This message shows that the channel works."]
        found = self.incident
        told = [
            f"From {_clock(found['start_at'])} to {_clock(found['last_seen_at'])}",
            f"{found['anomalies']} anomalies: {', '.join(found['kinds'])}",
            "Series: " + ", ".join(one["unique_id"] for one in found["series"][:10]),
        ]
        if self.occasion != "resolved":
            told += [f"To do: {one['text']}" for one in found["recommendations"][:3]]
        return [*told, f"Rule {self.rule}, incident {found['links']['self']}"]


def body_of(kind: str, notice: Notice) -> str:
    """Return what is stored and sent for a kind of channel."""
    return orjson.dumps(_BODIES[kind](notice), option=orjson.OPT_UTC_Z).decode()


def _webhook_body(notice: Notice) -> dict[str, Any]:
    return {
        "type": notice.kind,
        "timestamp": notice.at.astimezone(UTC),
        "data": {
            "rule": notice.rule,
            "occasion": notice.occasion,
            "title": notice.title,
            "incident": notice.incident,
        },
    }


def _slack_body(notice: Notice) -> dict[str, Any]:
    severity = notice.incident["severity"] if notice.incident else "low"
    title = _escaped(f"{_SIGNS[severity]} {notice.title}")
    text = "\n".join(map(_escaped, notice.lines))
    return {
        "text": title,
        "blocks": [
            {
                "type": "header",
                "text": {
                    "type": "plain_text",
                    "text": f"{_SIGNS[severity]} {notice.title}"[:_LONGEST_HEADER],
                },
            },
            {"type": "section", "text": {"type": "mrkdwn", "text": text[:3_000]}},
        ],
    }


def _email_body(notice: Notice) -> dict[str, Any]:
    return {
        "subject": f"[Forebay] {notice.title}",
        "text": "\n".join([notice.title, "", *notice.lines, ""]),
    }


_BODIES: Mapping[str, Callable[[Notice], dict[str, Any]]] = {
    "webhook": _webhook_body,
    "slack": _slack_body,
    "email": _email_body,
}


def check(
    kind: str,
    config: Mapping[str, Any],
    *,
    credential: Sequence[str] | None,
    at: str = "/config",
) -> None:
    """Refuse a channel that could never send.

    Args:
        kind: of the channel.
        config: what the tenant gives.
        credential: the names of the secrets in its credential; None without one.
        at: where the config is in the request.

    Raises:
        InvalidParams: with the fields at fault.
    """
    faults = list(_CHECKS[kind](config, credential, at))
    known = _FIELDS[kind]
    faults += [
        FieldError(f"{at}/{name}", f"a channel of kind {kind} has no such field")
        for name in config
        if name not in known
    ]
    if faults:
        raise InvalidParams("; ".join(one.detail for one in faults[:3]), tuple(faults))


def _webhook_faults(
    config: Mapping[str, Any], credential: Sequence[str] | None, at: str
) -> list[FieldError]:
    if credential is not None:
        return [
            FieldError("/credential", "a webhook is signed, it needs no credential")
        ]
    if not isinstance(config.get("url"), str):
        return [FieldError(f"{at}/url", "say which URL is to be called")]
    return []


def _slack_faults(
    _config: Mapping[str, Any], credential: Sequence[str] | None, _at: str
) -> list[FieldError]:
    if credential is None or "url" not in credential:
        told = "name a credential with the incoming webhook's URL in its field url"
        return [FieldError("/credential", told)]
    return []


def _email_faults(
    config: Mapping[str, Any], credential: Sequence[str] | None, at: str
) -> list[FieldError]:
    rules: tuple[tuple[str, bool, str], ...] = (
        ("host", _is_host(config.get("host")), "name the SMTP server"),
        ("port", _is_port(config.get("port", 587)), "a port is 1 to 65535"),
        (
            "security",
            config.get("security", "starttls") in _SECURITY,
            f"choose one of {', '.join(_SECURITY)}",
        ),
        ("from", _is_address(config.get("from")), "give the sender's address"),
        ("to", _are_addresses(config.get("to")), "give 1 to 20 addresses"),
    )
    faults = [
        FieldError(f"{at}/{name}", told) for name, good, told in rules if not good
    ]
    if credential is not None and not {"username", "password"} <= set(credential):
        told = "a credential for SMTP has the fields username and password"
        faults.append(FieldError("/credential", told))
    if credential is not None and config.get("security") == "none":
        told = "a password is not sent without TLS; choose starttls or tls"
        faults.append(FieldError(f"{at}/security", told))
    return faults


_CHECKS = {"webhook": _webhook_faults, "slack": _slack_faults, "email": _email_faults}
_FIELDS = {
    "webhook": {"url"},
    "slack": set[str](),
    "email": {"host", "port", "security", "from", "to"},
}


def _is_host(told: object) -> bool:
    return isinstance(told, str) and bool(re.fullmatch(r"[A-Za-z0-9.:-]{1,253}", told))


def _is_port(told: object) -> bool:
    return type(told) is int and 0 < told <= _LARGEST_PORT


def _is_address(told: object) -> bool:
    return isinstance(told, str) and bool(_ADDRESS.fullmatch(told))


def _are_addresses(told: object) -> bool:
    return (
        isinstance(told, list)
        and 0 < len(told) <= _MOST_RECEIVERS
        and all(map(_is_address, told))
    )


def _escaped(text: str) -> str:
    """Return a text in which Slack sees no markup of its own."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _clock(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
