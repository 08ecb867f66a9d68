"""Connections to payment companies, and what arrived from them."""

from __future__ import annotations

from typing import Any

from integrations import registry, services, setup
from integrations.messages import MessageFilter
from integrations.models import Connection, InboundEvent
from integrations.outcomes import SENTENCES
from referrals.accounts.models import Scope
from referrals.api.fields import Choice, Json, Moment, Text
from referrals.api.finding import one
from referrals.api.idempotency import Answer
from referrals.api.operations import Call
from referrals.api.schema import ref
from referrals.api.v2.base import API, PAGING, id_text, page_json, page_of
from referrals.api.v2.shapes import moment

TAG = "Connections"
_SECRETS: dict[str, Any] = {
    "type": "object",
    "maxProperties": 12,
    "additionalProperties": {"type": "string", "maxLength": 4000},
}
_SETTINGS: dict[str, Any] = {
    "type": "object",
    "maxProperties": 60,
    "additionalProperties": {"type": "string", "maxLength": 4000},
}


@API.operation(
    "GET", "connections", tag=TAG, scope=Scope.READ, query=PAGING, answer=ref("ConnectionPage"), errors=("pagination",)
)
def list_connections(call: Call) -> Answer:
    """List connections.

    Those that are not removed, newest first. Secrets are never shown.
    """
    page = page_of(call, Connection.objects.for_tenant(call.tenant).filter(removed_at=None))
    body, headers = page_json(call, page, [connection_json(row) for row in page.rows])
    return Answer(body, headers=headers)


@API.operation(
    "POST",
    "connections",
    tag=TAG,
    scope=Scope.CONNECTIONS,
    body={
        "provider": Choice(about="The company.", options=tuple(registry.SLUGS), required=True, example="stripe"),
        "secrets": Json(
            about="Its secrets by name (stripe: webhook_secret, api_key); without them the connection is only begun.",
            kind=dict,
            shape=_SECRETS,
            example={"webhook_secret": "whsec_0123456789abcdefghijklmn"},
        ),
        "settings": Json(
            about="What else it has to know, by name; each provider's guide lists them (outseta: currency, code_property).",
            kind=dict,
            shape=_SETTINGS,
        ),
        "label": Text(about="Your name for it.", limit=80, blank=True, example="Main account"),
    },
    answer=ref("Connection"),
    statuses={201: "The connection; give its `webhook_url` to the provider."},
    headers={"Location": "The address of the connection."},
    errors=(
        "missing_field",
        "invalid_choice",
        "secret_unknown",
        "secret_missing",
        "secret_malformed",
        "wrong_mode",
        "setting_unknown",
        "setting_missing",
        "setting_malformed",
    ),
)
def create_connection(call: Call) -> Answer:
    """Connect a provider.

    Keeps its secrets sealed and answers the address to send webhooks to. The secrets can't be read again.
    """
    row = services.connect(
        tenant=call.tenant,
        actor=call.actor,
        provider=call.body["provider"],
        secrets=call.body.get("secrets"),
        settings=call.body.get("settings"),
        label=call.body.get("label", ""),
    )
    # Where a secret stands in the address, it is shown this once, to whoever may connect.
    (_kind, address), *_more = setup.addresses(row, services.secrets_of(row))
    answer = {**connection_json(row), **({"webhook_url": address} if "key=" in address else {})}
    return Answer(answer, 201, {"Location": f"/api/v2/connections/{row.public_id}"})


@API.operation(
    "GET",
    "connections/{id}",
    tag=TAG,
    scope=Scope.READ,
    answer=ref("Connection"),
    errors=("connection_not_found",),
)
def get_connection(call: Call) -> Answer:
    """Get a connection.

    With its address and how it is doing.
    """
    return Answer(connection_json(one(Connection.objects.for_tenant(call.tenant), "connection", call.params["id"])))


@API.operation(
    "GET",
    "inbound-events",
    tag=TAG,
    scope=Scope.READ,
    query={
        "q": Text(about="An e-mail address it is about, or the whole id of a message or an event.", limit=255),
        "connection": id_text("Only those of this connection.", "con_4Zq8Ld0Xw2Rk7Tn5Yc1Vh3"),
        "state": Choice(
            about="Only those that stand there.",
            options=tuple(name for name, _ in InboundEvent.STATES),
            example="processed",
        ),
        "outcome": Choice(about="Only those that led to this.", options=tuple(SENTENCES), example="type_unused"),
        "type": Text(about="The company's name for the kind of message, whole.", limit=80, example="invoice.paid"),
        "since": Moment(about="Only those received then or later."),
        "until": Moment(about="Only those received before."),
        **PAGING,
    },
    answer=ref("InboundEventPage"),
    errors=("pagination", "invalid_choice", "date", "too_long"),
)
def list_inbound_events(call: Call) -> Answer:
    """List what arrived.

    Messages of providers, newest first, with what each led to. They are kept for 30 days. The filters are those of the page.
    """
    wanted = {name: value for name, value in call.query.items() if name not in PAGING}
    rows = MessageFilter(**wanted).apply(call.tenant).select_related("connection").defer("body", "headers")
    page = page_of(call, rows, sort="-received_at")
    body, headers = page_json(call, page, [inbound_json(row) for row in page.rows])
    return Answer(body, headers=headers)


@API.operation(
    "GET",
    "inbound-events/{id}",
    tag=TAG,
    scope=Scope.READ,
    answer=ref("InboundEvent"),
    errors=("inbound_event_not_found",),
)
def get_inbound_event(call: Call) -> Answer:
    """Get what arrived.

    One message, with what it led to.
    """
    return Answer(inbound_json(_inbound(call)))


@API.operation(
    "POST",
    "inbound-events/{id}/process",
    tag=TAG,
    scope=Scope.CONNECTIONS,
    answer=ref("InboundEvent"),
    statuses={200: "The message, waiting for a worker."},
    errors=("inbound_event_not_found", "invalid_state"),
)
def process_inbound_event(call: Call) -> Answer:
    """Process a message again.

    From the start; what it did before is not done twice.
    """
    return Answer(inbound_json(services.process_again(inbound=_inbound(call))))


def _inbound(call: Call) -> InboundEvent:
    rows = InboundEvent.objects.for_tenant(call.tenant).select_related("connection")
    return one(rows, "inbound_event", call.params["id"])


def connection_json(row: Connection) -> dict[str, Any]:
    """A connection without its secrets."""
    found, kind = services.health(row), registry.get(row.provider)
    return {
        "id": row.public_id,
        "provider": row.provider,
        "webhook_url": row.webhook_url,
        "mode": "test" if row.is_test else "live",
        "health": found.tone,
        "health_text": found.text or found.word,
        "label": row.label,
        "tells_of_payments": kind.tells,
        "pays": [way.name for way in kind.ways],
        "settings": setup.settings_of(row),
        "created_at": moment(row.created_at),
        "last_event_at": moment(row.last_event_at),
        "removed_at": moment(row.removed_at),
    }


def inbound_json(row: InboundEvent) -> dict[str, Any]:
    """A message without its body; read with its connection."""
    return {
        "id": row.public_id,
        "connection": row.connection.public_id,
        "event_id": row.event_id,
        "type": row.type,
        "state": row.state,
        "outcome": row.outcome or None,
        "message": row.sentence or None,
        "advice": row.advice or None,
        "event": row.event_ref or None,
        "attempts": row.attempts,
        "came_by": row.came_by,
        "received_at": moment(row.received_at),
        "processed_at": moment(row.processed_at),
    }
