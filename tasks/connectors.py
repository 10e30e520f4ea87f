"""The shelf of connectors for the door: what each needs, and whether a config fits."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from tasks.errors import FieldError, NotFound
from tasks.submit import field_errors

if TYPE_CHECKING:
    from ingest.contract import Connector, Spec


def names() -> list[str]:
    """Return the names of all connectors, in order."""
    return list(_shelf())


def spec_of(name: str) -> "Spec | None":
    """Return what is known of a connector's source; None for an unknown one."""
    kind = _shelf().get(name)
    return None if kind is None else kind.spec


def described(name: str) -> dict[str, Any]:
    """Return what a person needs to know to make a source of a connector.

    Raises:
        NotFound: no such connector.
    """
    kind = _shelf().get(name)
    if kind is None:
        raise NotFound(f"no connector {name}; there are {', '.join(names())}")
    spec = kind.spec
    return {
        "name": name,
        "title": spec.title,
        "licence": spec.licence,
        "documentation": spec.documentation or None,
        "enabled": spec.enabled,
        "version": spec.version,
        "secrets": [asdict(one) for one in spec.secrets],
        "limits": asdict(spec.limits),
        "tiers": [
            {
                "name": tier.name,
                "back_h": _hours(tier.back),
                "every_h": _hours(tier.every),
            }
            for tier in spec.tiers
        ],
        "lag_h": _hours(spec.lag),
        "completeness": spec.completeness,
        "publication": spec.publication,
        "config": kind.config_type.model_json_schema(),
    }


def faults(
    name: str, *, config: Mapping[str, Any], credential: tuple[str, list[str]] | None
) -> list[FieldError]:
    """Return why a source cannot be made of a connector so.

    Args:
        name: of the connector.
        config: as given.
        credential: its name, and the names of the secrets in it; None for none.

    Returns:
        Pointers into the source; none where all fits.
    """
    kind = _shelf().get(name)
    if kind is None:
        detail = f"unknown connector {name!r}; known are {', '.join(names())}"
        return [FieldError("/connector", detail)]
    return [*_misfits(kind, config), *_lacking(kind.spec, credential)]


def _misfits(kind: "type[Connector]", config: Mapping[str, Any]) -> list[FieldError]:
    try:
        kind.config_type.model_validate(config)
    except ValidationError as error:
        return list(field_errors(error, given=config, prefix="/config"))
    return []


def _lacking(
    spec: "Spec", credential: tuple[str, list[str]] | None
) -> list[FieldError]:
    needed = [one for one in spec.secrets if one.required]
    if credential is None:
        lacking = [f"{one.name} ({one.title})" for one in needed]
        detail = f"this connector needs a credential with {', '.join(lacking)}"
    else:
        lacking = [one.name for one in needed if one.name not in credential[1]]
        detail = f"the credential {credential[0]} has no {', '.join(lacking)}"
    return [FieldError("/credential", detail)] if lacking else []


def _shelf() -> "Mapping[str, type[Connector]]":
    from ingest.connectors import connectors

    return connectors()


def _hours(length: timedelta) -> float:
    return length / timedelta(hours=1)
