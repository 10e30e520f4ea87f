"""Which Singer taps a tenant may run: those that the operator lists for it."""

import re
import shlex
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from tasks.errors import FieldError

CONNECTOR = "singer_tap"
_EVERYBODY = "*"
_ENTRY = re.compile(r"([a-z0-9][a-z0-9_-]{0,62})\s*(?:@([^=]*[^=,\s][^=]*))?=(.*\S)")


@dataclass(frozen=True)
class Tap:
    """A program, and the names of the tenants that may run it; none for a sole one."""

    command: tuple[str, ...]
    tenants: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Runner:
    """Who wants to run a tap: a tenant's name, and whether there is no other tenant."""

    name: str
    alone: bool


def listed(setting: str) -> dict[str, Tap]:
    """Return the taps of the setting by name.

    Raises:
        ValueError: an entry is no ``name=command`` or ``name@tenant,tenant=command``,
            or its name is taken: the tenants of one of both would lose their tap.

    Example:
        >>> found = listed("tap-load=/opt/load --fast; tap-x@acme,beta=/opt/x")
        >>> found["tap-load"].command, sorted(found["tap-x"].tenants)
        (('/opt/load', '--fast'), ['acme', 'beta'])
    """
    taps = {}
    for entry in filter(None, map(str.strip, setting.split(";"))):
        read = _ENTRY.fullmatch(entry)
        if read is None:
            message = f"{entry.partition('=')[0]!r} is no name or name@tenant,tenant"
            raise ValueError(message)
        name, tenants, command = read.groups(default="")
        if name in taps:
            message = f"{name!r} is listed twice"
            raise ValueError(message)
        named = frozenset(filter(None, map(str.strip, tenants.split(","))))
        taps[name] = Tap(tuple(shlex.split(command)), named)
    return taps


def of(runner: Runner, taps: Mapping[str, Tap]) -> dict[str, tuple[str, ...]]:
    """Return the commands of the taps that a tenant may run.

    A tap that names no tenant is the operator's own where there is one tenant only;
    where there are more, nobody's, until it says whose.
    """

    def may(tap: Tap) -> bool:
        if not tap.tenants:
            return runner.alone
        return bool(tap.tenants & {runner.name, _EVERYBODY})

    return {name: tap.command for name, tap in taps.items() if may(tap)}


def faults(
    connector: str, config: Mapping[str, Any], allowed: Collection[str]
) -> list[FieldError]:
    """Return why a source may not run the tap that it names; none where it may."""
    tap = config.get("tap")
    if connector != CONNECTOR or not isinstance(tap, str) or tap in allowed:
        return []
    known = ", ".join(sorted(allowed)) or "none"
    detail = f"no tap {tap!r} is listed for this tenant; there are: {known}"
    return [FieldError("/config/tap", detail)]
