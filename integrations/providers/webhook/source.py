"""Messages of a merchant's own system, or of any other that sends JSON: signed as its settings say, read by its mapping."""

from __future__ import annotations

import hashlib

from integrations.base import Account, Delivery, Message, Signal
from integrations.providers.webhook import mapping, signing
from integrations.providers.webhook.fields import FIELDS
from integrations.reading import Object, text, word

# Where systems usually write what a message is about; only for the list of messages, the mapping decides what it means.
_TYPES = ("type", "event", "event_type", "eventType", "event_name", "topic", "action")


class WebhookSource:
    """Any system that can send JSON. Its mode is the connection's."""

    # Which header it is stands in the connection's settings.
    signature_header = ""

    def verify(self, delivery: Delivery, account: Account) -> None:
        """As the settings say; raises SignatureError."""
        signing.verify(delivery, account)

    def event_id(self, payload: Object, delivery: Delivery) -> str:
        """The id of Standard Webhooks, else made of the body: the same bytes are the same message."""
        given = delivery.headers.get("webhook-id", "")
        return word(given, "webhook-id", 255) if given else "body_" + hashlib.sha256(delivery.body).hexdigest()

    def event_type(self, payload: Object, delivery: Delivery) -> str:
        """What the message calls itself, as far as that can be seen without the mapping."""
        for name in _TYPES:
            found = text(payload.get(name))[:80]
            if found and found.isascii() and found.isprintable():
                return found
        return "message"

    def is_test(self, payload: Object) -> bool | None:
        """It is not said."""
        return None

    def parse(self, message: Message) -> list[Signal]:
        """The one fact of it, by the mapping; raises Ignored where the mapping has no use for it, FieldError for a wrong value."""
        chosen = message.account.settings
        return [mapping.read(message, {field.name: str(chosen.get(field.name, field.default)) for field in FIELDS})]
