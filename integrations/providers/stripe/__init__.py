"""Stripe: its connect form, what to switch on there, and its source."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from integrations.base import Provider, SecretField
from integrations.providers.stripe.snippets import SNIPPETS
from integrations.providers.stripe.source import StripeSource
from integrations.providers.stripe.ways import WAYS

PROVIDER = Provider(
    slug="stripe",
    label="Stripe",
    summary=_("Checkout, Payment Links, subscriptions and invoices. Refunds and disputes are followed too."),
    icon="credit-card",
    secrets=(
        SecretField(
            name="api_key",
            label=_("Secret or restricted API key"),
            hint=_(
                "With it the endpoint is made for you, each referrer can have a promotion code, refunds of subscriptions are"
                " recognised, and lost messages are found each night. It starts with rk_ or sk_."
            ),
            pattern=r"(sk|rk)_(live|test)_[A-Za-z0-9]{8,250}",
            wrong=_("An API key starts with sk_live_, rk_live_, sk_test_ or rk_test_. Copy it whole."),
            required=False,
            live_prefixes=("sk_live_", "rk_live_"),
            test_prefixes=("sk_test_", "rk_test_"),
            made_up="sk_test_",
        ),
        SecretField(
            name="webhook_secret",
            label=_("Signing secret"),
            hint=_(
                "Only if you made the endpoint by hand: Stripe shows it on the endpoint’s page, under “Signing secret”. It starts"
                " with whsec_."
            ),
            pattern=r"whsec_[A-Za-z0-9+/=_-]{16,200}",
            wrong=_("A signing secret starts with whsec_ and has at least 16 more characters. Copy it whole."),
            made_up="whsec_",
            unless="api_key",
        ),
    ),
    source=StripeSource(),
    events=(
        ("checkout.session.completed", _("a checkout or payment link was paid")),
        ("checkout.session.async_payment_succeeded", _("a slow payment, such as a bank debit, arrived")),
        ("checkout.session.async_payment_failed", _("a slow payment failed: it never counts")),
        ("invoice.paid", _("a subscription or an invoice was paid, each time")),
        ("charge.refunded", _("money went back, all of it or a part")),
        ("refund.failed", _("a refund did not arrive: that much counts again")),
        ("charge.dispute.created", _("a customer disputes a payment")),
        ("charge.dispute.funds_withdrawn", _("the bank took a disputed payment")),
        ("charge.dispute.funds_reinstated", _("the bank gave a disputed payment back")),
        ("charge.dispute.closed", _("a dispute ended")),
        ("customer.subscription.deleted", _("a subscription ended: recurring commissions stop")),
    ),
    key_steps=(
        _("In Stripe, open Developers, then API keys, and press “Create restricted key”."),
        _(
            "Give it these rights: Webhook Endpoints, Promotion Codes and Coupons: write. Invoices, Events, Charges and"
            " Checkout Sessions: read. Customers: write, if rewards are to go on customers’ balances. Everything else: none."
        ),
        _(
            "Copy the key (rk_…), and paste it in the form on this page. The endpoint is then made by itself, within a minute."
        ),
    ),
    steps=(
        _("In Stripe, open Developers, then Webhooks, and press “Add destination” (or “Add endpoint”)."),
        _("Choose events from your own account, and tick the events listed on this page."),
        _("Choose “Webhook endpoint”, and paste the address below as the endpoint’s URL."),
        _("Save. Stripe now shows the endpoint’s signing secret: copy it, and paste it in the form on this page."),
    ),
    matching=(
        _("The code in a Payment Link’s or pricing table’s client_reference_id, such as …?client_reference_id=CODE."),
        _(
            "The code in the metadata of the checkout, the subscription or the invoice, as referral_code, referralCode or ref."
        ),
        _(
            "A promotion code of the same text as the referral code, made for each participant or by you. This needs the API key."
        ),
        _("No code: the payer joined before with the same e-mail address, or paid before as the same customer."),
    ),
    dashboard_url="https://dashboard.stripe.com/webhooks",
    docs="https://docs.stripe.com/webhooks",
    look_up="integrations.providers.stripe.api.look_up",
    snippets=SNIPPETS,
    pull="integrations.providers.stripe.pull.events",
    pull_needs=("api_key",),
    pull_days=30,
    samples="integrations.providers.stripe.samples.Samples",
    promotions="integrations.providers.stripe.keeping.StripePromotions",
    listening="integrations.providers.stripe.keeping.StripeListening",
    ways=WAYS,
)
