"""What a MemberSpace site may tell us, in a shape of our own: no documentation of its webhooks could be found (PROVIDERS.md, section 10).

So nothing here claims to be MemberSpace's: the address carries a secret instead of a signature, and the reader takes what an automation
tool such as Zapier or Make can be told to send (docs/connections/memberspace.md).
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from typing import Any

from integrations.base import Account, Code, Delivery, Ignored, Message, Signal
from integrations.reading import (
    Object,
    codes_in,
    ident,
    inner,
    iso_moment,
    major_money,
    moment,
    names,
    need_ident,
    text,
    word,
)
from referrals.lib.signing import SignatureError, equal

_EVENT = ("event", "event_type", "type")


class MemberSpaceSource:
    """Messages about a MemberSpace site's members. Nothing signs them: whoever has the address may send."""

    signature_header = ""

    def verify(self, delivery: Delivery, account: Account) -> None:
        """The key in the address is the connection's. Raises SignatureError."""
        key, given = account.secrets.get("address_key", ""), delivery.query.get("key", "")
        if not key:
            raise SignatureError("This connection has no address yet.")
        if not equal(key, given):
            raise SignatureError(
                "The key in the address is not this connection's. Copy the address from its page again."
            )

    def event_id(self, payload: Object, delivery: Delivery) -> str:
        """The message's own id where it has one, else made of all that it says."""
        kind = self.event_type(payload, delivery)
        given = ident(payload.get("event_id"))
        told = given or json.dumps(payload, sort_keys=True)
        return "message_" + hashlib.sha256(f"{kind}\n{told}".encode()).hexdigest()

    def event_type(self, payload: Object, delivery: Delivery) -> str:
        """In `event`, `event_type` or `type`, written with dots, spaces or underscores: `member.created`, `Member Created`."""
        given = next((payload[name] for name in _EVENT if text(payload.get(name))), None)
        return word(given, "event", 80)

    def is_test(self, payload: Object) -> bool | None:
        """It is not said."""
        return None

    def parse(self, message: Message) -> list[Signal]:
        """One signal for each kind of message that we documented; raises Ignored with the reason for all others."""
        reader = READERS.get(".".join(message.kind.lower().replace("_", " ").replace(".", " ").split()))
        if reader is None:
            raise Ignored("type_unused", type=message.kind)
        body = inner(message.payload, "data") or message.payload
        return [reader(body, _time(message.payload, body, message.received_at))]


def _member(body: Object) -> Object:
    """The member, in an object of their own or beside everything else."""
    return inner(body, "member") or inner(body, "user") or body


def _about(body: Object) -> dict[str, Any]:
    """Who it is, and by whose code, wherever that stands."""
    member = _member(body)
    first, last = text(member.get("first_name")), text(member.get("last_name"))
    places = (body, member, body.get("metadata"), member.get("metadata"), member.get("custom_fields"))
    codes: list[Code] = [code for place in places for code in codes_in(place)]
    return {
        "email": text(member.get("email")),
        "name": (text(member.get("name")) or f"{first} {last}".strip())[:160],
        "codes": tuple(dict.fromkeys(codes)),
        "customer_id": ident(member.get("id")) if member is not body else ident(body.get("member_id")),
    }


def _time(payload: Object, body: Object, received_at: datetime) -> datetime:
    """When it happened, as text with its zone or in seconds; else when it came."""
    given = payload.get("created_at", body.get("created_at"))
    if given is None or given == "":
        return received_at
    return moment(given) if type(given) is int else iso_moment(given)


def _joined(body: Object, at: datetime) -> Signal:
    about = _about(body)
    if not about["email"]:
        raise Ignored("no_email")
    if not about["codes"]:
        raise Ignored("no_code")
    return Signal(
        fact="signup",
        external_id=about["customer_id"] or about["email"].lower(),
        references=(),
        occurred_at=at,
        **about,
    )


def _paid(body: Object, at: datetime) -> Signal:
    """A payment with an id. Stripe's own id in `stripe_payment` keeps it from counting again through a Stripe connection."""
    payment = inner(body, "payment") or body
    name = need_ident(payment, "payment.id")
    stripe = ident(payment.get("stripe_payment")) or (name if name.startswith(("pi_", "ch_", "in_")) else "")
    if payment.get("amount") == 0:
        raise Ignored("nothing_paid")
    return Signal(
        fact="purchase",
        external_id=name,
        references=names(name),
        occurred_at=at,
        money=major_money(payment.get("amount"), payment.get("currency")),
        metadata={"payment": name},
        elsewhere=(("stripe", stripe),) if stripe else (),
        **_about(body),
    )


def _refunded(body: Object, at: datetime) -> Signal:
    """A refund tells its own sum and its payment's id."""
    refund = inner(body, "refund") or body
    payment = need_ident(refund.get("payment_id"), "refund.payment_id")
    return Signal(
        fact="refund",
        external_id=need_ident(refund, "refund.id"),
        references=names(payment),
        occurred_at=at,
        money=major_money(refund.get("amount"), refund.get("currency")),
        is_part=True,
        elsewhere=(("stripe", payment),) if payment.startswith(("pi_", "ch_", "in_")) else (),
    )


READERS = {
    "member.created": _joined,
    "member.signed.up": _joined,
    "member.plan.added": _joined,
    "payment.succeeded": _paid,
    "payment.refunded": _refunded,
}
