"""Cashfree Payments: its connect form, what to switch on there, and its source."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from integrations.base import Provider, SecretField, SettingField
from integrations.providers.cashfree.source import CashfreeSource

PROVIDER = Provider(
    slug="cashfree",
    label="Cashfree",
    summary=_("Orders, payment links and subscriptions, with their refunds and disputes."),
    icon="credit-card",
    secrets=(
        SecretField(
            name="client_secret",
            label=_("Client secret"),
            hint=_("Cashfree signs its messages with it. It stands in the dashboard under Developers, then API Keys."),
            pattern=r"[\x21-\x7e]{16,200}",
            wrong=_("A client secret has at least 16 characters without spaces. Copy it whole."),
        ),
    ),
    settings=(
        SettingField(
            name="currency",
            label=_("Currency where none is told"),
            hint=_("Messages about subscriptions carry an amount without a currency."),
            default="INR",
            required=True,
            is_currency=True,
            limit=3,
        ),
        SettingField(
            name="dispute_created",
            label=_("Message for a new dispute"),
            hint=_("Change it only if your account’s messages are called otherwise."),
            default="DISPUTE_CREATED",
            limit=80,
        ),
        SettingField(
            name="dispute_closed", label=_("Message for a dispute that ended"), default="DISPUTE_CLOSED", limit=80
        ),
        SettingField(
            name="dispute_won",
            label=_("End of the status of a dispute that you won"),
            hint=_("Such as MERCHANT_WON for DISPUTE_MERCHANT_WON and CHARGEBACK_MERCHANT_WON."),
            default="MERCHANT_WON",
            limit=80,
        ),
    ),
    source=CashfreeSource(),
    payment_names=("cf_{}", "order:{}"),
    events=(
        ("PAYMENT_SUCCESS_WEBHOOK", _("an order was paid")),
        ("REFUND_STATUS_WEBHOOK", _("money went back, all of it or a part")),
        ("SUBSCRIPTION_STATUS_CHANGED", _("a subscription is active, or over: whose it is, and by whose code")),
        ("SUBSCRIPTION_PAYMENT_SUCCESS", _("a subscription was paid, each time")),
        ("SUBSCRIPTION_REFUND_STATUS", _("a subscription’s payment went back")),
        ("DISPUTE_CREATED", _("a customer disputes a payment")),
        ("DISPUTE_CLOSED", _("a dispute ended")),
    ),
    steps=(
        _("In Cashfree’s dashboard choose the mode (test or production) that you are in here."),
        _("Open Developers, then Webhooks, and press “Add Webhook Endpoint”. Paste the address below."),
        _(
            "Tick the events listed on this page: success payment, refund, dispute, and those of subscriptions if you sell any."
        ),
        _("Open Developers, then API Keys, copy the client secret, and paste it in the form on this page."),
    ),
    matching=(
        _("The code in the order’s order_tags, as referral_code, referralCode or ref."),
        _("No code: the payer joined before with the same e-mail address, or paid before with the same customer id."),
        _(
            "A subscription’s payments name only the subscription: they count for the customer whom the message of its becoming"
            " active named."
        ),
    ),
    dashboard_url="https://merchant.cashfree.com/merchants/login",
    docs="https://www.cashfree.com/docs/api-reference/payments/latest/payments/webhooks",
    samples="integrations.providers.cashfree.samples.Samples",
)
