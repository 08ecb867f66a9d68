"""What RazorpayX tells of payouts: only that something happened. What became of one is asked there (PROVIDERS.md, sections 1 and 8)."""

from __future__ import annotations

import hashlib

from integrations.base import Account, Delivery, Ignored, Message, Signal
from integrations.reading import Object, ident, inner, moment, names, need_ident, text, word
from referrals.lib.signing import SignatureError, equal, hmac_hex

KINDS = (
    "payout.processed",
    "payout.reversed",
    "payout.failed",
    "payout.rejected",
    "payout.queued",
    "payout.pending",
    "payout.initiated",
    "payout.updated",
)
_EVENT_ID = "X-Razorpay-Event-Id"


class RazorpayXSource:
    """RazorpayX's webhooks: signed as Razorpay's, with a secret of their own."""

    signature_header = "X-Razorpay-Signature"

    def verify(self, delivery: Delivery, account: Account) -> None:
        """HMAC-SHA256 of the raw body in hex, by the secret that the merchant chose. There is no time in it. Raises SignatureError."""
        secret = account.secrets.get("webhook_secret", "")
        given = delivery.headers.get(self.signature_header, "")
        if not secret:
            raise SignatureError("This connection has no webhook secret yet.")
        if len(given) != 64:
            raise SignatureError("The X-Razorpay-Signature header is missing or malformed.")
        if not equal(hmac_hex(secret.encode(), delivery.body), given):
            raise SignatureError("The signature does not fit the body and this connection's webhook secret.")

    def event_id(self, payload: Object, delivery: Delivery) -> str:
        """The id stands in a header only; without one, the body makes it."""
        given = delivery.headers.get(_EVENT_ID, "")
        return word(given, _EVENT_ID, 255) if given else "body_" + hashlib.sha256(delivery.body).hexdigest()

    def event_type(self, payload: Object, delivery: Delivery) -> str:
        """Such as `payout.processed`."""
        return word(payload.get("event"), "event", 80)

    def is_test(self, payload: Object) -> bool | None:
        """RazorpayX does not say."""
        return None

    def parse(self, message: Message) -> list[Signal]:
        """The payout it is about, by RazorpayX's id and by ours; raises Ignored for other kinds, PayloadError when it can't be read."""
        if message.kind not in KINDS:
            raise Ignored("type_unused", type=message.kind)
        payout = inner(inner(inner(message.payload, "payload"), "payout"), "entity")
        name = need_ident(payout, "the payout's id")
        at = moment(message.payload.get("created_at"))
        told = f"{message.kind}/{name}/{text(payout.get('status'))}/{int(at.timestamp())}"
        return [Signal("payout", told, names(name, ident(payout.get("reference_id"))), at)]
