"""Outseta: its connect form, what to switch on there, and its source."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from integrations.base import Provider, SecretField, SettingField
from integrations.providers.outseta.source import OutsetaSource

PROVIDER = Provider(
    slug="outseta",
    label="Outseta",
    summary=_("Sign-ups and collected subscription payments of an Outseta account."),
    icon="users",
    secrets=(
        SecretField(
            name="signing_key",
            label=_("Webhook signing key"),
            hint=_(
                "It stands in Outseta under Settings, then Notifications, as a long text of the digits 0-9 and a-f."
            ),
            pattern=r"(?:[0-9a-fA-F]{2}){16,128}",
            wrong=_(
                "A signing key has at least 32 characters, only 0-9 and a-f, and an even number of them. Copy it whole."
            ),
            made_up_of="0123456789abcdef",
        ),
    ),
    made_up_settings={"currency": "USD"},
    samples="integrations.providers.outseta.samples.Samples",
    settings=(
        SettingField(
            name="currency",
            label=_("Currency of your Outseta account"),
            hint=_("Outseta sends amounts without their currency. Write its code, such as USD."),
            required=True,
            is_currency=True,
            limit=3,
        ),
        SettingField(
            name="code_property",
            label=_("Property with the referral code"),
            hint=_(
                "The system name of your custom property, as Outseta sends it. Empty: ReferralCode, referral_code, referralCode, ref,"
                " and Outseta’s fields for Rewardful and Tolt."
            ),
            limit=80,
        ),
    ),
    source=OutsetaSource(),
    address_by_event=True,
    events=(
        ("AccountSubscriptionPaymentCollected", _("a subscription was paid, each time")),
        ("AccountCreated", _("an account was made: who comes with a code joins the campaign")),
        ("AccountPaidSubscriptionCreated", _("an account’s first paid subscription: its code counts, too")),
        ("AccountSubscriptionStarted", _("a subscription began, such as a trial: its code counts, too")),
        ("PersonCreated", _("a person was added: their code counts, too")),
        ("AccountSubscriptionPaymentDeclined", _("a payment failed; it is listed, and nothing happens")),
        ("AccountSubscriptionCancellationRequested", _("a subscription will end; it is listed, and nothing happens")),
    ),
    steps=(
        _(
            "In Outseta, add a custom property for the referral code to accounts or people, and put it on your sign-up form."
        ),
        _("Open Settings, then Notifications, and add a notification for each activity listed on this page."),
        _(
            "For each, paste the address that stands beside the activity’s name below. Every activity has an address of its own."
        ),
        _(
            "Copy the webhook signing key from the same page, and paste it in the form here, with your account’s currency."
        ),
    ),
    matching=(
        _("The code in the property that you name in the form, on the account or its primary contact."),
        _("The code in ReferralCode, referral_code, referralCode, ref, or Outseta’s fields for Rewardful and Tolt."),
        _("No code: the account paid before, or its primary contact joined before with the same e-mail address."),
    ),
    dashboard_url="https://go.outseta.com/",
    docs="https://go.outseta.com/support/kb",
)
