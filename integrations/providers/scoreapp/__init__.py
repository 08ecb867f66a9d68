"""ScoreApp: its connect form, what to switch on there, and its source."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from integrations.base import Provider, SecretField
from integrations.providers.scoreapp.source import ScoreAppSource

PROVIDER = Provider(
    slug="scoreapp",
    label="ScoreApp",
    summary=_(
        "People who take a quiz through somebody’s link join the campaign. Leads only: payments come from elsewhere."
    ),
    icon="users",
    secrets=(
        SecretField(
            name="webhook_secret",
            label=_("Webhook secret"),
            hint=_("ScoreApp signs its messages with it. It stands beside the webhook’s address in ScoreApp."),
            pattern=r"[\x21-\x7e]{8,200}",
            wrong=_("A webhook secret has 8 to 200 characters without spaces. Copy it whole."),
        ),
    ),
    source=ScoreAppSource(),
    events=(
        ("LEAD_SIGNED_UP", _("somebody left their address")),
        ("QUIZ_STARTED", _("somebody began a quiz, with an address")),
        ("QUIZ_FINISHED", _("somebody finished a quiz")),
        ("LEAD_DETAILS_UPDATED", _("an address was added later")),
    ),
    steps=(
        _("In ScoreApp, open Settings, then Integrations, then Webhooks, and add a webhook."),
        _("Paste the address below as its URL, and tick the four events listed on this page."),
        _("Copy the webhook’s secret from there, and paste it in the form on this page."),
        _("Send friends to the quiz with the referrer’s code in its address, as ?utm_term=CODE."),
    ),
    matching=(
        _("The answer to a question of the lead form that is called referral_code, referralCode or ref."),
        _("The code in utm_term, utm_content, utm_campaign, utm_source or utm_medium of the quiz’s address."),
        _("No code: nobody joins. A lead is no payment, and earns only what joining earns."),
    ),
    dashboard_url="https://app.scoreapp.com/",
    docs="https://support.scoreapp.com/article/101-webhooks",
    samples="integrations.providers.scoreapp.samples.Samples",
)
