"""Webhook endpoints and their deliveries (docs/webhooks.md)."""

from __future__ import annotations

from typing import Any

from integrations import endpoints
from integrations.models import WebhookDelivery, WebhookEndpoint
from referrals.accounts.models import Scope
from referrals.api.fields import Choice, Listing, Moment, Text
from referrals.api.finding import one
from referrals.api.idempotency import Answer
from referrals.api.operations import Call
from referrals.api.schema import ref
from referrals.api.v2.base import API, PAGING, id_text, page_json, page_of
from referrals.api.v2.shapes import moment
from referrals.events import types

TAG = "Webhooks"
MISSING = ("webhook_endpoint_not_found",)
TYPES = tuple(sorted(types.WEBHOOK_TYPES))
_URL = "Where to: https with a public host name, port 443, 8443 or from 1024."
_TYPES = Listing(
    about="Only these types; an empty list is all of them.", of=Choice(about="", options=TYPES), most=len(TYPES),
    example=["reward.due", "reward.issued"],
)  # fmt: skip
_LABEL = Text(about="Your name for it.", limit=80, blank=True, example="CRM")


def _look(call: Call) -> None:
    """Where the address leads to, before the transaction."""
    if "url" in call.body:
        endpoints.refuse_private(call.body["url"], call.tenant)


@API.operation(
    "GET",
    "webhook-endpoints",
    tag=TAG,
    scope=Scope.READ,
    query=PAGING,
    answer=ref("WebhookEndpointPage"),
    errors=("pagination",),
)
def list_webhook_endpoints(call: Call) -> Answer:
    """List webhook endpoints.

    Those that are not removed, newest first. Secrets are never shown.
    """
    page = page_of(call, WebhookEndpoint.objects.for_tenant(call.tenant).filter(removed_at=None))
    body, headers = page_json(call, page, [endpoint_json(row) for row in page.rows])
    return Answer(body, headers=headers)


@API.operation(
    "POST",
    "webhook-endpoints",
    tag=TAG,
    scope=Scope.CONNECTIONS,
    body={
        "url": Text(about=_URL, limit=2000, required=True, example="https://hooks.example.com/passalong"),
        "types": _TYPES,
        "label": _LABEL,
    },
    before=_look,
    answer=ref("WebhookEndpointWithSecret"),
    statuses={201: "The endpoint, with its `secret` this once."},
    headers={"Location": "The address of the endpoint."},
    errors=("missing_field", "invalid_choice", "url_not_allowed", "too_many_endpoints"),
)
def create_webhook_endpoint(call: Call) -> Answer:
    """Add a webhook endpoint.

    It hears of everything that happens from now on. The secret is answered this once; keep it to verify what arrives.
    """
    row, secret = endpoints.create(
        tenant=call.tenant,
        actor=call.actor,
        url=call.body["url"],
        label=call.body.get("label", ""),
        chosen=call.body.get("types", ()),
    )
    address = f"/api/v2/webhook-endpoints/{row.public_id}"
    return Answer({**endpoint_json(row), "secret": secret}, 201, {"Location": address}, secret=True)


@API.operation(
    "GET", "webhook-endpoints/{id}", tag=TAG, scope=Scope.READ, answer=ref("WebhookEndpoint"), errors=MISSING
)
def get_webhook_endpoint(call: Call) -> Answer:
    """Get a webhook endpoint.

    With how it is doing.
    """
    return Answer(endpoint_json(_find(call)))


@API.operation(
    "PATCH",
    "webhook-endpoints/{id}",
    tag=TAG,
    scope=Scope.CONNECTIONS,
    body={
        "url": Text(about=_URL, limit=2000, example="https://hooks.example.com/passalong"),
        "types": _TYPES,
        "label": _LABEL,
    },
    before=_look,
    answer=ref("WebhookEndpoint"),
    statuses={200: "The endpoint after the change."},
    errors=(*MISSING, "invalid_choice", "url_not_allowed", "invalid_state"),
)
def update_webhook_endpoint(call: Call) -> Answer:
    """Change a webhook endpoint.

    What is not named stays. Messages under way go to the new address.
    """
    body = call.body
    row = endpoints.change(
        endpoint=_find(call), actor=call.actor, url=body.get("url"), label=body.get("label"), chosen=body.get("types")
    )
    return Answer(endpoint_json(row))


@API.operation(
    "DELETE",
    "webhook-endpoints/{id}",
    tag=TAG,
    scope=Scope.CONNECTIONS,
    answer=ref("WebhookEndpoint"),
    statuses={200: "The endpoint, removed."},
    errors=(*MISSING, "invalid_state"),
)
def delete_webhook_endpoint(call: Call) -> Answer:
    """Remove a webhook endpoint.

    Nothing is sent there any more, and its secrets are forgotten. Its deliveries can be read for 30 days.
    """
    return Answer(endpoint_json(endpoints.remove(endpoint=_find(call), actor=call.actor)))


@API.operation(
    "POST",
    "webhook-endpoints/{id}/rotate",
    tag=TAG,
    scope=Scope.CONNECTIONS,
    answer=ref("WebhookEndpointWithSecret"),
    statuses={200: "The endpoint, with its new `secret` this once."},
    errors=(*MISSING, "too_many_secrets", "invalid_state"),
)
def rotate_webhook_secret(call: Call) -> Answer:
    """Rotate the secret.

    Messages carry a signature of both for 24 hours; then the former one ends.
    """
    row, secret = endpoints.rotate(endpoint=_find(call), actor=call.actor)
    return Answer({**endpoint_json(row), "secret": secret}, secret=True)


@API.operation(
    "POST",
    "webhook-endpoints/{id}/disable",
    tag=TAG,
    scope=Scope.CONNECTIONS,
    answer=ref("WebhookEndpoint"),
    statuses={200: "The endpoint, disabled."},
    errors=(*MISSING, "invalid_state"),
)
def disable_webhook_endpoint(call: Call) -> Answer:
    """Disable a webhook endpoint.

    Nothing is sent there until it is enabled again.
    """
    return Answer(endpoint_json(endpoints.disable(endpoint=_find(call), actor=call.actor)))


@API.operation(
    "POST",
    "webhook-endpoints/{id}/enable",
    tag=TAG,
    scope=Scope.CONNECTIONS,
    body={"since": Moment(about="Also send what happened from then on and was not delivered.")},
    answer=ref("WebhookEndpoint"),
    statuses={200: "The endpoint, enabled."},
    errors=(*MISSING, "invalid_state", "date"),
)
def enable_webhook_endpoint(call: Call) -> Answer:
    """Enable a webhook endpoint.

    With `since` it gets what it missed, at most 30 days of it.
    """
    endpoint = _find(call)
    endpoints.enable(endpoint=endpoint, actor=call.actor, since=call.body.get("since"))
    return Answer(endpoint_json(_find(call)))


@API.operation(
    "POST",
    "webhook-endpoints/{id}/test",
    tag=TAG,
    scope=Scope.CONNECTIONS,
    body={"type": Choice(about="Which sample.", options=TYPES, required=True, example="reward.due")},
    answer=ref("Delivery"),
    statuses={201: "The delivery; look at it again in a moment."},
    errors=(*MISSING, "missing_field", "invalid_choice", "invalid_state", "rate_limited"),
)
def test_webhook_endpoint(call: Call) -> Answer:
    """Send a test message.

    A sample of the type, signed like a real one. Ten a minute.
    """
    row = endpoints.send_test(endpoint=_find(call), type_=call.body["type"])
    return Answer(delivery_json(_delivery(call, row.public_id)), 201)


@API.operation(
    "POST",
    "webhook-endpoints/{id}/replay",
    tag=TAG,
    scope=Scope.CONNECTIONS,
    body={"since": Moment(about="From when on.", required=True)},
    answer=ref("Replay"),
    statuses={202: "How many messages go out again."},
    errors=(*MISSING, "missing_field", "date", "invalid_state", "rate_limited"),
)
def replay_webhook_endpoint(call: Call) -> Answer:
    """Send again what did not arrive.

    Everything since then that has failed, was not sent, or happened while the endpoint was disabled; under the ids it had.
    """
    return Answer({"messages": endpoints.replay(endpoint=_find(call), since=call.body["since"])}, 202)


@API.operation(
    "GET",
    "deliveries",
    tag=TAG,
    scope=Scope.READ,
    query={
        "endpoint": id_text("Only those to this endpoint.", "whe_4Zq8Ld0Xw2Rk7Tn5Yc1Vh3"),
        "state": Choice(
            about="Only those that stand there.",
            options=tuple(name for name, _ in WebhookDelivery.STATES),
            example="failed",
        ),
        "type": Choice(about="Only those of this type.", options=TYPES, example="reward.due"),
        "message": id_text("Only those with this `webhook-id`.", "evt_4Zq8Ld0Xw2Rk7Tn5Yc1Vh3"),
        **PAGING,
    },
    answer=ref("DeliveryPage"),
    errors=("pagination", "invalid_choice"),
)
def list_deliveries(call: Call) -> Answer:
    """List deliveries.

    Newest first, of the last 30 days.
    """
    rows, query = WebhookDelivery.objects.for_tenant(call.tenant).select_related("endpoint").defer("body"), call.query
    if "endpoint" in query:
        rows = rows.filter(endpoint__public_id=query["endpoint"])
    if "message" in query:
        rows = rows.filter(message_id=query["message"])
    for name in ("state", "type"):
        if name in query:
            rows = rows.filter(**{name: query[name]})
    page = page_of(call, rows)
    body, headers = page_json(call, page, [delivery_json(row) for row in page.rows])
    return Answer(body, headers=headers)


@API.operation(
    "GET", "deliveries/{id}", tag=TAG, scope=Scope.READ, answer=ref("DeliveryInFull"), errors=("delivery_not_found",)
)
def get_delivery(call: Call) -> Answer:
    """Get a delivery.

    With the bytes that are sent and each try with the beginning of its answer.
    """
    row = _delivery(call, call.params["id"])
    tries = [
        {
            "at": moment(one.at),
            "status": one.status,
            "error": one.error or None,
            "ms": one.ms,
            "answer": one.answer,
        }
        for one in row.tries.order_by("pk")
    ]
    return Answer({**delivery_json(row), "body": row.body, "tries": tries})


@API.operation(
    "POST",
    "deliveries/{id}/resend",
    tag=TAG,
    scope=Scope.CONNECTIONS,
    answer=ref("Delivery"),
    statuses={200: "The delivery, waiting to be sent."},
    errors=("delivery_not_found", "invalid_state"),
)
def resend_delivery(call: Call) -> Answer:
    """Send a message once more.

    With the same id and the same bytes, and up to ten tries.
    """
    row = _delivery(call, call.params["id"])
    endpoints.resend(delivery=row)
    return Answer(delivery_json(_delivery(call, row.public_id)))


def _find(call: Call) -> WebhookEndpoint:
    rows = WebhookEndpoint.objects.for_tenant(call.tenant).select_related("merchant")
    return one(rows, "webhook_endpoint", call.params["id"])


def _delivery(call: Call, public_id: str) -> WebhookDelivery:
    rows = WebhookDelivery.objects.for_tenant(call.tenant).select_related("endpoint__merchant")
    return one(rows, "delivery", public_id)


def endpoint_json(row: WebhookEndpoint) -> dict[str, Any]:
    """An endpoint without its secrets."""
    return {
        "id": row.public_id,
        "url": row.url,
        "label": row.label,
        "types": row.types,
        "mode": "test" if row.is_test else "live",
        "enabled": row.is_enabled,
        "disabled_reason": row.disabled_reason or None,
        "failing_since": moment(row.failing_since),
        "failures": row.failures,
        "last_success_at": moment(row.last_success_at),
        "created_at": moment(row.created_at),
        "removed_at": moment(row.removed_at),
    }


def delivery_json(row: WebhookDelivery) -> dict[str, Any]:
    """A delivery without its body; read with its endpoint."""
    return {
        "id": row.public_id,
        "endpoint": row.endpoint.public_id,
        "message": row.message_id,
        "type": row.type,
        "object": row.subject_id,
        "sample": row.is_sample,
        "state": row.state,
        "attempts": row.attempts,
        "last_status": row.last_status,
        "last_error": row.last_error or None,
        "next_attempt_at": moment(row.next_attempt_at) if row.state == "pending" else None,
        "created_at": moment(row.created_at),
        "delivered_at": moment(row.delivered_at),
    }
