"""Cashfree Payments: its connect form, what to switch on there, and its source."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from integrations.base import Provider, SecretField
from integrations.providers.cashfree.source import CashfreeSource

PROVIDER = Provider(
    slug="cashfree",
    label="Cashfree",
    summary=_("Orders and payment links, with their refunds."),
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
    source=CashfreeSource(),
    events=(
        ("PAYMENT_SUCCESS_WEBHOOK", _("an order was paid")),
        ("REFUND_STATUS_WEBHOOK", _("money went back, all of it or a part")),
    ),
    steps=(
        _("In Cashfree’s dashboard choose the mode (test or production) that you are in here."),
        _("Open Developers, then Webhooks, and press “Add Webhook Endpoint”. Paste the address below."),
        _("Tick the events listed on this page: success payment and refund."),
        _("Open Developers, then API Keys, copy the client secret, and paste it in the form on this page."),
    ),
    matching=(
        _("The code in the order’s order_tags, as referral_code, referralCode or ref."),
        _("No code: the payer joined before with the same e-mail address, or paid before with the same customer id."),
        _(
            "A subscription’s later payments name nobody in Cashfree’s messages, so they can’t be counted;"
            " tell of them by API (POST /api/v2/events)."
        ),
    ),
    dashboard_url="https://merchant.cashfree.com/merchants/login",
    docs="https://www.cashfree.com/docs/api-reference/payments/latest/payments/webhooks",
    samples="integrations.providers.cashfree.samples.Samples",
)
