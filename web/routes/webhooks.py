"""Webhooks: where a tenant is told of its jobs, and the log of what was sent there."""

from datetime import UTC, datetime
from typing import Any

from apiflask import APIBlueprint
from flask import Response

from db import deliveries, webhooks
from db.deliveries import Delivery
from db.ids import new_id
from db.session import Connection
from db.webhooks import NewWebhook, Webhook
from tasks.addresses import Refused, Unresolved, listed_hosts, target
from tasks.errors import FieldError, InvalidParams, NotFound, StateConflict
from tasks.webhooks import (
    KEYLESS,
    MOST_WEBHOOKS,
    body_of_test,
    event_name,
    secret,
)
from web.acts import Once, marked
from web.door import door, identity
from web.openapi import answers
from web.representation import json_response
from web.requests import json_body, next_link
from web.schemas.jobs import Page
from web.schemas.webhooks import (
    ChangeWebhook,
    CreateWebhook,
    DeliveryList,
    DeliveryLog,
    DeliveryOut,
    DeliveryQuery,
    WebhookList,
    WebhookOut,
    WebhookSecretOut,
)

bp = APIBlueprint("webhooks", __name__, url_prefix="/v1/webhooks", tag="Webhooks")


@bp.post("")
@bp.input(CreateWebhook, arg_name="body")
@bp.doc(responses=answers(201, "The webhook and its secret", WebhookSecretOut))
def create_webhook(body: CreateWebhook) -> Response:
    """Create a webhook; the answer holds its secret, which is not shown again."""
    tenant_id, call = identity().tenant_id, Once.of(json_body())
    with door().database.tenant(tenant_id) as connection:
        known = call.recall(connection)
    if known is None:
        # Outside of any transaction, after which another may have used the key.
        _check(body.url)
    with door().database.tenant(tenant_id) as connection:
        known = call.recall(connection)
        made = _find(connection, known) if known else _create(connection, body)
        if not known:
            call.remember(connection, made.id)
    # Once it was rotated, the secret is for whom rotated it.
    answer = json_response(_with_secret(made, shown=made.generation == 1), 201)
    answer.headers["Location"] = f"/v1/webhooks/{made.id}"
    return marked(answer, replayed=known is not None)


@bp.get("")
@bp.input(Page, location="query", arg_name="query")
@bp.doc(responses=answers(200, "A page, newest first", WebhookList))
def list_webhooks(query: Page) -> Response:
    """List the tenant's webhooks."""
    tenant_id = identity().tenant_id
    with door().database.tenant(tenant_id) as connection:
        found = webhooks.page(
            connection, tenant_id=tenant_id, before=query.cursor, limit=query.limit + 1
        )
    return _page(found, query.limit, _webhook_json)


@bp.get("/<webhook_id>")
@bp.doc(responses=answers(200, "The webhook", WebhookOut))
def get_webhook(webhook_id: str) -> Response:
    """Show a webhook."""
    with door().database.tenant(identity().tenant_id) as connection:
        return json_response(_webhook_json(_find(connection, webhook_id)))


@bp.patch("/<webhook_id>")
@bp.input(ChangeWebhook, arg_name="body")
@bp.doc(responses=answers(200, "The webhook", WebhookOut))
def change_webhook(webhook_id: str, body: ChangeWebhook) -> Response:
    """Change the given fields; ``enabled: true`` also undoes a 410."""
    tenant_id = identity().tenant_id
    fields = body.model_dump(exclude_none=True)
    if "events" in fields:
        fields["events"] = _kinds(fields["events"])
    if "url" in fields:
        with door().database.tenant(tenant_id) as connection:
            _find(connection, webhook_id)
        _check(fields["url"])
    with door().database.tenant(tenant_id) as connection:
        found = webhooks.change(
            connection, tenant_id=tenant_id, webhook_id=webhook_id, fields=fields
        )
    return json_response(_webhook_json(_there(found, webhook_id)))


@bp.delete("/<webhook_id>")
@bp.doc(responses={204: "It is gone, with its deliveries"})
def delete_webhook(webhook_id: str) -> Response:
    """Delete a webhook and all of its deliveries."""
    tenant_id = identity().tenant_id
    with door().database.tenant(tenant_id) as connection:
        if not webhooks.delete(connection, tenant_id=tenant_id, webhook_id=webhook_id):
            raise NotFound(f"no webhook {webhook_id}")
    return Response(status=204)


@bp.post("/<webhook_id>/rotate")
@bp.doc(responses=answers(200, "The webhook and its new secret", WebhookSecretOut))
def rotate_secret(webhook_id: str) -> Response:
    """Make a new secret; for 24 hours the one before signs as well."""
    tenant_id = identity().tenant_id
    with door().database.tenant(tenant_id) as connection:
        found = webhooks.rotate(connection, tenant_id=tenant_id, webhook_id=webhook_id)
    return json_response(_with_secret(_there(found, webhook_id)))


@bp.post("/<webhook_id>/test")
@bp.doc(responses=answers(202, "The delivery", DeliveryOut))
def send_test(webhook_id: str) -> Response:
    """Send a ``webhook.test`` event, whatever events the webhook wants."""
    tenant_id, delivery_id = identity().tenant_id, new_id("whd")
    with door().database.tenant(tenant_id) as connection:
        _enabled(connection, webhook_id)
        if _find(connection, webhook_id).channel is not None:
            raise StateConflict(f"{webhook_id} leads to a channel; test that instead")
        deliveries.add_test(
            connection,
            tenant_id=tenant_id,
            webhook_id=webhook_id,
            delivery_id=delivery_id,
            body=body_of_test(webhook_id, now=datetime.now(UTC)),
        )
        made = _find_delivery(connection, webhook_id, delivery_id)
    return json_response(_delivery_json(made), 202)


@bp.get("/<webhook_id>/deliveries")
@bp.input(DeliveryQuery, location="query", arg_name="query")
@bp.doc(responses=answers(200, "A page, newest first", DeliveryList))
def list_deliveries(webhook_id: str, query: DeliveryQuery) -> Response:
    """List what was, or is to be, sent to a webhook."""
    tenant_id = identity().tenant_id
    with door().database.tenant(tenant_id) as connection:
        _find(connection, webhook_id)
        found = deliveries.page(
            connection,
            tenant_id=tenant_id,
            webhook_id=webhook_id,
            state=query.state,
            before=query.cursor,
            limit=query.limit + 1,
        )
    return _page(found, query.limit, _delivery_json)


@bp.get("/<webhook_id>/deliveries/<delivery_id>")
@bp.doc(responses=answers(200, "The delivery and its attempts", DeliveryLog))
def get_delivery(webhook_id: str, delivery_id: str) -> Response:
    """Show a delivery: what was sent, and what came of each attempt."""
    tenant_id = identity().tenant_id
    with door().database.tenant(tenant_id) as connection:
        found = _find_delivery(connection, webhook_id, delivery_id)
        log = deliveries.attempts(
            connection, tenant_id=tenant_id, delivery_id=delivery_id
        )
    more = {"body": found.body or None, "log": [vars(one) for one in log]}
    return json_response({**_delivery_json(found), **more})


@bp.post("/<webhook_id>/deliveries/<delivery_id>/resend")
@bp.doc(responses=answers(202, "The delivery", DeliveryOut))
def resend_delivery(webhook_id: str, delivery_id: str) -> Response:
    """Send a delivery once more, at once and under the same id."""
    tenant_id = identity().tenant_id
    with door().database.tenant(tenant_id) as connection:
        _find_delivery(connection, webhook_id, delivery_id)
        _enabled(connection, webhook_id)
        deliveries.send_again(
            connection,
            tenant_id=tenant_id,
            webhook_id=webhook_id,
            delivery_id=delivery_id,
        )
        found = _find_delivery(connection, webhook_id, delivery_id)
    return json_response(_delivery_json(found), 202)


def _check(url: str) -> None:
    """Refuse a URL to which nothing would be sent. Takes as long as name servers do."""
    try:
        target(url, listed=listed_hosts(door().settings.webhook_hosts))
    except (Refused, Unresolved) as error:
        raise InvalidParams(str(error), (FieldError("/url", str(error)),)) from error


def _create(connection: Connection, body: CreateWebhook) -> Webhook:
    new = NewWebhook(new_id("whk"), body.url, _kinds(body.events), body.description)
    made = webhooks.create(
        connection, tenant_id=identity().tenant_id, new=new, most=MOST_WEBHOOKS
    )
    if made is None:
        detail = f"a tenant has at most {MOST_WEBHOOKS} webhooks; delete one first"
        raise InvalidParams(detail, (FieldError("", detail),))
    return made


def _find(connection: Connection, webhook_id: str) -> Webhook:
    found = webhooks.find(
        connection, tenant_id=identity().tenant_id, webhook_id=webhook_id
    )
    return _there(found, webhook_id)


def _there(found: Webhook | None, webhook_id: str) -> Webhook:
    if found is None:
        raise NotFound(f"no webhook {webhook_id}")
    return found


def _enabled(connection: Connection, webhook_id: str) -> None:
    if not _find(connection, webhook_id).enabled:
        raise StateConflict(f"{webhook_id} is disabled; enable it first")


def _find_delivery(
    connection: Connection, webhook_id: str, delivery_id: str
) -> Delivery:
    found = deliveries.find(
        connection,
        tenant_id=identity().tenant_id,
        webhook_id=webhook_id,
        delivery_id=delivery_id,
    )
    if found is None:
        raise NotFound(f"no delivery {delivery_id} of a webhook {webhook_id}")
    return found


def _kinds(names: list[Any]) -> list[str]:
    """Return the kinds of events behind their names, each once."""
    return [name.removeprefix("job.") for name in dict.fromkeys(names)]


def _page(found: list[Any], limit: int, shown: Any) -> Response:
    cursor = found[limit - 1].id if len(found) > limit else None
    body = {"items": [shown(one) for one in found[:limit]], "next_cursor": cursor}
    return next_link(json_response(body), cursor)


def _webhook_json(found: Webhook) -> dict[str, Any]:
    base = f"/v1/webhooks/{found.id}"
    return {
        "id": found.id,
        "url": found.url,
        "events": [event_name(kind) for kind in found.events],
        "description": found.description,
        "enabled": found.enabled,
        "disabled_reason": found.disabled_reason,
        "rotated_at": found.rotated_at,
        "created_at": found.created_at,
        "updated_at": found.updated_at,
        "warning": None if door().settings.secret_key else KEYLESS,
        "links": {"self": base, "deliveries": f"{base}/deliveries"},
    }


def _with_secret(found: Webhook, *, shown: bool = True) -> dict[str, Any]:
    key = door().settings.secret_key
    made = secret(key, webhook_id=found.id, generation=found.generation)
    return {**_webhook_json(found), "secret": made if key and shown else None}


def _delivery_json(found: Delivery) -> dict[str, Any]:
    base = f"/v1/webhooks/{found.webhook_id}/deliveries/{found.id}"
    return {
        "id": found.id,
        "webhook_id": found.webhook_id,
        "type": event_name(found.kind),
        "job_id": found.job_id,
        "state": found.state,
        "attempts": found.attempts,
        "next_attempt_at": found.next_attempt_at,
        "last_status": found.last_status,
        "last_error": found.last_error,
        "created_at": found.created_at,
        "ended_at": found.ended_at,
        "links": {"self": base, "resend": f"{base}/resend"},
    }
