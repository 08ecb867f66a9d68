"""A merchant's own system, or any other that sends JSON: its connect form and its source."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from integrations.base import Provider, SecretField
from integrations.providers.webhook.fields import FIELDS, check
from integrations.providers.webhook.presets import OWN, PRESETS
from integrations.providers.webhook.source import WebhookSource

PROVIDER = Provider(
    slug="webhook",
    label=_("Your own system"),
    mid_label=_("your own system"),
    summary=_(
        "Anything that can send JSON: your shop, a form builder, a CRM, Zapier or Make. You say where in it everything stands."
    ),
    icon="code-xml",
    secrets=(
        SecretField(
            name="secret",
            label=_("Secret"),
            hint=_("Your system signs with it. Let us make one, or paste the one that the other system shows."),
            pattern=r"[\x21-\x7e]{8,300}",
            wrong=_("A secret has 8 to 300 characters without spaces. Copy it whole."),
            made="standard",
            made_up="whsec_",
        ),
    ),
    settings=FIELDS,
    check=check,
    tries_samples=True,
    presets=PRESETS,
    made_up_settings=OWN,
    samples="integrations.providers.webhook.samples.Samples",
    source=WebhookSource(),
    events=(
        ("order.paid", _("for example; what your mapping calls a payment")),
        ("user.created", _("for example; what it calls a sign-up")),
        ("order.refunded", _("for example; what it calls a refund")),
        ("order.disputed", _("for example; what it calls a dispute")),
        ("plan.ended", _("for example; what it calls the end of a subscription")),
    ),
    steps=(
        _("Make a secret here, or paste the one that the other system shows."),
        _("Let the other system send its messages to the address below: POST, JSON."),
        _("Say where everything stands in a message, and try it on a sample before you save it."),
    ),
    matching=(
        _("The code at the place that you named."),
        _("No code: the person joined before with the same e-mail address, or is known by the customer’s id."),
    ),
    dashboard_url="",
    docs="https://www.standardwebhooks.com/",
)
