"""What each mail to a participant says, and how it looks: text and HTML in the campaign's colours, with its logo, from one Letter."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from email.mime.image import MIMEImage
from email.utils import formataddr, parseaddr
from functools import lru_cache

import css_inline
from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from campaigns.mails import MailSetting, words_in
from campaigns.models import Campaign
from campaigns.rules import current_terms, main_rule
from campaigns.texts import texts_for
from campaigns.theme import palette
from referrals.hosted.given import Given
from referrals.hosted.offer import referrer_offer

# What one friend does not bring by joining and buying: it takes several, or a place before others.
NOT_FOR_ONE_FRIEND = frozenset({"leaderboard", "milestone"})
LOGO = "logo"
LOGO_LIMIT = 200_000  # bytes; a larger logo stays out of the mail


@dataclass(frozen=True, slots=True)
class Letter:
    """What one mail says: subject, heading, paragraphs, at most one button, the own link if it should be there, last small lines;
    and what the reader is given to use, as (name, text) each in a box of its own.
    """

    subject: str
    heading: str
    paragraphs: list[str]
    button: str
    url: str
    link: str = ""
    small: list[str] = field(default_factory=list)
    given: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Facts:
    """What a notice tells of: the reader's first name, the friend's public one, the amount in words and why it is given, the own link,
    what a week brought; the page of an invitation; further sentences; and what the reader is given to use.
    """

    reader: str = ""
    friend: str = ""
    amount: str = ""
    why: str = ""
    link: str = ""
    opened: int = 0
    joined: int = 0
    page: str = ""
    lines: tuple[str, ...] = ()
    given: Given | None = None


def link_letter(campaign: Campaign, link: str, url: str) -> Letter:
    """The one-time link to the own page; `url` opens it."""
    texts = texts_for(campaign, translation.get_language() or "en")
    return Letter(
        subject=_("Your link and your page at %(merchant)s") % {"merchant": campaign.merchant.name},
        heading=texts.share_header,
        paragraphs=[texts.share_description, _("This is your link. Send it to a friend who would like it:")],
        link=link,
        button=_("Open my page"),
        url=url,
        small=[
            _("The button works once, for ten minutes. For another one, go to %(address)s.")
            % {"address": portal_address(campaign)},
            _("You did not ask for this? Then somebody mistyped their address, and you need do nothing."),
        ],
    )


def confirm_letter(campaign: Campaign, url: str) -> Letter:
    """Asks whether somebody meant to join; `url` says yes."""
    said = {"merchant": campaign.merchant.name}
    return Letter(
        subject=_("Please confirm your address for %(merchant)s") % said,
        heading=_("Do you want to join?"),
        paragraphs=[_("Somebody entered this address on the page of %(merchant)s. If it was you, confirm it:") % said],
        button=_("Confirm my address"),
        url=url,
        small=[
            _("The button works for three days."),
            _("It was not you? Then you need do nothing, and no more mails come."),
        ],
    )


def invitation(campaign: Campaign, facts: Facts) -> Letter:
    """To a customer who does not take part yet: what there is to get, and the own link that waits for them."""
    said = {"merchant": campaign.merchant.name}
    texts = texts_for(campaign, translation.get_language() or "en")
    paragraphs = [texts.share_description, *_for_one_friend(campaign)]
    return Letter(
        subject=_("Your own link for friends of %(merchant)s") % said,
        heading=texts.share_header,
        paragraphs=[*paragraphs, _("This is your link. Send it to a friend who would like it:")],
        link=facts.link,
        button=_("See how it works"),
        url=facts.page,
        small=[
            _("You get this mail once, because you are a customer of %(merchant)s. Nothing happens if you do nothing.")
            % said
        ],
    )


def _for_one_friend(campaign: Campaign) -> list[str]:
    """What a referrer gets for one friend, as a sentence; none where it takes several."""
    rule = main_rule(current_terms(campaign), "referrer")
    if rule is None or rule.trigger in NOT_FOR_ONE_FRIEND:
        return []
    step = referrer_offer(campaign).top
    return [_("You get %(amount)s %(what)s %(when)s.") % {"amount": step.amount, "what": step.what, "when": step.when}]


def notice(campaign: Campaign, kind: str, facts: Facts) -> Letter:
    """The letter of one kind of notice in the active language. KeyError for a kind that does not exist."""
    said = {"amount": facts.amount, "merchant": campaign.merchant.name, "name": facts.friend}
    if kind in TO_FRIENDS:
        return _to_friend(campaign, kind, facts, said)
    subject, heading, paragraphs = {
        "welcome": _welcome,
        "friend_joined": _friend_joined,
        "milestone": _milestone,
        "reward_due": _reward_due,
        "payout_needs_you": _payout_needs_you,
        "reward_issued": _reward_issued,
        "gift": _gift,
        "digest": _digest,
    }[kind](campaign, facts, said)
    why = _("You get this mail because you have a referral link at %(merchant)s.") % said
    link = facts.link if kind == "welcome" else ""
    button, url, given = _("See my page"), portal_address(campaign), given_rows(facts.given)
    if facts.given is not None and facts.given.link:
        button, url = _("Open it"), facts.given.link
    return Letter(subject, heading, paragraphs, button, url, link, [why], given)


Words = tuple[str, str, list[str]]


def _welcome(campaign: Campaign, facts: Facts, said: dict[str, str]) -> Words:
    texts = texts_for(campaign, translation.get_language() or "en")
    text = _("This is your link. Send it to a friend who would like it:")
    return _("Your link at %(merchant)s") % said, texts.share_header, [texts.share_description, text]


def _friend_joined(campaign: Campaign, facts: Facts, said: dict[str, str]) -> Words:
    text = [_("%(name)s came through your link to %(merchant)s.") % said, *_for_one_friend(campaign)]
    title = _("%(name)s joined through your link") % said
    return title, title, text


def _milestone(campaign: Campaign, facts: Facts, said: dict[str, str]) -> Words:
    del campaign
    title = _("You have reached a milestone: %(amount)s") % said
    text = _("So many friends came through your link that you get %(amount)s from %(merchant)s.") % said
    return title, title, [text]


def _reward_due(campaign: Campaign, facts: Facts, said: dict[str, str]) -> Words:
    del campaign
    title = _("%(amount)s has cleared") % said
    return title, title, [facts.why, _("%(merchant)s will send it to you; there is nothing you need to do.") % said]


def _payout_needs_you(campaign: Campaign, facts: Facts, said: dict[str, str]) -> Words:
    del campaign
    title = _("%(amount)s waits for you") % said
    return title, title, list(facts.lines)


def _gift(campaign: Campaign, facts: Facts, said: dict[str, str]) -> Words:
    del campaign
    subject, heading = _("Your reward from %(merchant)s is here") % said, _("%(amount)s is yours") % said
    until = facts.given.until if facts.given is not None else ""
    keep = _("Keep this mail to yourself: whoever has what is in it can use it. It stands on your page, too.")
    return subject, heading, [_("It is good until %(day)s.") % {"day": until}, keep] if until else [keep]


def given_rows(given: Given | None) -> list[tuple[str, str]]:
    """What is given to use, each with its name, as boxes of a letter."""
    if given is None:
        return []
    rows = [(_("Code"), given.code), (_("PIN"), given.pin), (_("Address"), given.shown_url)]
    return [(name, text) for name, text in rows if text]


def _reward_issued(campaign: Campaign, facts: Facts, said: dict[str, str]) -> Words:
    del campaign
    subject, heading = _("%(merchant)s sent you %(amount)s") % said, _("%(amount)s is yours") % said
    return subject, heading, [facts.why, _("%(merchant)s has sent it.") % said]


def _digest(campaign: Campaign, facts: Facts, said: dict[str, str]) -> Words:
    del campaign
    title = _("Your week at %(merchant)s") % said
    opened = ngettext("%(n)d person opened your link.", "%(n)d people opened your link.", facts.opened)
    joined = ngettext("%(n)d friend joined.", "%(n)d friends joined.", facts.joined)
    return title, title, [opened % {"n": facts.opened}, joined % {"n": facts.joined}]


def _invite(said: dict[str, str]) -> tuple[str, str]:
    return _("%(name)s invites you to %(merchant)s") % said, _(
        "%(name)s thought of you, and sends you this link:"
    ) % said


def _reminder(said: dict[str, str]) -> tuple[str, str]:
    return _("%(name)s reminds you of %(merchant)s") % said, _("You have not used this link of %(name)s yet:") % said


TO_FRIENDS = {"invite": _invite, "reminder": _reminder}


def _to_friend(campaign: Campaign, kind: str, facts: Facts, said: dict[str, str]) -> Letter:
    """A mail that a participant pressed for: the offer in the campaign's words, and the sender's link; nothing that the sender wrote."""
    texts = texts_for(campaign, translation.get_language() or "en")
    subject, why = TO_FRIENDS[kind](said)
    small = [
        _("You get this mail because %(name)s entered your address at %(merchant)s.") % said,
        _("You are on no list: besides this mail there are two reminders at most."),
    ]
    words = [texts.reward_description, why]
    return Letter(subject, texts.reward_header, words, _("See the offer"), facts.link, facts.link, small)


def in_merchants_words(letter: Letter, campaign: Campaign, setting: MailSetting, facts: Facts) -> Letter:
    """The letter with the merchant's own subject and first words; {name}, {friend}, {amount} and {merchant} are filled in."""
    words = words_in(setting, translation.get_language() or "en", campaign.default_language)
    known = {
        "{name}": facts.reader,
        "{friend}": facts.friend,
        "{amount}": facts.amount,
        "{merchant}": campaign.merchant.name,
    }

    def filled(text: str) -> str:
        for name, value in known.items():
            text = text.replace(name, value)
        return text

    opening = [filled(line) for line in words.opening.splitlines() if line.strip()]
    subject = filled(words.subject) or letter.subject
    return replace(letter, subject=subject, paragraphs=[*opening, *letter.paragraphs])


def portal_address(campaign: Campaign) -> str:
    """Where a participant asks for a link to their page."""
    return f"{settings.SITE_URL}{reverse('hosted:portal')}?campaign={campaign.public_id}"


def html_of(campaign: Campaign, letter: Letter, *, logo: str = "", stop_url: str = "") -> str:
    """The mail as HTML with inlined styles. `logo` is the address of the picture, "" without one."""
    return _inliner().inline(render_to_string("emails/letter.html", _context(campaign, letter, logo, stop_url)))


def text_of(campaign: Campaign, letter: Letter, *, stop_url: str = "") -> str:
    """The mail as plain text."""
    return render_to_string("emails/letter.txt", _context(campaign, letter, "", stop_url)).strip() + "\n"


def _context(campaign: Campaign, letter: Letter, logo: str, stop_url: str) -> dict[str, object]:
    return {
        "letter": letter,
        "merchant": campaign.merchant,
        "colors": palette(campaign.brand_color),
        "is_test": campaign.is_test,
        "logo": logo,
        "stop_url": stop_url,
    }


def subject_of(campaign: Campaign, letter: Letter) -> str:
    """The subject in one line; test mode says so."""
    subject = " ".join(letter.subject.split())
    return _("[Test] %(subject)s") % {"subject": subject} if campaign.is_test else subject


class _WithPicture(EmailMultiAlternatives):
    """The picture belongs to the text, so that no mail program lists it as an attachment."""

    mixed_subtype = "related"


def compose(campaign: Campaign, to: str, letter: Letter, *, stop_url: str = "") -> EmailMultiAlternatives:
    """The mail, from the merchant's name and our address. The logo travels with it, so that reading it asks nobody for anything.

    `stop_url` is the unsubscribe address of a mail that nobody asked for, with the headers of RFC 8058.
    """
    headers = {}
    if stop_url:
        headers = {"List-Unsubscribe": f"<{stop_url}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}
    picture = campaign.images.filter(kind="logo").first()
    shown = picture is not None and len(picture.content) <= LOGO_LIMIT
    mail = (_WithPicture if shown else EmailMultiAlternatives)(
        subject=subject_of(campaign, letter),
        body=text_of(campaign, letter, stop_url=stop_url),
        from_email=formataddr((" ".join(campaign.merchant.name.split()), parseaddr(settings.DEFAULT_FROM_EMAIL)[1])),
        to=[to],
        headers=headers,
    )
    html = html_of(campaign, letter, logo=f"cid:{LOGO}" if shown else "", stop_url=stop_url)
    mail.attach_alternative(html, "text/html")
    if picture is not None and shown:
        part = MIMEImage(bytes(picture.content), "png")
        part.add_header("Content-ID", f"<{LOGO}>")
        part.add_header("Content-Disposition", "inline", filename="logo.png")
        mail.attach(part)
    return mail


@lru_cache(maxsize=1)
def _inliner() -> css_inline.CSSInliner:
    return css_inline.CSSInliner(keep_style_tags=True, load_remote_stylesheets=False)
