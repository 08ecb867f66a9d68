"""RazorpayX: its connect form, what to switch on there, and how it pays."""

from __future__ import annotations

from datetime import timedelta

from django.utils.translation import gettext_lazy as _

from integrations.base import Provider, SecretField, SettingField, Way
from integrations.providers.razorpayx.source import RazorpayXSource

# Banks send money back within days; RazorpayX says so for some weeks at most.
_WATCH = timedelta(days=15)

PROVIDER = Provider(
    slug="razorpayx",
    label="RazorpayX",
    summary=_("Pays in India, to a UPI address or a bank account, from your RazorpayX account."),
    icon="landmark",
    secrets=(
        SecretField(
            name="key_id",
            label=_("Key ID"),
            hint=_("In RazorpayX’s dashboard under My Account, Developer Controls, API Keys."),
            pattern=r"rzp_(test|live)_[A-Za-z0-9]{8,60}",
            wrong=_("A key’s ID begins with rzp_test_ or rzp_live_."),
            is_secret=False,
            live_prefixes=("rzp_live_",),
            test_prefixes=("rzp_test_",),
            made_up="rzp_test_",
        ),
        SecretField(
            name="key_secret",
            label=_("Key secret"),
            hint=_("It is shown once, when the key is made."),
            pattern=r"[A-Za-z0-9]{16,100}",
            wrong=_("A key’s secret has at least 16 letters and digits. Copy it whole."),
        ),
        SecretField(
            name="account_number",
            label=_("Account number"),
            hint=_(
                "The account that pays, in RazorpayX’s dashboard under Banking. Test and live mode have different ones."
            ),
            pattern=r"[A-Za-z0-9]{8,40}",
            wrong=_("An account’s number has at least 8 digits or letters."),
            is_secret=False,
            made_up="78",
            made_up_of="0123456789",
        ),
        SecretField(
            name="webhook_secret",
            label=_("Webhook secret"),
            hint=_("You choose it when you add the webhook in RazorpayX. Use a long random text, and the same here."),
            pattern=r"[\x21-\x7e]{8,200}",
            wrong=_("A webhook secret has 8 to 200 characters without spaces. Copy it whole."),
            required=False,
            made_up="made-up-",
        ),
    ),
    settings=(
        SettingField(
            name="queue_if_low_balance",
            label=_("When there is not enough money in the account"),
            hint=_("Queued payouts leave by themselves as soon as there is money."),
            default="no",
            choices=(("no", _("Refuse the payout, and tell us")), ("yes", _("Queue it at RazorpayX"))),
        ),
        SettingField(
            name="bank_mode",
            label=_("To bank accounts"),
            default="IMPS",
            choices=(
                ("IMPS", _("At once (IMPS; RTGS above 5 lakh)")),
                ("NEFT", _("In half-hourly batches (NEFT; RTGS from 2 lakh)")),
            ),
        ),
    ),
    source=RazorpayXSource(),
    events=(
        ("payout.processed", _("a payout arrived")),
        ("payout.reversed", _("a payout’s money came back")),
        ("payout.failed", _("a payout was not made")),
        ("payout.rejected", _("somebody rejected a payout in RazorpayX")),
        ("payout.queued", _("a payout waits for money")),
        ("payout.pending", _("a payout waits for approval in RazorpayX")),
        ("payout.initiated", _("a payout is on its way")),
        ("payout.updated", _("a payout’s status has changed")),
    ),
    steps=(
        _(
            "In RazorpayX’s dashboard choose the mode (test or live) that you are in here; each has keys and accounts of its own."
        ),
        _(
            "Open My Account, Developer Controls, and make an API key. Add this server’s IP address to the allow-list there."
        ),
        _(
            "On the same page add a webhook with the address below, a long random text as its secret, and the events listed here."
        ),
        _("Paste the key, its secret, your account’s number and the webhook’s secret on this page."),
    ),
    matching=(),
    dashboard_url="https://x.razorpay.com/settings/developer-controls",
    docs="https://razorpay.com/docs/x/payouts/",
    tells=False,
    ways=(
        Way(
            name="razorpayx_upi",
            label=_("UPI (RazorpayX)"),
            summary=_("To the recipient’s UPI address, within minutes as a rule. Up to ₹100,000."),
            kinds=frozenset({"cash"}),
            issuer="integrations.providers.razorpayx.issuer.ISSUER",
            currencies=frozenset({"INR"}),
            destination="upi",
            obstacle="integrations.providers.razorpayx.modes.upi_obstacle",
            watch=_WATCH,
            recent="integrations.providers.razorpayx.issuer.recent",
        ),
        Way(
            name="razorpayx_bank",
            label=_("Bank account in India (RazorpayX)"),
            summary=_("To the recipient’s bank account, at once or within hours."),
            kinds=frozenset({"cash"}),
            issuer="integrations.providers.razorpayx.issuer.ISSUER",
            currencies=frozenset({"INR"}),
            destination="bank_in",
            obstacle="integrations.providers.razorpayx.modes.bank_obstacle",
            watch=_WATCH,
            recent="integrations.providers.razorpayx.issuer.recent",
        ),
    ),
)
