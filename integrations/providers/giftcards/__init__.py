"""GiftCard Partners: its connect form, its ways to pay, and its source of status messages (seed 003)."""

from __future__ import annotations

from datetime import timedelta

from django.utils.translation import gettext_lazy as _

from integrations.base import Provider, SecretField, SettingField, Way
from integrations.providers.giftcards.issuer import DEFAULT_WORDS
from integrations.providers.giftcards.source import COMPLETE, GiftCardsSource

_PRODUCT = SettingField(
    name="product",
    label=_("Gift card"),
    hint=_("From the products that your account may order."),
    required=True,
    limit=100,
)
_WORDS = (
    SettingField(name="to", label=_("To"), hint=_("Stands on the card. Empty: the recipient’s name."), limit=60),
    SettingField(
        name="from_name", label=_("From"), hint=_("Stands on the card. Empty: your business’s name."), limit=60
    ),
    SettingField(
        name="message", label=_("Message"), hint=_("Stands on the card. Empty: the campaign’s name."), limit=300
    ),
)

PROVIDER = Provider(
    slug="giftcards",
    label="GiftCard Partners",
    summary=_("Gift cards of many brands: by e-mail, as a link, or as a plastic card by post."),
    icon="gift",
    tells=False,
    secrets=(
        SecretField(
            name="base_url",
            label=_("Address of the API"),
            hint=_(
                "GiftCard Partners give each customer their own. It begins with https://, and one for tests is another."
            ),
            pattern=r"https://(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,24}(?:/[A-Za-z0-9._~-]+){0,5}/?",
            wrong=_(
                "Write an address such as https://api.example.com, without a port and without anything after a ? or #."
            ),
            is_secret=False,
            made_up="https://*.cards.example",
            made_up_of="abcdefghijklmnopqrstuvwxyz",
        ),
        SecretField(
            name="email",
            label=_("E-mail address of the account"),
            hint=_("The one that the access token belongs to."),
            pattern=r"[^@\s]{1,64}@[A-Za-z0-9.-]{3,190}",
            wrong=_("Write an e-mail address."),
            is_secret=False,
            made_up="*@halden.example",
            made_up_of="abcdefghijklmnopqrstuvwxyz",
        ),
        SecretField(
            name="access_token",
            label=_("Access token"),
            hint=_(
                "GiftCard Partners give it with the account. We make a token for an hour or so of it, and use that."
            ),
            pattern=r"[\x21-\x7e]{6,400}",
            wrong=_("An access token has at least 6 characters and no blanks. Copy it whole."),
        ),
        SecretField(
            name="address_key",
            label=_("Key in the address"),
            hint=_("It stands in the address below, in the place of a signature. Keep the address to yourself."),
            pattern=r"[0-9A-Za-z]{32}",
            wrong=_("The key in the address has 32 letters and digits; we make it."),
            made="key",
        ),
    ),
    settings=(
        SettingField(
            name="done_words",
            label=_("Words for an order that is done"),
            hint=_("How the status of an order reads that was carried out, with commas between."),
            default=DEFAULT_WORDS["done_words"],
        ),
        SettingField(
            name="failed_words",
            label=_("Words for an order that failed"),
            hint=_("How the status of an order reads that will not be carried out. Every other word means: wait."),
            default=DEFAULT_WORDS["failed_words"],
        ),
    ),
    source=GiftCardsSource(),
    address_key="address_key",
    events=((COMPLETE, _("a card was sent, or an order is done")),),
    steps=(
        _(
            "Ask GiftCard Partners for API access: they give you an address of the API, an e-mail address and an access token."
        ),
        _("Paste the three into the form on this page. The products that you may order are then fetched."),
        _("Give GiftCard Partners the address below for the message FulfillmentComplete, if they offer it."),
    ),
    matching=(),
    dashboard_url="https://developers.giftcardpartners.com/",
    docs="https://developers.giftcardpartners.com/",
    products="integrations.providers.giftcards.api.products",
    ways=(
        Way(
            name="giftcards",
            label=_("Gift card"),
            summary=_(
                "A card of the brand that you choose: GiftCard Partners write to the recipient, or we hand over a link."
            ),
            kinds=frozenset({"gift_card"}),
            issuer="integrations.providers.giftcards.issuer.ISSUER",
            options=(
                _PRODUCT,
                SettingField(
                    name="delivery",
                    label=_("Delivery"),
                    default="DigitalDelivery",
                    choices=(
                        ("DigitalDelivery", _("GiftCard Partners write to the recipient")),
                        ("Links", _("A link, which we hand over")),
                    ),
                ),
                *_WORDS,
            ),
            choices="integrations.providers.giftcards.choosing.choices",
            obstacle="integrations.providers.giftcards.choosing.obstacle",
            watch=timedelta(days=14),
        ),
        Way(
            name="giftcards_post",
            label=_("Gift card by post"),
            summary=_(
                "A plastic card of the brand that you choose, sent to the recipient’s postal address within days."
            ),
            kinds=frozenset({"gift_card"}),
            issuer="integrations.providers.giftcards.issuer.POST_ISSUER",
            destination="postal",
            options=(_PRODUCT, *_WORDS),
            choices="integrations.providers.giftcards.choosing.post_choices",
            obstacle="integrations.providers.giftcards.choosing.post_obstacle",
            watch=timedelta(days=30),
        ),
    ),
)
