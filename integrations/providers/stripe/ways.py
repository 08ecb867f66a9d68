"""How Stripe delivers rewards, as data: what is asked in "Issue ...", and which module does it."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from integrations.base import SettingField, Way

_NAME = SettingField(
    "name",
    _("What the customer reads"),
    _("It stands on their invoice; the campaign’s name, if you leave it empty."),
    limit=40,
)

WAYS = (
    Way(
        name="stripe_coupon",
        label=_("Stripe promotion code"),
        summary=_(
            "A code of their own over the amount, on their page and by mail at once. It works once, and only for the customer, where"
            " Stripe knows them. What a single payment leaves of it is lost."
        ),
        kinds=frozenset({"coupon"}),
        issuer="integrations.providers.stripe.paying.COUPON",
        recent="integrations.providers.stripe.paying.recent",
        fee=_("Free; Stripe takes the discount off what you are paid."),
        obstacle="integrations.providers.stripe.paying.obstacle",
        options=(
            _NAME,
            SettingField("prefix", _("The code begins with"), _("Letters and digits, such as THANKS."), limit=12),
            SettingField(
                "days",
                _("Valid for"),
                choices=(("", _("no end")), ("30", _("30 days")), ("90", _("90 days")), ("365", _("a year"))),
            ),
        ),
    ),
    Way(
        name="stripe_balance",
        label=_("Stripe customer balance"),
        summary=_(
            "A credit on their customer balance at once; Stripe takes it off their next invoices by itself. Who is no customer in Stripe"
            " yet waits until they are."
        ),
        kinds=frozenset({"store_credit"}),
        issuer="integrations.providers.stripe.paying.BALANCE",
        fee=_("Free; Stripe takes the credit off what you are paid."),
        obstacle="integrations.providers.stripe.paying.obstacle",
        options=(_NAME,),
        # Stripe lists such credits for one customer at a time only: there is no `recent`.
    ),
)
