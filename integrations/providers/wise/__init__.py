"""Wise: its connect form, what to switch on there, and how it pays."""

from __future__ import annotations

from datetime import timedelta

from django.utils.translation import gettext_lazy as _

from integrations.base import Provider, SecretField, SettingField, Way
from integrations.providers.wise import groups
from integrations.providers.wise.recipients import DESTINATION
from integrations.providers.wise.source import WiseSource

PROVIDER = Provider(
    slug="wise",
    label="Wise",
    summary=_("Pays to bank accounts in Europe, the UK and the US, or by e-mail, from your balance at Wise."),
    icon="landmark",
    secrets=(
        SecretField(
            name="api_token",
            label=_("API token"),
            hint=_("At Wise under Settings, then API tokens. It needs full access, because it pays."),
            pattern=r"[A-Za-z0-9._\-]{20,400}",
            wrong=_("An API token has at least 20 letters, digits and hyphens. Copy it whole."),
            made_up="stand-in-",
        ),
        SecretField(
            name="profile_id",
            label=_("Number of your business profile"),
            hint=_("Needed only where the token belongs to several businesses. The call GET /v2/profiles lists them."),
            pattern=r"[0-9]{3,40}",
            wrong=_("A profile has a number of at least three digits."),
            required=False,
            is_secret=False,
            made_up="1",
            made_up_of="0123456789",
        ),
    ),
    settings=(
        SettingField(
            name="source_currency",
            label=_("Pay from the balance in"),
            hint=_("Such as EUR; Wise converts. Leave it empty to pay each currency from its own balance."),
            is_currency=True,
            limit=3,
        ),
    ),
    source=WiseSource(),
    events=(
        ("transfers#state-change", _("a transfer goes on: sent, arrived at the bank, bounced, refunded, cancelled")),
        ("transfers#payout-failure", _("the recipient’s bank did not take a transfer")),
        ("transfers#refund", _("the money of a transfer came back")),
        ("transfers#active-cases", _("Wise asks for something before a transfer goes on")),
    ),
    steps=(
        _("Log in at Wise as the business (on the test side: at its sandbox), open Settings, then API tokens."),
        _("Make a token with full access, and paste it on this page."),
        _(
            "Open Settings, then Webhooks, and add the address below for “Transfer update events”, as version 2 or later."
        ),
        _(
            "In the UK and the EEA Wise may want a person to approve payments (PSD2). Ask Wise whether your token may pay from "
            "the balance; else use the file for Wise."
        ),
    ),
    matching=(),
    dashboard_url="https://wise.com/settings/api-tokens",
    docs="https://docs.wise.com/",
    tells=False,
    ways=(
        Way(
            name="wise",
            label=_("Wise"),
            summary=_(
                "To the recipient’s bank account, in hours or days; by e-mail they enter it at Wise within a week."
            ),
            kinds=frozenset({"cash"}),
            issuer="integrations.providers.wise.issuer.ISSUER",
            destination=DESTINATION,
            fee=_("Wise takes its fee from your balance, on top of the amount."),
            watch=timedelta(days=35),
            together=groups.MOST,
            recent="integrations.providers.wise.issuer.recent",
            key_name="integrations.providers.wise.transfers.name_of",
        ),
    ),
)
