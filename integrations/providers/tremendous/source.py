"""What Tremendous sends: thin messages about orders and rewards. Each says what to ask about, and is believed in nothing else."""

from __future__ import annotations

from integrations.base import Account, Delivery, Ignored, Message, Signal
from integrations.reading import Object, inner, iso_moment, need_ident, text, word
from referrals.lib.signing import SignatureError, equal, hmac_hex

HEADER = "Tremendous-Webhook-Signature"
EVENTS = frozenset(
    {
        "ORDERS.CREATED", "ORDERS.APPROVED", "ORDERS.CANCELED", "ORDERS.FAILED",
        "REWARDS.DELIVERY.SUCCEEDED", "REWARDS.DELIVERY.FAILED", "REWARDS.CANCELED", "REWARDS.FLAGGED",
    }
)  # fmt: skip
_ABOUT = frozenset({"orders", "rewards"})


class TremendousSource:
    """`Tremendous-Webhook-Signature: sha256=<hex>`, HMAC-SHA256 of the raw body with the webhook's private key."""

    signature_header = HEADER

    def verify(self, delivery: Delivery, account: Account) -> None:
        """No time is signed: a message that comes again is known by its uuid. Raises SignatureError."""
        key, given = account.secrets.get("webhook_key", ""), delivery.headers.get(HEADER, "")
        if not key:
            raise SignatureError("This connection has no webhook key yet.")
        if not equal(f"sha256={hmac_hex(key.encode(), delivery.body)}", given):
            raise SignatureError("The signature does not fit the webhook key.")

    def event_id(self, payload: Object, delivery: Delivery) -> str:
        """The `uuid`."""
        return word(payload.get("uuid"), "uuid", 200)

    def event_type(self, payload: Object, delivery: Delivery) -> str:
        """Such as REWARDS.DELIVERY.FAILED."""
        return word(payload.get("event"), "event", 80)

    def is_test(self, payload: Object) -> bool | None:
        """It is not said; the sandbox is another account, with another private key."""
        return None

    def parse(self, message: Message) -> list[Signal]:
        """One signal about the order or the reward; raises Ignored for everything else that an organization is told of."""
        if message.kind not in EVENTS:
            raise Ignored("type_unused", type=message.kind)
        resource = inner(inner(message.payload, "payload"), "resource")
        kind = text(resource.get("type")).lower()
        if kind not in _ABOUT:
            raise Ignored("type_unused", type=message.kind)
        number = need_ident(resource, "the resource's id")
        return [
            Signal(
                fact="payout",
                external_id=word(message.payload.get("uuid"), "uuid", 200),
                references=(number,),
                occurred_at=iso_moment(message.payload.get("created_utc")),
                metadata={"type": kind},
            )
        ]
