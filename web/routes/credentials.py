"""Credentials: put and deleted by name; what is in them is never shown."""

import re
from typing import Any

from apiflask import APIBlueprint
from flask import Response

from db import credentials as rows
from db.credentials import Credential
from db.schedules import clock
from tasks import credentials
from tasks.errors import FieldError, InvalidParams
from web.acts import note
from web.door import door, identity
from web.openapi import answers
from web.representation import json_response
from web.requests import next_link
from web.schemas.credentials import NAME, CredentialList, CredentialOut, PutCredential
from web.schemas.jobs import Page

bp = APIBlueprint(
    "credentials", __name__, url_prefix="/v1/credentials", tag="Credentials"
)


@bp.put("/<name>")
@bp.input(PutCredential, arg_name="body")
@bp.doc(responses=answers(200, "The credential, without its secrets", CredentialOut))
def put_credential(name: str, body: PutCredential) -> Response:
    """Seal secrets under a name; they take the place of all that it held."""
    if not re.fullmatch(NAME, name):
        detail = "a name is lower case letters, digits, dots, - and _, up to 80"
        raise InvalidParams(detail, (FieldError("", detail),))
    here, tenant_id = door(), identity().tenant_id
    secrets = {field: one.get_secret_value() for field, one in body.secrets.items()}
    with here.database.tenant(tenant_id) as connection:
        stored = credentials.put(
            connection,
            tenant_id=tenant_id,
            named=(name, secrets),
            keys=credentials.keys_of(here.settings),
            now=clock(connection),
        )
        note(connection, "credential.put", name, {"fields": stored.fields})
    return json_response(_shown(stored))


@bp.get("")
@bp.input(Page, location="query", arg_name="query")
@bp.doc(responses=answers(200, "A page, by name", CredentialList))
def list_credentials(query: Page) -> Response:
    """List the tenant's credentials and the names of what is in them."""
    tenant_id = identity().tenant_id
    with door().database.tenant(tenant_id) as connection:
        found = rows.page(
            connection, tenant_id=tenant_id, after=query.cursor, limit=query.limit + 1
        )
    items = [_shown(one) for one in found[: query.limit]]
    cursor = items[-1]["name"] if len(found) > query.limit else None
    return next_link(json_response({"items": items, "next_cursor": cursor}), cursor)


@bp.delete("/<name>")
@bp.doc(responses={204: "It is gone"})
def delete_credential(name: str) -> Response:
    """Delete a credential that no source uses."""
    tenant_id = identity().tenant_id
    with door().database.tenant(tenant_id) as connection:
        credentials.remove(connection, tenant_id=tenant_id, name=name)
        note(connection, "credential.delete", name)
    return Response(status=204)


def _shown(found: Credential) -> dict[str, Any]:
    return {
        "name": found.name,
        "fields": found.fields,
        "created_at": found.created_at,
        "updated_at": found.updated_at,
        "links": {"self": f"/v1/credentials/{found.name}"},
    }
