"""Signed Stripe messages in a test: made from our own samples, sent through the real view, worked on as a worker would."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.test import Client

from integrations.base import Delivery, Message, Signal, Source
from integrations.inbox import process
from integrations.models import Connection, InboundEvent
from referrals.accounts.tenancy import Tenant
from rewards.models import Reward

SECRET = "whsec_" + "t3St" * 8
SAMPLES = Path(__file__).parent.parent / "fixtures" / "stripe"


def sample(name: str, /, **changes: Any) -> dict[str, Any]:
    """A sample as it would come now, from live mode; `changes` replace fields of its object, except for the event's own.

    The event's own are `event_id`, `created` and `livemode`.
    """
    event: dict[str, Any] = json.loads((SAMPLES / f"{name}.json").read_text())
    event["id"] = changes.pop("event_id", event["id"])
    event["created"] = changes.pop("created", int(time.time()))
    event["livemode"] = changes.pop("livemode", True)
    event["data"]["object"].update(changes)
    transitions = event["data"]["object"].get("status_transitions")
    if transitions:
        transitions["paid_at"] = event["created"]
    return event


def signature(body: bytes, secret: str = SECRET, at: int | None = None) -> str:
    """The value of the Stripe-Signature header, made by the published recipe and not by the code under test."""
    stamp = int(time.time()) if at is None else at
    digest = hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={stamp},v1={digest}"


def connect(tenant: Tenant, **secrets: str) -> Connection:
    """A Stripe connection that knows SECRET."""
    row = Connection(merchant=tenant.merchant, is_test=tenant.is_test, provider="stripe")
    row.secrets = {"webhook_secret": SECRET, **secrets}
    row.save()
    return row


def signals_of(source: Source, payload: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> list[Signal]:
    """What a source makes of a payload; raises what its parse() raises."""
    return source.parse(Message(payload, source.event_type(payload, Delivery(b"", headers or {}))))


def post(connection: Connection | str, body: bytes, headers: Mapping[str, str] | None = None) -> Any:
    """POST to the connection's address; signed unless headers are given."""
    name = connection if isinstance(connection, str) else connection.public_id
    given = {"Stripe-Signature": signature(body)} if headers is None else dict(headers)
    return Client().post(f"/in/{name}/", data=body, content_type="application/json; charset=utf-8", headers=given)


def deliver(connection: Connection, event: Mapping[str, Any]) -> InboundEvent:
    """Send an event with a good signature, let the worker work, and give the row."""
    body = json.dumps(event, indent=2).encode()
    response = post(connection, body)
    assert response.status_code == 200, response.content
    row = InboundEvent.objects.get(connection=connection, event_id=event["id"])
    process(row.pk)
    row.refresh_from_db()
    return row


def rewards_now() -> list[tuple[str, str, int, str]]:
    """(address, side, minor units, state) of every reward, the oldest first."""
    rows = Reward.objects.order_by("pk").select_related("participant")
    return [(row.participant.email, row.side, row.amount_minor, row.state) for row in rows]
