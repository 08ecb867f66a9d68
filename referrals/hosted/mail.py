"""Mails to participants: the link to their page, a friend joined, a reward cleared or was sent. Written and sent by the worker only.

Notices come from the history: a reader walks the Events and makes a Mail row for each that somebody should hear of. Sending happens
outside every transaction; what a broken mail server leaves unsent is tried again by the sweeper.
"""

from __future__ import annotations

import logging
import smtplib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import formataddr, parseaddr
from functools import lru_cache
from typing import Any

import css_inline
from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db import transaction
from django.db.models import F, Max
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from campaigns.models import Campaign
from campaigns.texts import texts_for
from campaigns.theme import palette
from participants import portal
from participants.links import short_link
from participants.models import Participant, PortalLink
from referrals.accounts import clocks
from referrals.events import types
from referrals.events.models import Event
from referrals.hosted.models import Bookmark, Mail
from referrals.hosted.offer import given_text, referrer_offer
from referrals.hosted.page import languages_of, public_name
from rewards.models import Reward, State
from rewards.simulating import SOURCE as SIMULATED

log = logging.getLogger(__name__)
# A transaction that was slow to commit may show its Events later than their neighbours: look back this far each time.
LOOK_BACK = 2000
BATCH = 200
FRIENDS_A_DAY = 10
LINK_KEPT = timedelta(days=1)
NOTICES = {
    types.REFERRAL_CREATED: "friend_joined",
    types.REWARD_DUE: "reward_due",
    types.REWARD_ISSUED: "reward_issued",
}


@dataclass(frozen=True, slots=True)
class Letter:
    """What one mail says: subject, heading, paragraphs, at most one button, the own link if it should be there, a last small line."""

    subject: str
    heading: str
    paragraphs: list[str]
    button: str
    url: str
    link: str = ""
    small: list[str] = field(default_factory=list)


def send_portal_link(pk: int) -> bool:
    """Mail one link to a participant's page, if it was not sent or used; whether a mail went out. Its ten minutes start now."""
    link = (
        PortalLink.objects.filter(pk=pk, sent_at=None, used_at=None)
        .select_related("participant__campaign__merchant")
        .first()
    )
    if link is None:
        return False
    participant = link.participant
    with _speaking_to(participant):
        if not _send(participant, _portal_letter(participant, portal.make_token(link))):
            return False
    now = timezone.now()
    PortalLink.objects.filter(pk=pk).update(sent_at=now, created_at=now)
    return True


def sweep() -> int:
    """Send what waits: links that a lost task or a broken mail server left behind, then notices. How many mails went out."""
    now = timezone.now()
    waiting = PortalLink.objects.filter(
        sent_at=None, used_at=None, created_at__range=(now - LINK_KEPT, now - timedelta(seconds=20))
    )
    sent = sum(send_portal_link(pk) for pk in waiting.order_by("pk").values_list("pk", flat=True)[:BATCH])
    note_history()
    due = Mail.objects.filter(next_attempt_at__lte=timezone.now()).order_by("next_attempt_at", "pk")[:BATCH]
    return sent + sum(send_notice(mail.pk) for mail in due)


def note_history() -> int:
    """Make a Mail row for each new Event that a participant should hear of; how many. Each is made once, however often this runs."""
    newest = Event.objects.aggregate(pk=Max("pk"))["pk"] or 0
    mark, _created = Bookmark.objects.get_or_create(name="mails", defaults={"start": newest, "position": newest})
    if newest <= mark.position:
        return 0
    events = Event.objects.filter(
        pk__gt=max(mark.start, mark.position - LOOK_BACK), pk__lte=newest, type__in=NOTICES
    ).only("type", "subject_id", "participant_ref", "referrer_ref")
    wanted = []
    for event in events.order_by("pk"):
        kind = NOTICES[event.type]
        wanted.append(
            (kind, event.referrer_ref if kind == "friend_joined" else event.participant_ref, event.subject_id)
        )
    with transaction.atomic():
        made = _make(wanted)
        Bookmark.objects.filter(pk=mark.pk, position__lt=newest).update(position=newest)
    return made


def _make(wanted: Iterable[tuple[str, str, str]]) -> int:
    wanted = list(dict.fromkeys(wanted))
    refs = {ref for _kind, ref, _subject in wanted}
    real = Participant.objects.filter(public_id__in=refs, banned_at=None).exclude(source=SIMULATED)
    people = dict(real.values_list("public_id", "pk"))
    rows = [
        Mail(participant_id=people[ref], kind=kind, subject_id=subject)
        for kind, ref, subject in wanted
        if ref in people
    ]
    known = set(
        Mail.objects.filter(subject_id__in={row.subject_id for row in rows}).values_list(
            "participant_id", "kind", "subject_id"
        )
    )
    fresh = [row for row in rows if (row.participant_id, row.kind, row.subject_id) not in known]
    Mail.objects.bulk_create(fresh, ignore_conflicts=True)
    return len(fresh)


def send_notice(pk: int) -> bool:
    """Try one notice; whether a mail went out. The attempt is counted before the work, so a poisoned row can't loop."""
    mail = Mail.objects.filter(pk=pk, sent_at=None).select_related("participant__campaign__merchant").first()
    if mail is None or mail.next_attempt_at is None:
        return False
    tries = mail.attempts + 1
    pause = timedelta(minutes=min(2**tries, 720))
    again = timezone.now() + pause if tries < Mail.MOST_ATTEMPTS else None
    taken = Mail.objects.filter(pk=pk, attempts=mail.attempts, sent_at=None)
    if taken.update(attempts=F("attempts") + 1, next_attempt_at=again) != 1:
        return False
    participant = mail.participant
    with _speaking_to(participant):
        letter = _notice_letter(mail)
        if letter is None:
            Mail.objects.filter(pk=pk).update(next_attempt_at=None)
            return False
        if not _send(participant, letter):
            return False
    Mail.objects.filter(pk=pk).update(sent_at=timezone.now(), next_attempt_at=None)
    return True


class _speaking_to:
    """The participant's language, the merchant's time zone, and the time of their side."""

    def __init__(self, participant: Participant) -> None:
        available = languages_of(participant.campaign)
        self.language = translation.override(
            participant.language if participant.language in available else available[0]
        )
        self.zone = timezone.override(participant.campaign.merchant.zone)
        self.time = clocks.running(participant.campaign.tenant)

    def __enter__(self) -> None:
        self.language.__enter__()
        self.zone.__enter__()
        self.time.__enter__()

    def __exit__(self, *error: Any) -> None:
        self.time.__exit__(*error)
        self.zone.__exit__(*error)
        self.language.__exit__(*error)


def _portal_letter(participant: Participant, token: str) -> Letter:
    campaign = participant.campaign
    merchant = campaign.merchant.name
    texts = texts_for(campaign, translation.get_language() or "en")
    return Letter(
        subject=_("Your link and your page at %(merchant)s") % {"merchant": merchant},
        heading=texts.share_header,
        paragraphs=[texts.share_description, _("This is your link. Send it to a friend who would like it:")],
        link=short_link(participant),
        button=_("Open my page"),
        url=f"{settings.SITE_URL}{reverse('hosted:portal_open', args=[token])}",
        small=[
            _("The button works once, for ten minutes. For another one, go to %(address)s.")
            % {"address": _portal(campaign)},
            _("You did not ask for this? Then somebody mistyped their address, and you need do nothing."),
        ],
    )


def _notice_letter(mail: Mail) -> Letter | None:
    """What a notice says now; None when it is no longer true, so that nobody hears of a reward that was taken back."""
    if mail.participant.is_banned:
        return None
    if mail.kind == "friend_joined":
        return _friend_letter(mail)
    reward = Reward.objects.filter(public_id=mail.subject_id).select_related("event__participant").first()
    if reward is None or reward.state in {State.VOID, State.REVERSED, State.HELD, State.REVIEW}:
        return None
    if mail.kind == "reward_due" and reward.state != State.DUE:
        return None
    if mail.kind == "reward_issued" and reward.state != State.ISSUED:
        return None
    campaign, merchant = mail.participant.campaign, mail.participant.campaign.merchant.name
    facts = {"amount": given_text(reward.worth, reward.kind), "merchant": merchant}
    friend = reward.event.participant
    why = (
        _("It is for inviting %(name)s.") % {"name": public_name(friend) or _("a friend")}
        if reward.side == "referrer"
        else _("It is for joining through a friend.")
        if reward.event.type == "join"
        else _("It is for your order.")
    )
    if mail.kind == "reward_due":
        subject = heading = _("%(amount)s has cleared") % facts
        text = _("%(merchant)s will send it to you; there is nothing you need to do.") % facts
    else:
        subject = _("%(merchant)s sent you %(amount)s") % facts
        heading = _("%(amount)s is yours") % facts
        text = _("%(merchant)s has sent it.") % facts
    return Letter(subject, heading, [why, text], _("See my page"), _portal(campaign), small=[_why_mailed(merchant)])


def _friend_letter(mail: Mail) -> Letter | None:
    friend = Participant.objects.filter(public_id=mail.subject_id).first()
    since = timezone.now() - timedelta(days=1)
    today = Mail.objects.filter(participant=mail.participant, kind="friend_joined", sent_at__gte=since).count()
    if friend is None or today >= FRIENDS_A_DAY:
        return None
    campaign = mail.participant.campaign
    name = public_name(friend) or _("A friend")
    step = referrer_offer(campaign).top
    paragraphs = [
        _("%(name)s came through your link to %(merchant)s.") % {"name": name, "merchant": campaign.merchant.name}
    ]
    if step.when:
        paragraphs.append(
            _("You get %(amount)s %(what)s %(when)s.") % {"amount": step.amount, "what": step.what, "when": step.when}
        )
    title = _("%(name)s joined through your link") % {"name": name}
    return Letter(
        title, title, paragraphs, _("See my page"), _portal(campaign), small=[_why_mailed(campaign.merchant.name)]
    )


def _why_mailed(merchant: str) -> str:
    return _("You get this mail because you have a referral link at %(merchant)s.") % {"merchant": merchant}


def _portal(campaign: Campaign) -> str:
    return f"{settings.SITE_URL}{reverse('hosted:portal')}?campaign={campaign.public_id}"


def _send(participant: Participant, letter: Letter) -> bool:
    """Hand one mail to the mail server; False, and a line in the log, when it does not take it."""
    mail = compose(participant, letter)
    try:
        return mail.send() == 1
    except (OSError, smtplib.SMTPException) as error:
        log.warning("A mail to participant %s was not taken: %s", participant.public_id, type(error).__name__)
        return False


def compose(participant: Participant, letter: Letter) -> EmailMultiAlternatives:
    """The mail as text and HTML, from the merchant's name and our address, in the merchant's colours."""
    campaign = participant.campaign
    colors = palette(campaign.brand_color)
    context = {"letter": letter, "merchant": campaign.merchant, "colors": colors, "is_test": campaign.is_test}
    subject = " ".join(letter.subject.split())
    if campaign.is_test:
        subject = _("[Test] %(subject)s") % {"subject": subject}
    name = " ".join(campaign.merchant.name.split())
    mail = EmailMultiAlternatives(
        subject=subject,
        body=render_to_string("emails/letter.txt", context).strip() + "\n",
        from_email=formataddr((name, parseaddr(settings.DEFAULT_FROM_EMAIL)[1])),
        to=[participant.email],
    )
    mail.attach_alternative(_inliner().inline(render_to_string("emails/letter.html", context)), "text/html")
    return mail


@lru_cache(maxsize=1)
def _inliner() -> css_inline.CSSInliner:
    return css_inline.CSSInliner(keep_style_tags=True, load_remote_stylesheets=False)
