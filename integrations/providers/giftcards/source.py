"""What GiftCard Partners send: FulfillmentComplete, about an order. Nobody documents how it is signed (PROVIDERS.md, section 10).

So the address carries a secret, and a message is no more than a reason to ask for the order.
"""

from __future__ import annotations

import hashlib
import json

from integrations.base import Account, Delivery, Ignored, Message, PayloadError, Signal
from integrations.providers.giftcards.api import first_text
from integrations.reading import Object, inner, names, word
from referrals.lib.signing import SignatureError, equal

COMPLETE = "FulfillmentComplete"


class GiftCardsSource:
    """Messages about orders. Whoever has the address may send, and can make us ask, nothing else."""

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
        """Made of all that it says: a message that comes twice is one."""
        told = json.dumps(payload, sort_keys=True)
        return "message_" + hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()

    def event_type(self, payload: Object, delivery: Delivery) -> str:
        """FulfillmentComplete is the only one that is known."""
        return word(first_text(payload, "Event", "EventType", "Type", "event", "type"), "the event's type", 80)

    def is_test(self, payload: Object) -> bool | None:
        """It is not said."""
        return None

    def parse(self, message: Message) -> list[Signal]:
        """One signal about the order, by its number and by ours; raises Ignored for other types."""
        if message.kind != COMPLETE:
            raise Ignored("type_unused", type=message.kind)
        told = message.payload
        parts = (told, inner(told, "Order"), inner(told, "Data"))
        found = names(
            *(first_text(part, "PONumber") for part in parts),
            *(first_text(part, "OrderId", "OrderID", "Id") for part in parts),
        )
        if not found:
            raise PayloadError("The order's number is missing.")
        return [Signal("payout", f"{COMPLETE}:{found[0]}"[:255], found, message.received_at)]
