"""What PayPal tells us: how far the items of a batch of payouts have come (PROVIDERS.md, section 6)."""

from __future__ import annotations

import base64
import binascii
from urllib.parse import urlsplit

from integrations.base import Account, Delivery, Ignored, Message, Signal
from integrations.reading import Object, inner, iso_moment, names, text, word
from referrals.lib.signing import SignatureError

# PayPal's five headers about a message -> what they are called in the question whether it is genuine.
HEADERS = {
    "PAYPAL-TRANSMISSION-ID": "transmission_id",
    "PAYPAL-TRANSMISSION-TIME": "transmission_time",
    "PAYPAL-TRANSMISSION-SIG": "transmission_sig",
    "PAYPAL-CERT-URL": "cert_url",
    "PAYPAL-AUTH-ALGO": "auth_algo",
}
ITEM, BATCH = "PAYMENT.PAYOUTS-ITEM.", "PAYMENT.PAYOUTSBATCH."


class PayPalSource:
    """PayPal's webhooks about payouts. Whether one is genuine only PayPal can say (confirming.py): verify() turns away what can't be."""

    signature_header = "PAYPAL-TRANSMISSION-SIG"

    def verify(self, delivery: Delivery, account: Account) -> None:
        """The five headers are there and look right, and there is a webhook's id to ask with; raises SignatureError."""
        if not account.secrets.get("webhook_id"):
            raise SignatureError("This connection has no webhook ID yet.")
        given = {name: delivery.headers.get(name, "") for name in HEADERS}
        for name, value in given.items():
            if not 0 < len(value) <= 700 or not value.isascii() or not value.isprintable():
                raise SignatureError(f"The {name} header is missing or malformed.")
        try:
            base64.b64decode(given[self.signature_header], validate=True)
            where = urlsplit(given["PAYPAL-CERT-URL"])
            theirs = where.scheme == "https" and (where.hostname or "").endswith(".paypal.com")
        except (binascii.Error, ValueError) as error:
            raise SignatureError("The signature is malformed.") from error
        if not theirs:
            raise SignatureError("The signature's certificate is not at PayPal.")

    def event_id(self, payload: Object, delivery: Delivery) -> str:
        """PayPal's id of the message, WH-...; raises PayloadError."""
        return word(payload.get("id"), "id", 255)

    def event_type(self, payload: Object, delivery: Delivery) -> str:
        """Such as PAYMENT.PAYOUTS-ITEM.SUCCEEDED; raises PayloadError."""
        return word(payload.get("event_type"), "event_type", 80)

    def is_test(self, payload: Object) -> bool | None:
        """It does not say; the sandbox's messages are confirmed by the sandbox only."""
        return None

    def parse(self, message: Message) -> list[Signal]:
        """That there is something to ask PayPal about: which of our payouts, or which shipment. The state itself is not believed."""
        resource = inner(message.payload, "resource")
        if message.kind.startswith(ITEM):
            ours = text(inner(resource, "payout_item").get("sender_item_id"))
            theirs = text(resource.get("payout_item_id"))
        elif message.kind.startswith(BATCH):
            header = inner(resource, "batch_header")
            ours = text(inner(header, "sender_batch_header").get("sender_batch_id"))
            theirs = text(header.get("payout_batch_id"))
        else:
            raise Ignored("type_unused", type=message.kind)
        return [
            Signal(
                fact="payout",
                external_id=word(message.payload.get("id"), "id", 255),
                references=names(ours, theirs),
                occurred_at=iso_moment(message.payload.get("create_time")),
            )
        ]
