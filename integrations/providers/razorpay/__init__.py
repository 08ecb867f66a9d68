"""Razorpay: its connect form, what to switch on there, and its source."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from integrations.base import Provider, SecretField
from integrations.providers.razorpay.source import RazorpaySource

PROVIDER = Provider(
    slug="razorpay",
    label="Razorpay",
    summary=_(
        "Orders, Payment Links, invoices and subscriptions. Refunds, disputes and cancellations are followed too."
    ),
    icon="credit-card",
    secrets=(
        SecretField(
            name="webhook_secret",
            label=_("Webhook secret"),
            hint=_("You choose it when you add the webhook at Razorpay. Use a long random text, and the same here."),
            pattern=r"[\x21-\x7e]{8,200}",
            wrong=_("A webhook secret has 8 to 200 characters without spaces. Copy it whole."),
        ),
    ),
    source=RazorpaySource(),
    events=(
        ("order.paid", _("an order was paid; it carries the notes of the order")),
        ("payment.captured", _("a payment arrived")),
        ("payment_link.paid", _("a payment link was paid")),
        ("invoice.paid", _("an invoice was paid")),
        ("subscription.charged", _("a subscription was paid, each time")),
        ("subscription.cancelled", _("a subscription ended")),
        ("subscription.halted", _("a subscription stopped because its payments failed")),
        ("subscription.resumed", _("a subscription goes on")),
        ("refund.processed", _("money went back, all of it or a part")),
        ("payment.dispute.created", _("a customer disputes a payment")),
        ("payment.dispute.won", _("a dispute was won")),
        ("payment.dispute.lost", _("a dispute was lost")),
        ("payment.dispute.closed", _("a dispute ended")),
    ),
    steps=(
        _("In Razorpay’s dashboard choose the mode (test or live) that you are in here; each has webhooks of its own."),
        _("Open Account & Settings, then Webhooks, and press “Add New Webhook”."),
        _("Paste the address below as the webhook’s URL, and a long random text as its secret."),
        _("Tick the events listed on this page, and save."),
        _("Paste the same secret in the form on this page."),
    ),
    matching=(
        _(
            "The code in the notes of the order, payment link, subscription, invoice or payment, as referral_code, referralCode or ref."
        ),
        _("No code: the payer joined before with the same e-mail address, or paid before as the same customer."),
    ),
    dashboard_url="https://dashboard.razorpay.com/app/webhooks",
    docs="https://razorpay.com/docs/webhooks/",
    samples="integrations.providers.razorpay.samples.Samples",
)
