"""The shelf of connectors: what each reads, and what it needs to be filled in."""

from typing import Any

from apiflask import APIBlueprint
from flask import Response

from tasks import connectors
from web.openapi import answers
from web.representation import json_response
from web.schemas.connectors import ConnectorList, ConnectorOut

bp = APIBlueprint("connectors", __name__, url_prefix="/v1/connectors", tag="Connectors")


@bp.get("")
@bp.doc(responses=answers(200, "All of them, by name", ConnectorList))
def list_connectors() -> Response:
    """List the connectors with the JSON Schema of each one's config."""
    items = [_shown(name) for name in connectors.names()]
    return json_response({"items": items})


@bp.get("/<name>")
@bp.doc(responses=answers(200, "The connector", ConnectorOut))
def get_connector(name: str) -> Response:
    """Show a connector: licence, limits, secrets, and the schema of its config."""
    return json_response(_shown(name))


def _shown(name: str) -> dict[str, Any]:
    links = {"self": f"/v1/connectors/{name}"}
    return {**connectors.described(name), "links": links}
