"""The demo's shop has Stripe connected: its last days of messages, signed, received and worked on as real ones are."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from datetime import datetime, timedelta
from typing import Any

from integrations import inbox, services
from integrations.base import Delivery
from integrations.models import Connection, InboundEvent
from participants.models import Participant
from referrals.accounts.tenancy import Tenant
from referrals.events.services import Actor
from referrals.lib import clock
from referrals.lib.codes import random_text

BUYERS = 6
PRICE = 4800


def tell(tenant: Tenant, owner: Actor, end: datetime) -> Connection:
    """Connect Stripe three weeks before `end`, and let the last days' messages arrive: payments, a refund, and what is ignored."""
    secret = f"whsec_{random_text(32)}"
    with clock.at(end - timedelta(days=21)):
        connection = services.connect(
            tenant=tenant, actor=owner, provider="stripe", secrets={"webhook_secret": secret}, label="Web shop"
        )
    friends = (
        Participant.objects.for_tenant(tenant)
        .filter(referral__isnull=False, campaign__status="active", campaign__currency="USD", banned_at=None)
        .exclude(qualifying_events__type="purchase")
        .select_related("campaign")
        .order_by("-joined_at", "-pk")[:BUYERS]
    )
    messages: list[tuple[datetime, str, dict[str, Any]]] = []
    for number, friend in enumerate(reversed(friends), start=1):
        since = max(friend.joined_at, end - timedelta(days=5))
        moment = since + (end - since) * number / (BUYERS + 2)
        messages.append((moment, "checkout.session.completed", _session(number, friend.email, friend.name)))
    if messages:
        refunded = {"amount": PRICE, "amount_refunded": PRICE // 4, "currency": "usd", "refunded": False}
        charge = {"id": "ch_demo1", "payment_intent": "pi_demo1", **refunded}
        messages.append((messages[0][0] + timedelta(hours=20), "charge.refunded", charge))
    stranger = _session(BUYERS + 1, "walk-in@shop.example", "Robin Falk")
    messages.append((end - timedelta(hours=7), "checkout.session.completed", stranger))
    messages.append((end - timedelta(hours=3), "customer.created", {"id": "cus_demo9"}))
    for moment, kind, thing in sorted(messages, key=lambda message: message[0]):
        _send(connection, secret, min(moment, end), kind, thing)
    return connection


def _session(number: int, email: str, name: str) -> dict[str, Any]:
    return {
        "id": f"cs_demo{number}",
        "object": "checkout.session",
        "amount_total": PRICE,
        "currency": "usd",
        "client_reference_id": None,
        "customer": f"cus_demo{number}",
        "customer_details": {"email": email, "name": name},
        "metadata": {},
        "mode": "payment",
        "payment_intent": f"pi_demo{number}",
        "payment_status": "paid",
    }


def _send(connection: Connection, secret: str, moment: datetime, kind: str, thing: dict[str, Any]) -> None:
    """One message that arrives at `moment`: signed, received, and worked on at once."""
    event = {
        "id": f"evt_{random_text(24)}",
        "object": "event",
        "created": int(moment.timestamp()),
        "data": {"object": thing},
        "livemode": not connection.is_test,
        "type": kind,
    }
    body = json.dumps(event, indent=2).encode()
    stamp = int(time.time())
    digest = hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    headers = {
        "Stripe-Signature": f"t={stamp},v1={digest}",
        "Content-Type": "application/json; charset=utf-8",
        "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
    }
    with clock.at(moment):
        inbox.receive(connection.public_id, Delivery(body, headers))
        inbox.process(
            InboundEvent.objects.values_list("pk", flat=True).get(connection=connection, event_id=event["id"])
        )
