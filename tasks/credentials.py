"""Credentials: sealed before they are stored, opened by workers only.

What is sealed names its tenant and itself, so a row that was moved does not open; see
docs/adr/0021-credentials.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from db import channels, credentials, sources
from db.credentials import Credential, NewCredential
from db.session import Connection
from tasks.errors import FieldError, InvalidData, NotFound, StateConflict
from tasks.settings import Settings

MAKE_A_KEY = (
    'python -c "from cryptography.fernet import Fernet; '
    'print(Fernet.generate_key().decode())"'
)
KEYLESS = (
    "this Forebay has no key to seal credentials with: make one with "
    f"{MAKE_A_KEY} and set FOREBAY_CREDENTIALS_KEY, or FOREBAY_CREDENTIALS_KEY_FILE, "
    "for the web door and the workers"
)


class NoKey(StateConflict):
    """Nothing can be sealed: there is no key, or one that is none."""


@dataclass(frozen=True)
class Keys:
    """The keys of the platform: the first seals, all open; ``fault`` if unusable."""

    texts: tuple[str, ...] = field(repr=False)
    fault: str | None = None


def keys_of(settings: Settings) -> Keys:
    """Return the keys that the settings name; the file is read anew each time."""
    told, path = settings.credentials_key, settings.credentials_key_file
    name = "FOREBAY_CREDENTIALS_KEY"
    if not told and path:
        name = f"the file of {name}_FILE"
        try:
            told = Path(path).read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError):
            return Keys((), f"{name}, {path}, cannot be read")
    texts = tuple(told.replace(",", " ").split())
    if not texts:
        return Keys((), KEYLESS)
    if not all(map(_is_key, texts)):
        return Keys((), f"{name} holds what is no key; make one with {MAKE_A_KEY}")
    return Keys(texts)


def put(
    connection: Connection,
    *,
    tenant_id: int,
    named: tuple[str, Mapping[str, str]],
    keys: Keys,
    now: datetime,
) -> Credential:
    """Seal secrets and store them in place of what had the name.

    Args:
        connection: a transaction of the tenant.
        tenant_id: whose they are.
        named: the name, and the secrets by theirs.
        keys: of the platform.
        now: when.

    Raises:
        NoKey: nothing can be sealed.
    """
    name, secrets = named
    if keys.fault is not None:
        raise NoKey(keys.fault)
    sealed = _seal(keys, {"tenant": tenant_id, "name": name, "secrets": dict(secrets)})
    new = NewCredential(name, sorted(secrets), sealed)
    return credentials.put(connection, tenant_id=tenant_id, new=new, now=now)


def remove(connection: Connection, *, tenant_id: int, name: str) -> None:
    """Delete a credential that no source and no channel uses.

    Raises:
        NotFound: no such credential in this tenant.
        StateConflict: a source or a channel uses it.
    """
    if credentials.hold(connection, tenant_id=tenant_id, name=name) is None:
        raise NotFound(f"no credential {name}")
    used = [
        *sources.using(connection, tenant_id=tenant_id, credential=name),
        *channels.using(connection, tenant_id=tenant_id, credential=name),
    ]
    if used:
        raise StateConflict(
            f"the credential {name} is used by {', '.join(used)}; "
            "give them another one first"
        )
    credentials.delete(connection, tenant_id=tenant_id, name=name)


def opened(
    connection: Connection, *, tenant_id: int, name: str, keys: Keys
) -> Mapping[str, str]:
    """Return the secrets of a credential; for workers, on their way to a source.

    They belong into no log, row, error or result.

    Raises:
        InvalidData: there is no such credential, or none of the keys opens it.
    """
    sealed = credentials.sealed(connection, tenant_id=tenant_id, name=name)
    if sealed is None:
        raise _closed(f"there is no credential {name!r}")
    if keys.fault is not None:
        raise _closed(keys.fault)
    found = _unseal(keys, sealed)
    if found is None:
        raise _closed(f"no key of this worker opens the credential {name!r}")
    if (found["tenant"], found["name"]) != (tenant_id, name):
        raise _closed(f"what is stored as the credential {name!r} is another one")
    return {str(one): str(secret) for one, secret in found["secrets"].items()}


def _is_key(text: str) -> bool:
    from cryptography.fernet import Fernet

    try:
        Fernet(text)
    except ValueError:
        return False
    return True


def _seal(keys: Keys, content: Mapping[str, object]) -> bytes:
    from cryptography.fernet import Fernet

    return Fernet(keys.texts[0]).encrypt(orjson.dumps(content))


def _unseal(keys: Keys, sealed: bytes) -> dict[str, Any] | None:
    from cryptography.fernet import Fernet, InvalidToken, MultiFernet

    try:
        text = MultiFernet([Fernet(one) for one in keys.texts]).decrypt(sealed)
    except InvalidToken:
        return None
    found: dict[str, Any] = orjson.loads(text)
    return found


def _closed(detail: str) -> InvalidData:
    return InvalidData(detail, (FieldError("/params/source", detail),))
