"""What a merchant copies from a campaign's Install page, with the campaign's id, its host and its currency filled in; never a secret."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from django.conf import settings
from django.utils.html import escape

from campaigns.models import Campaign
from integrations import registry
from participants.links import campaign_link, script_tag, site_of, widgets_tag

# In the address: the name on the tab, and how its page shows who is logged in.
LANGUAGES = {
    "python": ("Python", "py", '<div data-referral-widget="referrer" data-identity="{{ referral_identity(user.email) }}"></div>'),
    "node": ("Node.js", "js", '<div data-referral-widget="referrer" data-identity="${referralIdentity(user.email)}"></div>'),
    "php": ("PHP", "php", '<div data-referral-widget="referrer" data-identity="<?= referral_identity($user->email) ?>"></div>'),
    "ruby": ("Ruby", "rb", '<div data-referral-widget="referrer" data-identity="<%= referral_identity(user.email) %>"></div>'),
}  # fmt: skip
_FOLDER = Path(__file__).parent / "snippets"
FORM = """<form action="/sign-up" method="post" data-referral-form>
  <input type="email" name="email"> <input name="firstName"> <input name="lastName">
  ...
</form>"""
CALL = """await Referrals.addParticipant({ email, firstName, lastName });"""
WIDGETS = """<!-- for whoever came through a friend's link -->
<div data-referral-widget="invitee"></div>

<!-- for everybody who wants to invite -->
<div data-referral-widget="referrer"></div>

<!-- once in a page: the pop-up with the discount code, and the tab at the edge -->
<div data-referral-widget="popup"></div>
<div data-referral-widget="tab"></div>"""


@lru_cache(maxsize=4)
def _text(ending: str) -> str:
    return (_FOLDER / f"identity.{ending}.txt").read_text(encoding="utf-8").rstrip("\n")


def identity(campaign: Campaign, language: str) -> str:
    """A function that signs who is logged in, in one of LANGUAGES, with nothing but the language's own library."""
    return _text(LANGUAGES[language][1]).replace("@CAMPAIGN@", campaign.public_id)


def link(campaign: Campaign) -> str:
    """A link for the merchant's own pages and mails."""
    return f'<a href="{escape(campaign_link(campaign))}">Invite your friends</a>'


def tags(campaign: Campaign) -> str:
    """Both scripts, for the head of the pages that show widgets."""
    return f"{script_tag(campaign)}\n{widgets_tag(campaign)}"


def sign_up_call(campaign: Campaign) -> str:
    """Adding somebody from the merchant's server."""
    return f"""curl -X POST "{settings.SITE_URL}/api/v2/participants" \\
  -H "Authorization: Bearer $KEY" \\
  -H "Content-Type: application/json" \\
  -d '{{"campaign": "{campaign.public_id}", "email": "maya@example.net", "referred_by_code": "8Mnu79TD"}}'"""


def payment_call(campaign: Campaign) -> str:
    """Telling of a payment from the merchant's server."""
    amount = f'{{"amount_minor": 5000, "currency": "{campaign.currency}"}}'
    return f"""curl -X POST "{settings.SITE_URL}/api/v2/events" \\
  -H "Authorization: Bearer $KEY" \\
  -H "Content-Type: application/json" \\
  -d '{{"campaign": "{campaign.public_id}", "email": "maya@example.net", "amount": {amount}, "external_id": "order-1042"}}'"""


def _filled(campaign: Campaign, text: str) -> str:
    values = {"@CAMPAIGN@": campaign.public_id, "@HOST@": site_of(campaign), "@LINK@": campaign_link(campaign)}
    for name, value in values.items():
        text = text.replace(name, value)
    return text


def of_providers(campaign: Campaign) -> list[tuple[str, str, list[tuple[str, str, str]]]]:
    """What each company has to be told: its slug and name, and for each snippet an id, what it is for, and the text."""
    return [
        (
            kind.slug,
            str(kind.label),
            [
                (f"{kind.slug}-{number}", str(title), _filled(campaign, text))
                for number, (title, text) in enumerate(kind.snippets)
            ],
        )
        for kind in registry.every()
        if kind.snippets
    ]


def payment_token(campaign: Campaign) -> str:
    """Claims of a token that a thank-you page carries, and the call."""
    return f"""// Signed by your server as JWT with HS256, at most an hour valid:
// {{"aud": "{campaign.public_id}", "exp": 1767225600, "email": "maya@example.net",
//  "amount_minor": 5000, "currency": "{campaign.currency}", "external_id": "order-1042"}}
await Referrals.qualifyParticipant({{ token }});"""
