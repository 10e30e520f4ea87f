"""Every setting of the platform: name, unit, default and meaning, in one place.

Both doors read the same environment, so they share one class: a misspelt variable is
an error in whichever process starts first. Nothing below the doors reads it.
"""

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks import taps

PREFIX = "FOREBAY_"
_STORES = r"(s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[\w.-]+)*/?)?"


class InvalidSettings(ValueError):
    """A variable is unknown, missing or has no usable value."""


def _setting(default: Any, doc: str) -> Any:
    return dataclasses.field(default=default, metadata={"doc": doc})


@dataclass(frozen=True)
class Settings:
    """The settings; a variable is ``FOREBAY_`` plus the name in capitals."""

    database_url: str = _setting("", "PostgreSQL URL of the login role. Required.")
    broker_url: str = _setting("", "amqp:// URL, or filesystem:// when embedded.")
    broker_folder: str = _setting("", "Folder of messages for filesystem://.")
    queue_type: str = _setting("quorum", "RabbitMQ queue type: quorum or classic.")
    artifacts: str = _setting("var/artifacts", "Folder of uploads, shared by all.")
    artifact_store: str = _setting("", "s3://bucket/prefix of trained versions.")
    s3_endpoint: str = _setting("", "URL of an S3-like store that is not Amazon's.")
    s3_region: str = _setting("us-east-1", "Region that signs requests to S3.")
    s3_access_key: str = _setting("", "Key id for S3; by default the machine's role.")
    s3_secret_key: str = _setting("", "Secret key for S3.")
    secret_key: str = _setting("", "Signs console sessions and webhooks. Required.")
    credentials_key: str = _setting("", "Keys that seal credentials; the first seals.")
    credentials_key_file: str = _setting("", "File of such keys, one a line.")
    log_level: str = _setting("INFO", "Lowest level that is logged.")
    lease_s: float = _setting(60.0, "Seconds a silent worker keeps its job.")
    heartbeat_s: float = _setting(2.0, "Seconds between renewals of a lease.")
    grace_s: float = _setting(5.0, "Seconds a handler has to stop before a kill.")
    shutdown_s: float = _setting(25.0, "Seconds a stopping worker lets jobs finish.")
    retry_delay_s: float = _setting(2.0, "Seconds before a second attempt; doubles.")
    dispatch_window: int = _setting(100, "Unclaimed messages a queue holds at most.")
    backfill_share: float = _setting(0.1, "Share of a busy queue kept for backfills.")
    lost_after_s: float = _setting(10.0, "Seconds until a lost message is resent.")
    housekeeping_s: float = _setting(2.0, "Seconds between two looks for lost jobs.")
    host: str = _setting("127.0.0.1", "Address the web door listens on.")
    port: int = _setting(8080, "Port the web door listens on.")
    threads: int = _setting(64, "Threads of the web process.")
    streams: int = _setting(40, "Held requests (SSE, long polls) of a web process.")
    tenant_streams: int = _setting(20, "Held requests of one tenant.")
    calls_per_minute: int = _setting(60_000, "Calls a key may make; 0 is no limit.")
    max_body_bytes: int = _setting(16_000_000, "Largest JSON or observations body.")
    max_upload_bytes: int = _setting(2_000_000_000, "Largest upload.")
    metrics_hosts: str = _setting("127.0.0.1,::1", "Addresses that may read /metrics.")
    webhook_hosts: str = _setting("", "Hosts webhooks may reach though private.")
    source_hosts: str = _setting("", "Hosts sources may read though private.")
    source_folders: str = _setting(
        "",
        "Folders that file:// sources of any tenant may read; {tenant} is its number.",
    )
    source_commands: str = _setting(
        "",
        "Singer taps: name=command; name@tenant,tenant=command. @* is for all tenants; "
        "without @ only a sole tenant may run it.",
    )
    raw_days: int = _setting(90, "Days that answers of sources are kept.")
    quiet_days: int = _setting(
        30, "Days without news after which an incident is over; 0 for never."
    )
    webhook_timeout_s: float = _setting(10.0, "Seconds a webhook's receiver has.")
    traces_url: str = _setting("", "OTLP/HTTP address of traces; empty for none.")
    flower_url: str = _setting("", "Where the console links for the worker view.")
    flower_host: str = _setting("127.0.0.1", "Address Flower listens on.")
    flower_port: int = _setting(5555, "Port Flower listens on.")

    @property
    def embedded(self) -> bool:
        """Whether messages travel through a folder instead of RabbitMQ."""
        return self.broker_url.startswith("filesystem")

    @property
    def artifacts_path(self) -> Path:
        """The artifacts folder as a path."""
        return Path(self.artifacts)

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "Settings":
        """Read ``FOREBAY_*`` variables.

        Raises:
            InvalidSettings: a variable is unknown or cannot be read as its type.
        """
        known = {PREFIX + field.name.upper(): field for field in fields()}
        given = {
            name: text for name, text in environ.items() if name.startswith(PREFIX)
        }
        if unknown := sorted(set(given) - set(known) - _NOT_OURS):
            names = ", ".join(unknown)
            message = f"unknown settings: {names} (see docs/reference/settings.md)"
            raise InvalidSettings(message)
        values = {
            known[name].name: _parsed(name, text, type(known[name].default))
            for name, text in given.items()
            if name in known
        }
        settings = cls(**values)
        if not settings.database_url:
            raise InvalidSettings("FOREBAY_DATABASE_URL is not set")
        if settings.queue_type not in ("quorum", "classic"):
            raise InvalidSettings("FOREBAY_QUEUE_TYPE must be quorum or classic")
        if not re.fullmatch(_STORES, settings.artifact_store):
            raise InvalidSettings("FOREBAY_ARTIFACT_STORE must be s3://bucket/prefix")
        try:
            taps.listed(settings.source_commands)
        except ValueError as error:
            raise InvalidSettings(f"FOREBAY_SOURCE_COMMANDS: {error}") from error
        return settings


_NOT_OURS = {"FOREBAY_TEST_SERVERS", "FOREBAY_HOME"}
"""Read by the test suite and by ``make run``, which hand on settings of their own."""


def fields() -> tuple[dataclasses.Field[Any], ...]:
    """Return the fields of Settings with their defaults and docs."""
    return dataclasses.fields(Settings)


def _parsed(name: str, text: str, kind: type) -> Any:
    try:
        return kind(text)
    except ValueError as error:
        message = f"{name} must be a {kind.__name__}"
        raise InvalidSettings(message) from error
