"""How a shop delivers rewards, as data: what is asked in "Issue ...", and which module does it."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from integrations.base import SettingField, Way

_DAYS = SettingField(
    "days",
    _("Valid for"),
    choices=(("", _("no end")), ("30", _("30 days")), ("90", _("90 days")), ("365", _("a year"))),
)
_OBSTACLE = "integrations.providers.shopify.paying.obstacle"

WAYS = (
    Way(
        name="shopify_discount",
        label=_("Shopify discount code"),
        summary=_(
            "A code of their own over the amount, on their page and by mail at once. It works for one order of the shop; what that order"
            " leaves of it is lost."
        ),
        kinds=frozenset({"coupon"}),
        issuer="integrations.providers.shopify.paying.DISCOUNT",
        fee=_("Free; the shop takes the discount off the order."),
        obstacle=_OBSTACLE,
        options=(
            SettingField("prefix", _("The code begins with"), _("Letters and digits, such as THANKS."), limit=12),
            _DAYS,
        ),
        recent="integrations.providers.shopify.paying.recent_discounts",
    ),
    Way(
        name="shopify_gift_card",
        label=_("Shopify gift card"),
        summary=_(
            "A gift card of the shop, whose code is on their page and mailed at once. What is left of it stays theirs. Shopify Support has"
            " to allow your app to make gift cards."
        ),
        kinds=frozenset({"gift_card", "store_credit"}),
        issuer="integrations.providers.shopify.paying.GIFT_CARD",
        fee=_("Free; it pays for orders of the shop."),
        obstacle=_OBSTACLE,
        options=(_DAYS,),
        recent="integrations.providers.shopify.paying.recent_cards",
    ),
    Way(
        name="shopify_store_credit",
        label=_("Shopify store credit"),
        summary=_(
            "A credit on their customer account at once, which they use at the checkout. The shop needs the new customer accounts. Who is"
            " no customer yet waits until they are."
        ),
        kinds=frozenset({"store_credit"}),
        issuer="integrations.providers.shopify.store_credit.STORE_CREDIT",
        fee=_("Free; it pays for orders of the shop."),
        obstacle=_OBSTACLE,
        options=(
            _DAYS,
            SettingField(
                "notify",
                _("Shopify writes to the customer"),
                choices=(("", _("no, we do")), ("yes", _("yes"))),
            ),
        ),
        # Such a credit carries no mark of ours, so there is no `recent`.
    ),
)
