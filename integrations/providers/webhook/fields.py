"""The form of a merchant's own system: how its messages are signed, and where in them everything stands."""

from __future__ import annotations

from collections.abc import Mapping

from django.utils.translation import gettext_lazy as _

from integrations import registry
from integrations.base import SettingField
from integrations.providers.webhook import mapping, signing

_PROOF = _("How it proves who it is")
_WHAT = _("What a message tells")
_WHO = _("Who it is about")
_MONEY = _("What was paid, and when")
_MORE = _("Names and more")

FIELDS = (
    SettingField(
        "scheme",
        _("Proof"),
        _("Standard Webhooks is best if your system is still to be written."),
        "standard",
        signing.SCHEMES,
        required=True,
        group=_PROOF,
    ),
    SettingField(
        "header",
        _("Header"),
        _("Of the signature or the secret, such as X-Signature. Not for Standard Webhooks."),
        group=_PROOF,
        limit=60,
    ),
    SettingField(
        "prefix", _("Text before it"), _("Such as sha256= or Bearer, if there is any."), group=_PROOF, limit=40
    ),
    SettingField(
        "encoding",
        _("Written as"),
        default="hex",
        choices=(("hex", _("hex digits")), ("base64", _("base64"))),
        group=_PROOF,
    ),
    SettingField("signed", _("What is signed"), default="body", choices=signing.SIGNED, group=_PROOF),
    SettingField(
        "time_header",
        _("Header of the time"),
        _("If it sends one; it has to be within five minutes of ours."),
        group=_PROOF,
        limit=60,
    ),
    SettingField("key_form", _("The secret is used"), default="text", choices=signing.KEYS, group=_PROOF),
    SettingField(
        "fact_path",
        _("Place of the kind of message"),
        _("Such as event. Leave it empty when all messages tell the same."),
        group=_WHAT,
    ),
    SettingField(
        "facts",
        _("What each value means"),
        _(
            "One a line, such as order.paid = purchase. Possible: ignore, purchase, signup, refund_part, refund_total, dispute,"
            " dispute_won, stopped, resumed; for a sale with several steps pending, qualified, approved, denied; and action with the name"
            " that your rule has for it, such as action demo_booked."
        ),
        lines=True,
        group=_WHAT,
    ),
    SettingField("fact_else", _("Every other message tells"), default="ignore", choices=mapping.FACTS, group=_WHAT),
    SettingField(
        "email",
        _("Place of the e-mail address"),
        _("Such as customer.email, or answers[type=email].email in a list."),
        group=_WHO,
    ),
    SettingField(
        "customer_id",
        _("Place of the customer’s id"),
        _("A payment without an address waits until a message with this id and an address comes."),
        group=_WHO,
    ),
    SettingField(
        "name", _("Place of the name"), _("Several parts with a plus, such as first_name + last_name."), group=_WHO
    ),
    SettingField(
        "code",
        _("Place of the referral code"),
        _("Several places with commas; the first that has a code counts."),
        group=_WHO,
    ),
    SettingField("amount", _("Place of the amount"), group=_MONEY),
    SettingField(
        "amount_in",
        _("Amounts are written"),
        default="major",
        choices=(("major", _("in units, such as 49.00")), ("minor", _("in the smallest unit, such as 4900"))),
        group=_MONEY,
    ),
    SettingField("currency", _("Place of the currency"), group=_MONEY),
    SettingField(
        "currency_fixed",
        _("Currency of all amounts"),
        _("If the messages name none, such as USD."),
        is_currency=True,
        limit=3,
        group=_MONEY,
    ),
    SettingField(
        "occurred_at",
        _("Place of the time"),
        _("ISO 8601, or seconds or milliseconds since 1970. Empty: when it came."),
        group=_MONEY,
    ),
    SettingField(
        "id",
        _("Place of the id"),
        _("Of the payment, refund or sign-up in your system. The same id counts once."),
        group=_MORE,
    ),
    SettingField(
        "order",
        _("Place of the order’s id"),
        _("By which a refund finds its payment; payments with one order count once."),
        group=_MORE,
    ),
    SettingField(
        "payment",
        _("Place of the payment company’s id"),
        _("Such as Stripe’s pi_…, if that company is connected here too: then both count once."),
        group=_MORE,
    ),
    SettingField(
        "payment_at",
        _("That company"),
        choices=(("", _("none")), *((slug, slug) for slug in registry.TELLING if slug != "webhook")),
        group=_MORE,
    ),
    SettingField("subscription", _("Place of the subscription’s id"), group=_MORE),
    SettingField(
        "metadata",
        _("More to keep"),
        _("One a line: a name, an equals sign and its place, such as plan = data.plan."),
        lines=True,
        group=_MORE,
    ),
    SettingField(
        "ids",
        _("Name of your system"),
        _("Kept before its ids. Two systems that both count from 1 need two names; two that share their ids, one."),
        limit=20,
        keeps_apart=True,
        group=_MORE,
    ),
)


def check(settings: Mapping[str, str]) -> None:
    """All settings together; raises SettingError."""
    signing.check(settings)
    mapping.check(settings)
