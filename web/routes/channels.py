"""Channels: where alerts go. Their secrets are kept as credentials, and not shown."""

from typing import Any

from apiflask import APIBlueprint
from flask import Response

from db import alert_rules, channels, credentials, notifications
from db.channels import Channel, ChannelRefused, NewChannel
from db.schedules import clock
from db.session import Connection
from tasks import alerting
from tasks.addresses import Refused, Unresolved, listed_hosts, target
from tasks.channels import MOST_CHANNELS, check
from tasks.errors import FieldError, InvalidParams, NotFound, StateConflict
from tasks.webhooks import secret
from web.acts import created, note, once, page_of
from web.door import door, identity
from web.openapi import answers
from web.representation import json_response
from web.routes.alert_rules import notification_json
from web.schemas.alert_rules import (
    ChangeChannel,
    ChannelList,
    ChannelOut,
    ChannelSecretOut,
    CreateChannel,
    NotificationOut,
)
from web.schemas.jobs import Page

bp = APIBlueprint("channels", __name__, url_prefix="/v1/channels", tag="Channels")


@bp.post("")
@bp.input(CreateChannel, arg_name="body")
@bp.doc(responses=answers(201, "The channel", ChannelSecretOut))
def create_channel(body: CreateChannel) -> Response:
    """Create a channel; the secret of a webhook is not shown again."""
    tenant_id = identity().tenant_id
    with door().database.tenant(tenant_id) as connection:
        _check(connection, body.kind, body.config, body.credential)
    # Outside of any transaction: it takes as long as name servers do.
    _reachable(body.kind, body.config)
    with door().database.tenant(tenant_id) as connection:
        made, replayed = once(connection, lambda: _create(connection, body))
        found = _find(connection, made)
    key = door().settings.secret_key
    shown = found.kind == "webhook" and found.generation == 1 and bool(key)
    told = secret(key, webhook_id=found.webhook_id, generation=1) if shown else None
    return created({**_channel_json(found), "secret": told}, replayed=replayed)


@bp.get("")
@bp.input(Page, location="query", arg_name="query")
@bp.doc(responses=answers(200, "A page, newest first", ChannelList))
def list_channels(query: Page) -> Response:
    """List the tenant's channels."""
    tenant_id = identity().tenant_id
    with door().database.tenant(tenant_id) as connection:
        found = channels.page(
            connection, tenant_id=tenant_id, before=query.cursor, limit=query.limit + 1
        )
    return page_of([_channel_json(one) for one in found], limit=query.limit)


@bp.get("/<channel_id>")
@bp.doc(responses=answers(200, "The channel", ChannelOut))
def get_channel(channel_id: str) -> Response:
    """Show a channel."""
    with door().database.tenant(identity().tenant_id) as connection:
        return json_response(_channel_json(_find(connection, channel_id)))


@bp.patch("/<channel_id>")
@bp.input(ChangeChannel, arg_name="body")
@bp.doc(responses=answers(200, "The channel", ChannelOut))
def change_channel(channel_id: str, body: ChangeChannel) -> Response:
    """Change the given fields; disabling gives up what is on its way."""
    tenant_id = identity().tenant_id
    fields = body.model_dump(exclude_none=True)
    with door().database.tenant(tenant_id) as connection:
        before = _find(connection, channel_id)
        config = fields.get("config", before.config)
        _check(
            connection, before.kind, config, fields.get("credential", before.credential)
        )
    if "config" in fields:
        _reachable(before.kind, config)
        fields["url"] = config.get("url") if before.kind == "webhook" else None
    with door().database.tenant(tenant_id) as connection:
        try:
            channels.change(
                connection,
                tenant_id=tenant_id,
                channel_id=channel_id,
                fields=fields,
                now=clock(connection),
            )
        except ChannelRefused as refused:
            raise _refusal(refused) from refused
        told = sorted(set(fields) - {"url"})
        note(connection, "channel.change", channel_id, {"fields": told})
        found = _find(connection, channel_id)
    return json_response(_channel_json(found))


@bp.delete("/<channel_id>")
@bp.doc(responses={204: "It is gone, with its deliveries"})
def delete_channel(channel_id: str) -> Response:
    """Delete a channel that no alert rule uses."""
    tenant_id = identity().tenant_id
    with door().database.tenant(tenant_id) as connection:
        found = _find(connection, channel_id)
        alert_rules.hold(connection, tenant_id=tenant_id)
        used = alert_rules.using(connection, tenant_id=tenant_id, channel_id=channel_id)
        if used:
            raise StateConflict(
                f"the channel {found.name} is used by the rules {', '.join(used)}"
            )
        channels.delete(connection, tenant_id=tenant_id, channel_id=channel_id)
        note(connection, "channel.delete", channel_id, {"name": found.name})
    return Response(status=204)


@bp.post("/<channel_id>/test")
@bp.doc(responses=answers(202, "The notification", NotificationOut))
def send_channel_test(channel_id: str) -> Response:
    """Send a test message through a channel."""
    tenant_id = identity().tenant_id
    with door().database.tenant(tenant_id) as connection:
        found = _find(connection, channel_id)
        if not found.enabled:
            raise StateConflict(f"{channel_id} is disabled; enable it first")
        ids = alerting.fire_test(
            connection,
            tenant_id=tenant_id,
            rule=(None, f"test of {found.name}"),
            through=[found],
            now=clock(connection),
        )
        (made,) = notifications.by_ids(connection, tenant_id=tenant_id, ids=ids)
    return json_response(notification_json(made), 202)


def _create(connection: Connection, body: CreateChannel) -> str:
    url = body.config.get("url", "") if body.kind == "webhook" else ""
    new = NewChannel(body.name, body.kind, body.config, body.credential, url)
    try:
        made = channels.create(
            connection,
            tenant_id=identity().tenant_id,
            new=new,
            most=MOST_CHANNELS,
            now=clock(connection),
        )
    except ChannelRefused as refused:
        raise _refusal(refused) from refused
    told = {"name": body.name, "kind": body.kind}
    note(connection, "channel.create", made, told)
    return made


def _refusal(refused: ChannelRefused) -> InvalidParams:
    if refused.why == "full":
        detail = f"a tenant has at most {MOST_CHANNELS} channels; delete one first"
        return InvalidParams(detail, (FieldError("", detail),))
    detail = "another channel has this name"
    return InvalidParams(detail, (FieldError("/name", detail),))


def _check(
    connection: Connection, kind: str, config: dict[str, Any], credential: str | None
) -> None:
    fields = None
    if credential is not None:
        known = credentials.keep(
            connection, tenant_id=identity().tenant_id, name=credential
        )
        if known is None:
            detail = f"there is no credential {credential}"
            raise InvalidParams(detail, (FieldError("/credential", detail),))
        fields = known.fields
    check(kind, config, credential=fields)


def _reachable(kind: str, config: dict[str, Any]) -> None:
    """Refuse an address that nothing would be sent to."""
    if kind == "slack":
        return
    field = "url" if kind == "webhook" else "host"
    url = str(config[field]) if kind == "webhook" else f"http://{_host(config)}/"
    try:
        target(url, listed=listed_hosts(door().settings.webhook_hosts))
    except (Refused, Unresolved) as error:
        at = f"/config/{field}"
        raise InvalidParams(str(error), (FieldError(at, str(error)),)) from error


def _host(config: dict[str, Any]) -> str:
    host = str(config["host"])
    return f"[{host}]" if ":" in host else host


def _find(connection: Connection, channel_id: str) -> Channel:
    found = channels.find(
        connection, tenant_id=identity().tenant_id, channel_id=channel_id
    )
    if found is None:
        raise NotFound(f"no channel {channel_id}")
    return found


def _channel_json(found: Channel) -> dict[str, Any]:
    base = f"/v1/channels/{found.id}"
    hidden = ("webhook_id", "generation")
    told = {name: value for name, value in vars(found).items() if name not in hidden}
    links = {
        "self": base,
        "test": f"{base}/test",
        "notifications": f"/v1/notifications?channel={found.id}",
        "deliveries": f"/v1/webhooks/{found.webhook_id}/deliveries",
    }
    return {**told, "links": links}
