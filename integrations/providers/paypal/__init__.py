"""PayPal Payouts: its connect form, what to switch on there, and how it pays."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from django.utils.translation import gettext_lazy as _

from integrations.base import Provider, SecretField, SettingField, Way
from integrations.providers.paypal.source import HEADERS, PayPalSource

# In which PayPal takes payouts (its "Payouts supported currencies").
CURRENCIES = frozenset(
    "AUD BRL CAD CHF CZK DKK EUR GBP HKD HUF ILS JPY MXN NOK NZD PHP PLN SEK SGD THB TWD USD".split()
)


def _waits_for_funds(settings: Mapping[str, object]) -> bool:
    """PayPal pays from the balance there, and denies a whole batch for which it is too small."""
    del settings
    return True


PROVIDER = Provider(
    slug="paypal",
    label="PayPal",
    summary=_("Pays cash rewards to the recipients’ PayPal accounts, many in one batch."),
    icon="wallet",
    secrets=(
        SecretField(
            name="client_id",
            label=_("Client ID"),
            hint=_(
                "On your app’s page at developer.paypal.com, under “Apps & Credentials”. Live and sandbox have their own."
            ),
            pattern=r"[A-Za-z0-9_-]{20,200}",
            wrong=_("A client ID has at least 20 letters, digits, - and _. Copy it whole."),
            made_up="A",
        ),
        SecretField(
            name="client_secret",
            label=_("Secret"),
            hint=_("Beside the client ID, under “Secret key”."),
            pattern=r"[A-Za-z0-9_-]{20,200}",
            wrong=_("A secret has at least 20 letters, digits, - and _. Copy it whole."),
            made_up="E",
        ),
        SecretField(
            name="webhook_id",
            label=_("Webhook ID"),
            hint=_(
                "PayPal shows it in the list of your app’s webhooks once you have added ours. Without it PayPal’s messages can’t be"
                " checked; states are then asked for a few times a day."
            ),
            pattern=r"[A-Za-z0-9]{10,50}",
            wrong=_(
                "A webhook ID has at least 10 letters and digits, such as 8PT597110X687430LKGECATA. Copy it whole."
            ),
            required=False,
            made_up_of="ABCDEFGHJKLMNPQRSTUVWXYZ23456789",
        ),
    ),
    source=PayPalSource(),
    events=(
        ("PAYMENT.PAYOUTS-ITEM.SUCCEEDED", _("somebody was paid")),
        ("PAYMENT.PAYOUTS-ITEM.UNCLAIMED", _("money waits for somebody without a PayPal account")),
        ("PAYMENT.PAYOUTS-ITEM.RETURNED", _("money that nobody claimed came back")),
        ("PAYMENT.PAYOUTS-ITEM.FAILED", _("somebody could not be paid")),
        ("PAYMENT.PAYOUTS-ITEM.DENIED", _("somebody could not be paid")),
        ("PAYMENT.PAYOUTS-ITEM.HELD", _("PayPal looks at a payout before it goes on")),
        ("PAYMENT.PAYOUTS-ITEM.BLOCKED", _("PayPal blocked a payout")),
        ("PAYMENT.PAYOUTS-ITEM.CANCELED", _("a payout was cancelled at PayPal")),
        ("PAYMENT.PAYOUTS-ITEM.REFUNDED", _("a recipient sent the money back")),
        ("PAYMENT.PAYOUTSBATCH.SUCCESS", _("a batch is worked through; each payout is then asked about")),
        ("PAYMENT.PAYOUTSBATCH.DENIED", _("a batch was denied, such as for too little money")),
    ),
    steps=(
        _("Open developer.paypal.com, then Apps & Credentials, and choose Live (or Sandbox for test mode)."),
        _("Press “Create App”, and under Features switch on “Payouts”. PayPal may ask to look at your account first."),
        _("Copy the client ID and the secret key, and paste them in the form on this page."),
        _(
            "On the app’s page press “Add Webhook”, paste the address below, and tick the events listed on this page. Then paste the"
            " webhook’s ID in the form, too."
        ),
    ),
    matching=(),
    dashboard_url="https://www.paypal.com/",
    docs="https://developer.paypal.com/docs/payouts/",
    tells=False,
    confirm="integrations.providers.paypal.confirming.confirm",
    confirm_headers=tuple(HEADERS),
    ways=(
        Way(
            name="paypal",
            label="PayPal",
            summary=_(
                "To the recipient’s PayPal account, within minutes. Who has none is told by PayPal, and has 30 days."
            ),
            kinds=frozenset({"cash"}),
            issuer="integrations.providers.paypal.issuer.ISSUER",
            currencies=CURRENCIES,
            destination="paypal",
            fee=_("PayPal takes its fee for each payout from your balance there."),
            waits_for_funds=_waits_for_funds,
            funding=_(
                "Add the money to your PayPal balance in the payouts’ currency. PayPal pays them from nothing else."
            ),
            options=(
                SettingField(
                    name="subject",
                    label=_("Subject of PayPal’s mail"),
                    hint=_("Empty: your business has paid you."),
                    limit=255,
                ),
                SettingField(
                    name="note",
                    label=_("Note to the recipients"),
                    hint=_("Stands in PayPal’s mail and in their account."),
                    limit=1000,
                ),
            ),
            obstacle="integrations.providers.paypal.issuer.obstacle",
            # An unclaimed payout comes back after 30 days.
            watch=timedelta(days=35),
            together=500,
        ),
    ),
)
