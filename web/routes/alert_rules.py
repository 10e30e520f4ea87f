"""Alert rules: which incidents are told to whom; and what was told, and if it came."""

from collections.abc import Sequence
from typing import Any

from apiflask import APIBlueprint
from flask import Response

from db import alert_rules, channels, notifications
from db.alert_rules import AlertRule, RuleRefused
from db.channels import Channel
from db.notifications import Notification, Wanted
from db.schedules import clock
from db.session import Connection
from tasks import alerting
from tasks.errors import FieldError, InvalidParams, NotFound
from web.acts import created, note, once, page_of
from web.door import door, identity
from web.openapi import answers
from web.representation import json_response
from web.schemas.alert_rules import (
    ChangeRule,
    CreateRule,
    NotificationList,
    NotificationQuery,
    RuleList,
    RuleOut,
)
from web.schemas.jobs import Page

bp = APIBlueprint("alert_rules", __name__, url_prefix="/v1", tag="Alerting")


@bp.post("/alert-rules")
@bp.input(CreateRule, arg_name="body")
@bp.doc(responses=answers(201, "The rule", RuleOut))
def create_alert_rule(body: CreateRule) -> Response:
    """Create an alert rule; it looks at what happens from now on."""
    tenant_id = identity().tenant_id
    with door().database.tenant(tenant_id) as connection:
        made, replayed = once(connection, lambda: _create(connection, body))
        found = _find(connection, made)
    return created(_rule_json(found), replayed=replayed)


@bp.get("/alert-rules")
@bp.input(Page, location="query", arg_name="query")
@bp.doc(responses=answers(200, "A page, newest first", RuleList))
def list_alert_rules(query: Page) -> Response:
    """List the tenant's alert rules."""
    tenant_id = identity().tenant_id
    with door().database.tenant(tenant_id) as connection:
        found = alert_rules.page(
            connection, tenant_id=tenant_id, before=query.cursor, limit=query.limit + 1
        )
    return page_of([_rule_json(one) for one in found], limit=query.limit)


@bp.get("/alert-rules/<rule_id>")
@bp.doc(responses=answers(200, "The rule", RuleOut))
def get_alert_rule(rule_id: str) -> Response:
    """Show an alert rule."""
    with door().database.tenant(identity().tenant_id) as connection:
        return json_response(_rule_json(_find(connection, rule_id)))


@bp.patch("/alert-rules/<rule_id>")
@bp.input(ChangeRule, arg_name="body")
@bp.doc(responses=answers(200, "The rule", RuleOut))
def change_alert_rule(rule_id: str, body: ChangeRule) -> Response:
    """Change the given fields; ``enabled: false`` silences the rule."""
    tenant_id = identity().tenant_id
    fields = body.model_dump(exclude_none=True)
    with door().database.tenant(tenant_id) as connection:
        alert_rules.hold(connection, tenant_id=tenant_id)
        if "channels" in fields:
            _channels(connection, fields["channels"])
        try:
            found = alert_rules.change(
                connection,
                tenant_id=tenant_id,
                rule_id=rule_id,
                fields=fields,
                now=clock(connection),
            )
        except RuleRefused as refused:
            raise _refusal(refused) from refused
        if found is None:
            raise NotFound(f"no alert rule {rule_id}")
        note(connection, "alert_rule.change", rule_id, {"fields": sorted(fields)})
    return json_response(_rule_json(found))


@bp.delete("/alert-rules/<rule_id>")
@bp.doc(responses={204: "It is gone; what it told stays"})
def delete_alert_rule(rule_id: str) -> Response:
    """Delete an alert rule."""
    tenant_id = identity().tenant_id
    with door().database.tenant(tenant_id) as connection:
        if not alert_rules.delete(connection, tenant_id=tenant_id, rule_id=rule_id):
            raise NotFound(f"no alert rule {rule_id}")
        note(connection, "alert_rule.delete", rule_id)
    return Response(status=204)


@bp.post("/alert-rules/<rule_id>/test")
@bp.doc(responses=answers(202, "What was sent", NotificationList))
def fire_alert_rule(rule_id: str) -> Response:
    """Send a test message through all channels of a rule."""
    tenant_id = identity().tenant_id
    with door().database.tenant(tenant_id) as connection:
        rule = _find(connection, rule_id)
        ids = alerting.fire_test(
            connection,
            tenant_id=tenant_id,
            rule=(rule.id, rule.name),
            through=_channels(connection, rule.channels),
            now=clock(connection),
        )
        made = notifications.by_ids(connection, tenant_id=tenant_id, ids=ids)
    items = [notification_json(one) for one in made]
    return json_response({"items": items, "next_cursor": None}, 202)


@bp.get("/notifications")
@bp.input(NotificationQuery, location="query", arg_name="query")
@bp.doc(responses=answers(200, "A page, newest first", NotificationList))
def list_notifications(query: NotificationQuery) -> Response:
    """List what rules told, held back or tried to tell; ``state=failed`` did not."""
    tenant_id = identity().tenant_id
    wanted = Wanted(query.incident, query.rule, query.channel, query.state)
    with door().database.tenant(tenant_id) as connection:
        found = notifications.page(
            connection,
            tenant_id=tenant_id,
            wanted=wanted,
            before=query.cursor,
            limit=query.limit + 1,
        )
    return page_of([notification_json(one) for one in found], limit=query.limit)


def _create(connection: Connection, body: CreateRule) -> str:
    alert_rules.hold(connection, tenant_id=identity().tenant_id)
    _channels(connection, body.channels)
    try:
        made = alert_rules.create(
            connection,
            tenant_id=identity().tenant_id,
            fields=body.model_dump(),
            most=alerting.MOST_RULES,
            now=clock(connection),
        )
    except RuleRefused as refused:
        raise _refusal(refused) from refused
    note(connection, "alert_rule.create", made.id, {"name": made.name})
    return made.id


def _refusal(refused: RuleRefused) -> InvalidParams:
    if refused.why == "full":
        detail = f"a tenant has at most {alerting.MOST_RULES} rules; delete one first"
        return InvalidParams(detail, (FieldError("", detail),))
    detail = "another alert rule has this name"
    return InvalidParams(detail, (FieldError("/name", detail),))


def _channels(connection: Connection, ids: Sequence[str]) -> list[Channel]:
    """Return channels; each must be there."""
    found = channels.by_ids(connection, tenant_id=identity().tenant_id, ids=list(ids))
    known = {one.id for one in found}
    faults = tuple(
        FieldError(f"/channels/{at}", f"there is no channel {one}")
        for at, one in enumerate(ids)
        if one not in known
    )
    if faults:
        raise InvalidParams(faults[0].detail, faults)
    return found


def _find(connection: Connection, rule_id: str) -> AlertRule:
    found = alert_rules.find(
        connection, tenant_id=identity().tenant_id, rule_id=rule_id
    )
    if found is None:
        raise NotFound(f"no alert rule {rule_id}")
    return found


def _rule_json(found: AlertRule) -> dict[str, Any]:
    base = f"/v1/alert-rules/{found.id}"
    links = {
        "self": base,
        "test": f"{base}/test",
        "notifications": f"/v1/notifications?rule={found.id}",
    }
    return {**vars(found), "links": links}


def notification_json(found: Notification) -> dict[str, Any]:
    """Return a notification as the API shows it."""
    hidden = ("webhook_id", "delivery_id")
    told = {name: value for name, value in vars(found).items() if name not in hidden}
    links = {}
    if found.incident_id:
        links["incident"] = f"/v1/incidents/{found.incident_id}"
    if found.delivery_id:
        base = f"/v1/webhooks/{found.webhook_id}/deliveries/{found.delivery_id}"
        links |= {"delivery": base, "resend": f"{base}/resend"}
    return {**told, "links": links}
