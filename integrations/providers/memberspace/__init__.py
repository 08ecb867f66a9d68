"""MemberSpace: its connect page, the messages that we read, and its source."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from integrations.base import Provider, SecretField
from integrations.providers.memberspace.source import MemberSpaceSource

PROVIDER = Provider(
    slug="memberspace",
    label="MemberSpace",
    summary=_(
        "Members who sign up, through an automation tool. For payments, connect the Stripe account that your MemberSpace site uses."
    ),
    icon="users",
    secrets=(
        SecretField(
            name="address_key",
            label=_("Key in the address"),
            hint=_("It stands in the address below, in the place of a signature. Keep the address to yourself."),
            pattern=r"[0-9A-Za-z]{32}",
            wrong=_("The key in the address has 32 letters and digits; we make it."),
            made="key",
        ),
    ),
    source=MemberSpaceSource(),
    samples="integrations.providers.memberspace.samples.Samples",
    address_key="address_key",
    events=(
        ("member.created", _("somebody signed up: who comes with a code joins the campaign")),
        ("member.plan.added", _("a member chose a plan: their code counts, too")),
        ("payment.succeeded", _("a payment with an id, if you do not connect Stripe for it")),
        ("payment.refunded", _("a part of such a payment went back, or all of it")),
    ),
    steps=(
        _(
            "Payments: connect Stripe here, with the account that your MemberSpace site charges through. That is all that most sites need."
        ),
        _(
            "Sign-ups: in Zapier, Make or a like tool, let a new member start a web request (POST, JSON) to the address below."
        ),
        _("Send event, member.id, member.email and referral_code in it, as the guide shows."),
        _("Whoever knows the address can send: show it to nobody, and make a new one here if somebody saw it."),
    ),
    matching=(
        _("The code as referral_code, referralCode or ref, beside the member’s fields or in their metadata."),
        _("No code: the member joined before with the same e-mail address, or paid before with the same id."),
    ),
    dashboard_url="https://admin.memberspace.com/",
    docs="https://help.memberspace.com/",
)
