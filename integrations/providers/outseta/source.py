"""What Outseta tells us: accounts, people and collected payments (PROVIDERS.md, section 4).

An activity's message is the account or person itself. Its body does not say which activity it tells of, so each activity is sent to an
address of its own, `?event=<activity>`. There is no id of the message, no time and no currency in it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from integrations.base import Account, Code, Delivery, Ignored, Message, PayloadError, Signal
from integrations.reading import Object, code_texts, ident, inner, major_money, names, need_ident, text, word
from referrals.lib.signing import SignatureError, equal, hmac_hex

# Under which names merchants may keep the code, besides the one in the settings; the last two are Outseta's own fields for other tools.
_CODE_FIELDS = ("ReferralCode", "referral_code", "referralCode", "ref", "RewardFulReferralId", "ToltReferralId")
_PREFIX = "sha256="
PAID = "AccountSubscriptionPaymentCollected"
DECLINED = "AccountSubscriptionPaymentDeclined"
CANCELLING = "AccountSubscriptionCancellationRequested"
_JOINS = {"AccountCreated", "AccountPaidSubscriptionCreated", "AccountSubscriptionStarted", "PersonCreated"}


class OutsetaSource:
    """Outseta's activity notifications. It has no test mode that a message would tell."""

    signature_header = "X-Hub-Signature-256"

    def verify(self, delivery: Delivery, account: Account) -> None:
        """`sha256=<hex>`: HMAC-SHA256 of the raw body; the key is the signing key read as hex digits. Raises SignatureError."""
        try:
            key = bytes.fromhex(account.secrets.get("signing_key", ""))
        except ValueError as error:
            raise SignatureError("The signing key of this connection is no hex number.") from error
        given = delivery.headers.get(self.signature_header, "")
        if not key:
            raise SignatureError("This connection has no signing key yet.")
        if not given.startswith(_PREFIX) or len(given) != len(_PREFIX) + 64:
            raise SignatureError("The x-hub-signature-256 header is missing or malformed.")
        if not equal(hmac_hex(key, delivery.body), given.removeprefix(_PREFIX)):
            raise SignatureError("The signature does not fit the body and this connection's signing key.")

    def event_id(self, payload: Object, delivery: Delivery) -> str:
        """Made of the activity, the account or person, and the invoice: the same of each is told once, unless its facts differ."""
        activity = inner(payload, "ActivityEventData")
        told = [
            self.event_type(payload, delivery),
            need_ident(payload.get("Uid"), "Uid"),
            ident(activity.get("InvoiceUid")),
        ]
        if not told[-1]:
            # Nothing sets two cancellations of one account apart but when the account was last changed.
            told += [text(payload.get("Updated")), _email(payload)]
        return "activity_" + hashlib.sha256("\n".join(told).encode()).hexdigest()

    def event_type(self, payload: Object, delivery: Delivery) -> str:
        """The activity that the address names; raises PayloadError for an address without one."""
        given = delivery.query.get("event", "")
        if not given:
            raise PayloadError(
                "The address names no activity. Use the addresses shown on the connection's page, with ?event=."
            )
        return word(given, "event", 80)

    def is_test(self, payload: Object) -> bool | None:
        """Outseta does not say."""
        return None

    def parse(self, message: Message) -> list[Signal]:
        """One signal for each activity that is used; raises Ignored with the reason for all others."""
        if message.kind == PAID:
            return [_paid(message)]
        if message.kind == DECLINED:
            raise Ignored("payment_failed")
        if message.kind == CANCELLING:
            raise Ignored("cancels_later")
        if message.kind in _JOINS:
            return [_joined(message)]
        raise Ignored("type_unused", type=message.kind)


def _paid(message: Message) -> Signal:
    """A payment that was collected. The amount is a text in the account's currency, which the connection's settings name."""
    payload = message.payload
    account = need_ident(payload.get("Uid"), "Uid")
    activity = inner(payload, "ActivityEventData")
    invoice = need_ident(activity.get("InvoiceUid"), "ActivityEventData.InvoiceUid")
    amount = activity.get("Amount")
    if str(amount).strip().rstrip("0").rstrip(".") in {"", "0"} and amount is not None:
        raise Ignored("nothing_paid")
    subscription = ident(inner(payload, "CurrentSubscription").get("Uid"))
    return Signal(
        fact="purchase",
        external_id=f"{account}/{invoice}",
        references=names(f"{account}/{invoice}", invoice),
        occurred_at=message.received_at,
        money=major_money(amount, message.account.settings.get("currency", "")),
        email=_email(payload),
        name=_name(payload),
        codes=_codes(message),
        customer_id=account,
        metadata={"invoice": invoice} | ({"subscription": subscription} if subscription else {}),
    )


def _joined(message: Message) -> Signal:
    """A new account or person: nothing is paid yet, but the code stands here, and the account's id gets its address."""
    payload = message.payload
    codes, email = _codes(message), _email(payload)
    if not email:
        raise Ignored("no_email")
    if not codes:
        raise Ignored("no_code")
    uid = need_ident(payload.get("Uid"), "Uid")
    return Signal(
        fact="signup",
        external_id=uid,
        references=(),
        occurred_at=message.received_at,
        email=email,
        name=_name(payload),
        codes=codes,
        # A person's Uid is no customer: payments name the account.
        customer_id="" if message.kind == "PersonCreated" else uid,
    )


def _contact(payload: Object) -> Object:
    """Who is behind the message: the account's primary contact, or the person that it tells of."""
    return inner(payload, "PrimaryContact") or payload


def _email(payload: Object) -> str:
    return text(_contact(payload).get("Email"))


def _name(payload: Object) -> str:
    person = _contact(payload)
    return f"{text(person.get('FirstName'))} {text(person.get('LastName'))}".strip()[:160]


def _codes(message: Message) -> tuple[Code, ...]:
    """In the property that the settings name, on the account or its contact; else where merchants usually keep it."""
    chosen = message.account.settings.get("code_property", "")
    fields = ((chosen,) if chosen else ()) + _CODE_FIELDS

    def found() -> Iterator[Code]:
        for thing in (message.payload, _contact(message.payload)):
            for name in fields:
                yield from code_texts(thing.get(name))

    return tuple(dict.fromkeys(found()))
