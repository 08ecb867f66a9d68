"""Tremendous: its connect form, its ways to pay, and its source of status messages."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta

from django.utils.translation import gettext as now
from django.utils.translation import gettext_lazy as _

from integrations.base import Provider, SecretField, SettingError, SettingField, Way
from integrations.providers.tremendous.source import TremendousSource

_ID = re.compile(r"[A-Z0-9]{4,20}", re.ASCII)
_DELIVERY = (
    ("EMAIL", _("Tremendous writes to the recipient")),
    ("LINK", _("A link, which we hand over")),
)


def _check(values: Mapping[str, str]) -> None:
    """What the recipient can choose from has to be known; ids are Tremendous' own."""
    if values.get("campaign_id") and not _ID.fullmatch(values["campaign_id"]):
        raise SettingError("campaign_id", now("A campaign’s id has capital letters and digits, such as ABCDEF123456."))
    if values.get("funding_source") and not _ID.fullmatch(values["funding_source"]):
        raise SettingError("funding_source", now("A funding source’s id has capital letters and digits."))
    products = values.get("products", "").replace(",", " ").split()
    for product in products:
        if not _ID.fullmatch(product):
            message = now("%(given)r is no product’s id: those have capital letters and digits.")
            raise SettingError("products", message % {"given": product[:40]})
    if not products and not values.get("campaign_id"):
        raise SettingError("campaign_id", now("Give a campaign or products: the recipient chooses from them."))


def _waits_for_funds(settings: Mapping[str, object]) -> bool:
    return settings.get("funding") == "invoice"


PROVIDER = Provider(
    slug="tremendous",
    label="Tremendous",
    summary=_("Gift cards, prepaid cards and cash in many countries; the recipient chooses. By e-mail or as a link."),
    icon="gift",
    tells=False,
    secrets=(
        SecretField(
            name="api_key",
            label=_("API key"),
            hint=_(
                "It mostly starts with PROD_, or with TEST_ in Tremendous’ sandbox (testflight), which test mode uses."
            ),
            pattern=r"[A-Za-z0-9_\-]{16,250}",
            wrong=_("An API key has at least 16 letters, digits, - and _. Copy it whole."),
            live_prefixes=("PROD_",),
            test_prefixes=("TEST_",),
            made_up="TEST_",
        ),
        SecretField(
            name="webhook_key",
            label=_("Private key of the webhook"),
            hint=_(
                "Tremendous shows it with the webhook. Without it we ask how each payout is doing, but learn it later."
            ),
            pattern=r"[\x21-\x7e]{12,200}",
            wrong=_("The private key of a webhook has at least 12 characters and no blanks. Copy it whole."),
            required=False,
            made_up="*",
        ),
    ),
    settings=(
        SettingField(
            name="funding",
            label=_("Paid from"),
            hint=_("With an invoice a batch waits until you say here that the money is at Tremendous."),
            default="balance",
            choices=(("balance", _("Your balance at Tremendous")), ("invoice", _("An invoice"))),
        ),
        SettingField(
            name="funding_source",
            label=_("Id of the funding source"),
            hint=_("Only if it is neither your balance nor your invoice account, such as a bank account."),
            limit=20,
        ),
        SettingField(
            name="campaign_id",
            label=_("Campaign in Tremendous"),
            hint=_("Its id. What the recipient can choose from, and how the mail looks, is set there."),
            limit=20,
        ),
        SettingField(
            name="products",
            label=_("Products"),
            hint=_("Ids of the products to choose from, one a line, if you have no campaign there."),
            lines=True,
        ),
        SettingField(
            name="delivery",
            label=_("Delivery"),
            hint=_("A link stands on the person’s page and in our mail to them."),
            default="EMAIL",
            choices=_DELIVERY,
        ),
    ),
    made_up_settings={"products": "OKMHM2X2OHYV"},
    check=_check,
    source=TremendousSource(),
    look_up="integrations.providers.tremendous.api.look_up",
    events=(
        ("ORDERS.CREATED", _("an order was made")),
        ("ORDERS.APPROVED", _("an order that waited was approved")),
        ("ORDERS.CANCELED", _("an order was cancelled: what was paid is back")),
        ("ORDERS.FAILED", _("an order could not be carried out")),
        ("REWARDS.DELIVERY.SUCCEEDED", _("the mail to the recipient arrived")),
        ("REWARDS.DELIVERY.FAILED", _("the mail to the recipient came back")),
        ("REWARDS.CANCELED", _("a reward was cancelled: what was paid is back")),
        ("REWARDS.FLAGGED", _("Tremendous looks at a reward before it is given out")),
    ),
    steps=(
        _(
            "In Tremendous, open Team settings, then Developers, and make an API key. Copy it into the form on this page."
        ),
        _("Choose a campaign there, or the products that recipients can choose from, and fill in their ids."),
        _(
            "Status messages: under Webhooks, paste the address below. An organization has one webhook: if it is in use, leave this out."
        ),
        _("Copy the webhook’s private key into the form."),
    ),
    matching=(),
    dashboard_url="https://app.tremendous.com/",
    docs="https://developers.tremendous.com/docs",
    ways=(
        Way(
            name="tremendous",
            label="Tremendous",
            summary=_(
                "The recipient chooses a gift card, a prepaid card or a transfer. At once, by e-mail or as a link on their page."
            ),
            kinds=frozenset({"cash", "gift_card"}),
            issuer="integrations.providers.tremendous.issuer.ISSUER",
            fee=_("Most products cost nothing; Tremendous charges for some cards."),
            waits_for_funds=_waits_for_funds,
            funding=_("Pay the invoice that Tremendous sends you, or add money to the account there."),
            options=(
                SettingField(
                    name="delivery",
                    label=_("Delivery"),
                    hint=_("Empty: as the connection says."),
                    choices=(("", _("As the connection says")), *_DELIVERY),
                ),
                SettingField(
                    name="campaign_id",
                    label=_("Campaign in Tremendous"),
                    hint=_("Its id, if it is not the connection’s."),
                    limit=20,
                ),
                SettingField(
                    name="message",
                    label=_("Message"),
                    hint=_("Stands in Tremendous’ mail and on its page."),
                    limit=500,
                ),
            ),
            watch=timedelta(days=14),
            recent="integrations.providers.tremendous.api.recent",
        ),
    ),
)
