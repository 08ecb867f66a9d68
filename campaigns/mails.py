"""The kinds of mail that a campaign sends to participants, and what its merchant set for each (issue: "Mail"; docs/mail.md)."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings
from django.core import signing
from django.db import transaction
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

from campaigns.mail_models import CampaignMail
from campaigns.models import Campaign
from referrals.events import types
from referrals.events.services import Actor, Happening, record
from referrals.lib.errors import Refused
from referrals.lib.queue import enqueue

_SALT = "campaigns.mails.preview"
PREVIEW_LIFE = 3600  # seconds
TEST_TASK = "referrals.hosted.mail_preview.send_test"
LENGTHS = {"subject": 120, "opening": 600}


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of mail. `required`: sent because the person asked for it, so nobody can switch it off or unsubscribe from it."""

    name: str
    label: str | Promise
    when: str | Promise
    on: bool = True
    required: bool = False
    # It goes to a friend, because a participant pressed for it: with fixed words, so that nobody writes through us.
    to_friend: bool = False


KINDS = {
    kind.name: kind
    for kind in (
        Kind(
            "link",
            lazy("Link to their page"),
            lazy("At once after joining on your page, and whenever they ask for it. It can't be switched off."),
            required=True,
        ),
        Kind(
            "confirm",
            lazy("Confirm the address"),
            lazy(
                "After the form, when the campaign's join form wants the address confirmed. It can't be switched off."
            ),
            required=True,
        ),
        Kind(
            "welcome",
            lazy("Welcome"),
            lazy("To those who were added by you, by the API or by a purchase, with their own link."),
            on=False,
        ),
        Kind(
            "customer",
            lazy("Invitation to customers"),
            lazy("Once to each customer whom you invite on the page Invitations, with their own link."),
        ),
        Kind("friend_joined", lazy("A friend joined"), lazy("When a friend joins through their link.")),
        Kind("milestone", lazy("Milestone reached"), lazy("When they have brought enough friends for a milestone.")),
        Kind("reward_due", lazy("Reward on its way"), lazy("When a reward has cleared and you are about to send it.")),
        Kind(
            "payout_needs_you",
            lazy("Waiting for you"),
            lazy(
                "When they have to do something before they can be paid, such as to give a payout address; again after a week and a month."
            ),
        ),
        Kind("reward_issued", lazy("Reward sent"), lazy("When you have sent a reward.")),
        Kind(
            "gift",
            lazy("Your reward is here"),
            lazy("With the code or the link of a gift card, a coupon or another reward, as soon as there is one."),
        ),
        Kind(
            "digest",
            lazy("Digest"),
            lazy("On Mondays, to those whose link was opened or whose friends joined in the week before."),
            on=False,
        ),
        Kind(
            "invite",
            lazy("Invitation by a friend"),
            lazy(
                "When a participant enters a friend's address on their page, ten a day at most. They can't write any words."
            ),
            to_friend=True,
        ),
        Kind(
            "reminder",
            lazy("Reminder by a friend"),
            lazy("When a participant reminds a friend whom they invited or who has not ordered yet, twice at most."),
            to_friend=True,
        ),
    )
}


@dataclass(frozen=True, slots=True)
class MailWords:
    """The merchant's own words in one language; "" where ours stand."""

    subject: str = ""
    opening: str = ""


@dataclass(frozen=True, slots=True)
class MailSetting:
    """Whether a kind is sent, and the merchant's words by language."""

    is_on: bool
    words: dict[str, MailWords]


def mail_setting(campaign: Campaign, kind: str) -> MailSetting:
    """What counts for one kind of mail; one query. KeyError for a kind that does not exist."""
    return _setting(KINDS[kind], CampaignMail.objects.filter(campaign=campaign, kind=kind).first())


def kinds_on(campaign: Campaign) -> frozenset[str]:
    """The kinds that the campaign sends; one query."""
    return frozenset(name for name, setting in mail_settings(campaign).items() if setting.is_on)


def mail_settings(campaign: Campaign) -> dict[str, MailSetting]:
    """What counts for every kind, in the order of KINDS; one query."""
    rows = {row.kind: row for row in CampaignMail.objects.filter(campaign=campaign)}
    return {name: _setting(kind, rows.get(name)) for name, kind in KINDS.items()}


def _setting(kind: Kind, row: CampaignMail | None) -> MailSetting:
    if row is None:
        return MailSetting(kind.on, {})
    words = {
        code: MailWords(str(said.get("subject", "")), str(said.get("opening", ""))) for code, said in row.words.items()
    }
    return MailSetting(row.is_on or kind.required, words)


def words_in(setting: MailSetting, language: str, default: str) -> MailWords:
    """The words for a language, each with the campaign's default language as fallback, as its other texts have it."""
    own, other = setting.words.get(language, MailWords()), setting.words.get(default, MailWords())
    return MailWords(own.subject or other.subject, own.opening or other.opening)


def save_mail(
    *, campaign: Campaign, kind: str, is_on: bool, language: str, subject: str, opening: str, actor: Actor
) -> CampaignMail:
    """Set one kind of mail and its words in one language. Refused: `too_long`, `invalid_value` (a subject in several lines)."""
    said = {"subject": subject.strip(), "opening": "\n".join(opening.split("\r\n")).strip()}
    for name, text in said.items():
        if len(text) > LENGTHS[name]:
            message = _("The text is %(length)d characters long; at most %(limit)d fit.")
            raise Refused("too_long", message % {"length": len(text), "limit": LENGTHS[name]}, field=name)
    if not said["subject"].isprintable():
        raise Refused("invalid_value", _("A subject is one line of plain text."), field="subject")
    with transaction.atomic():
        campaign = Campaign.objects.select_for_update(no_key=True).select_related(None).get(pk=campaign.pk)
        row, _made = CampaignMail.objects.get_or_create(campaign=campaign, kind=kind)
        row.is_on = is_on or KINDS[kind].required
        row.words = {code: words for code, words in row.words.items() if code != language}
        if any(said.values()):
            row.words[language] = said
        row.save()
        data = {"fields": ["mails"], "mail": kind, "is_on": row.is_on, "language": language}
        told = Happening(types.CAMPAIGN_CHANGED, "campaign", campaign.public_id, campaign=campaign.public_id, data=data)
        record(campaign.tenant, actor, told)
    return row


def preview_token(campaign: Campaign, kind: str, language: str) -> str:
    """The signed name of a mail to look at in a frame; it works for an hour."""
    return signing.dumps([campaign.public_id, kind, language], salt=_SALT)


def read_preview_token(token: str) -> tuple[str, str, str] | None:
    """The campaign's public id, the kind and the language behind such a name."""
    try:
        public_id, kind, language = signing.loads(token, salt=_SALT, max_age=PREVIEW_LIFE)
    except (signing.BadSignature, ValueError, TypeError):
        return None
    return public_id, kind, language


def ask_for_test(*, campaign: Campaign, kind: str, language: str, user_id: int) -> None:
    """Ask the worker to mail a sample to a member of the team. KeyError or ValueError for a kind or language that does not exist."""
    codes = [code for code, _name in settings.LANGUAGES]
    enqueue(TEST_TASK, campaign.pk, list(KINDS).index(kind), codes.index(language), user_id)
