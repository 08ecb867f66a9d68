"""Shopify: its connect form, what is listened to there, and its source."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from integrations.base import Provider, SecretField
from integrations.providers.shopify.snippets import SNIPPETS
from integrations.providers.shopify.source import ShopifySource
from integrations.providers.shopify.ways import WAYS

PROVIDER = Provider(
    slug="shopify",
    label="Shopify",
    summary=_("Orders, refunds, cancellations and chargebacks of your shop, found by discount code, cart or link."),
    icon="shopping-bag",
    secrets=(
        SecretField(
            name="shop",
            label=_("Shop"),
            hint=_("The address that ends in .myshopify.com, such as halden-roasts.myshopify.com."),
            pattern=r"[A-Za-z0-9][A-Za-z0-9-]{0,59}\.myshopify\.com",
            wrong=_("Write the shop’s own address, such as halden-roasts.myshopify.com, without https://."),
            is_secret=False,
            made_up="test-*.myshopify.com",
        ),
        SecretField(
            name="client_id",
            label=_("Client ID"),
            hint=_(
                "Of your own app, from its Settings in the Dev Dashboard. With it we can ask the shop by ourselves."
            ),
            pattern=r"[A-Za-z0-9]{16,64}",
            wrong=_("A client ID has 16 to 64 letters and digits. Copy it whole."),
            required=False,
            is_secret=False,
        ),
        SecretField(
            name="client_secret",
            label=_("Client secret"),
            hint=_(
                "It stands below the client ID. Messages are signed with it. For webhooks made in the shop’s own settings, it is the"
                " secret shown there."
            ),
            pattern=r"[A-Za-z0-9_-]{16,128}",
            wrong=_("A client secret has 16 to 128 letters and digits. Copy it whole."),
        ),
        SecretField(
            name="access_token",
            label=_("Admin API access token"),
            hint=_(
                "Only for older custom apps, whose token starts with shpat_. Leave it empty if you gave the client ID, or install from"
                " this page."
            ),
            pattern=r"shp[a-z]{2}_[A-Za-z0-9]{16,128}",
            made_up="shpat_",
            wrong=_("An access token starts with shpat_ and has at least 16 more characters. Copy it whole."),
            required=False,
        ),
    ),
    source=ShopifySource(),
    events=(
        ("orders/paid", _("an order was paid")),
        ("orders/cancelled", _("an order was cancelled: what it earned goes")),
        ("refunds/create", _("money went back, all of it or a part")),
        ("customers/create", _("somebody opened an account")),
        ("disputes/create", _("a customer’s bank takes a payment back")),
        ("disputes/update", _("a chargeback ended")),
        ("app/uninstalled", _("the app was taken out of the shop")),
        ("customers/data_request", _("a customer asks for their data")),
        ("customers/redact", _("a customer wants their data erased")),
        ("shop/redact", _("the shop is gone, and its data with it")),
    ),
    steps=(
        _("In Shopify’s Dev Dashboard, press “Create app”, and give it a name such as Passalong."),
        _(
            "In its configuration, allow: read_orders, read_customers, and write_discounts if friends get discount codes. For rewards as"
            " store credit: write_store_credit_account_transactions."
        ),
        _(
            "Under “Compliance webhooks”, paste the address below three times: data request, customer and shop redaction."
        ),
        _("Release the version, and install the app in your shop."),
        _(
            "Open the app’s Settings, and paste its client ID and client secret in the form on this page, with your shop’s address."
        ),
        _("Save. We then ask the shop to send the other messages to this address; you need not set them up."),
    ),
    matching=(
        _("A discount code of the order with the same text as a referral code."),
        _("The cart’s attribute referral_code, referralCode or ref, which our script fills in."),
        _("The code in the address through which the shop was entered, such as …?ref=CODE."),
        _("No code: the buyer joined before with the same e-mail address, or bought before as the same customer."),
    ),
    dashboard_url="https://dev.shopify.com/dashboard",
    docs="https://shopify.dev/docs/apps/build/webhooks",
    look_up="integrations.providers.shopify.asking.look_up",
    pull="integrations.providers.shopify.asking.pull",
    pull_needs=("client_id|access_token",),
    refusal_status=401,
    snippets=SNIPPETS,
    install="integrations.providers.shopify.installing.ShopifyInstalling",
    install_field="shop",
    app="integrations.providers.shopify.installing.ShopifyApp",
    promotions="integrations.providers.shopify.keeping.ShopifyPromotions",
    has_coupons=False,
    listening="integrations.providers.shopify.keeping.ShopifyListening",
    listening_needs="client_id|access_token",
    samples="integrations.providers.shopify.samples.Samples",
    ways=WAYS,
)
