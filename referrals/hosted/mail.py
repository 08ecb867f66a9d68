"""Mails to participants: the link to their page, and notices of what happened. Written and sent by the worker only (docs/mail.md).

Notices come from the history: an Event is written in the transaction of the change, a reader walks the Events and makes one Mail row for
each that somebody should hear of. Sending happens outside every transaction; what a broken mail server leaves unsent is tried again by
the sweeper. A worker that dies after the server took a mail and before the row says so sends that one mail a second time.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F, Max
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from campaigns.mails import KINDS, mail_setting
from campaigns.models import CampaignMail
from participants import inviting, mailing, portal
from participants.links import short_link
from participants.models import Participant, PortalLink
from referrals.accounts import clocks
from referrals.events import types
from referrals.events.models import Event
from referrals.hosted import confirm_mail, digest, letters, orders, reward_mail
from referrals.hosted.letters import Facts, Letter
from referrals.hosted.models import Bookmark, Mail
from referrals.hosted.offer import given_text
from referrals.hosted.orders import Outcome
from referrals.hosted.page import languages_of, public_name
from rewards.models import Reward, State
from rewards.simulating import SOURCE as SIMULATED

log = logging.getLogger(__name__)
# A transaction that was slow to commit may show its Events later than their neighbours: look back this far each time.
LOOK_BACK = 2000
# Of one kind, to one person: what is more stands on their page.
A_DAY = 10
LINK_KEPT = timedelta(days=1)
NOTICES = {
    types.PARTICIPANT_CREATED: "welcome",
    types.REFERRAL_CREATED: "friend_joined",
    types.FRIEND_REMINDED: inviting.REMINDER,
    types.MILESTONE_REACHED: "milestone",
    types.REWARD_DUE: "reward_due",
    types.REWARD_ISSUED: "reward_issued",
}
# In which states of the reward a notice of it is still true.
TRUE_IN = {
    "milestone": {State.REVIEW, State.DUE, State.QUEUED, State.SENDING, State.WAITING, State.ATTENTION, State.ISSUED},
    "reward_due": {State.DUE},
    "reward_issued": {State.ISSUED},
}
ABOUT_PAYOUTS = {reward_mail.WAITING: reward_mail.waiting_facts, reward_mail.GIFT: reward_mail.gift_facts}
# Who joined on the page or in a widget got the link to their own page at once: that is their welcome. A customer whom the merchant's
# server has named to a widget did not ask for anything, and gets no mail.
WELCOMED = frozenset({"hosted", "invite", "widget", SIMULATED})


def send_portal_link(pk: int) -> bool:
    """Mail one link to a participant's page, if it was not sent or used; whether a mail went out. Its ten minutes start now.

    Where no mail may go (test mode, an address that bounced) the link is used up, so that nobody tries again.
    """
    link = (
        PortalLink.objects.filter(pk=pk, sent_at=None, used_at=None)
        .select_related("participant__campaign__merchant", "participant__merchant")
        .first()
    )
    if link is None:
        return False
    participant = link.participant
    if _silent(participant):
        PortalLink.objects.filter(pk=pk, used_at=None).update(used_at=timezone.now())
        return False
    campaign = participant.campaign
    with _speaking_to(participant):
        address = f"{settings.SITE_URL}{reverse('hosted:portal_open', args=[portal.make_token(link)])}"
        letter = letters.link_letter(campaign, short_link(participant), address)
        letter = letters.in_merchants_words(
            letter, campaign, mail_setting(campaign, "link"), Facts(participant.first_name)
        )
        outcome = _send(participant, letter)
    now = timezone.now()
    if outcome == "never":
        PortalLink.objects.filter(pk=pk, used_at=None).update(used_at=now)
    if outcome != "sent":
        return False
    PortalLink.objects.filter(pk=pk).update(sent_at=now, created_at=now)
    return True


def sweep() -> int:
    """Send what waits: links that a lost task or a broken mail server left behind, then notices. How many mails went out.

    At most settings.MAILS_PER_MINUTE of each, as the schedule runs this every minute.
    """
    now, most = timezone.now(), settings.MAILS_PER_MINUTE
    waiting = PortalLink.objects.filter(
        sent_at=None, used_at=None, created_at__range=(now - LINK_KEPT, now - timedelta(seconds=20))
    )
    sent = sum(send_portal_link(pk) for pk in waiting.order_by("pk").values_list("pk", flat=True)[:most])
    sent += confirm_mail.sweep(most)
    note_history()
    note_rewards()
    due = Mail.objects.filter(next_attempt_at__lte=timezone.now()).order_by("next_attempt_at", "pk")[:most]
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


def note_rewards() -> int:
    """Make a Mail row for each thing that was given and for each mail about what waits for somebody; how many."""
    wanted, mark, newest = reward_mail.gifts_to_tell()
    with transaction.atomic():
        made = _make(wanted)
        Bookmark.objects.filter(pk=mark.pk, position__lt=newest).update(position=newest)
    with transaction.atomic():
        return made + _make(reward_mail.waits_to_tell())


def _make(wanted: Iterable[tuple[str, str, str]]) -> int:
    """Rows for (kind, participant, subject) that nobody has heard of, to people who exist, of kinds that their campaign sends."""
    wanted = list(dict.fromkeys(wanted))
    refs = {ref for _kind, ref, _subject in wanted}
    real = Participant.objects.filter(public_id__in=refs, banned_at=None).exclude(source=SIMULATED)
    people = {
        ref: (pk, campaign, source)
        for ref, pk, campaign, source in real.values_list("public_id", "pk", "campaign_id", "source")
    }
    chosen = CampaignMail.objects.filter(campaign__in={campaign for _pk, campaign, _source in people.values()})
    switches = {(campaign, kind): is_on for campaign, kind, is_on in chosen.values_list("campaign_id", "kind", "is_on")}
    rows = []
    for kind, ref, subject in wanted:
        if ref not in people:
            continue
        pk, campaign, source = people[ref]
        if switches.get((campaign, kind), KINDS[kind].on) and not (kind == "welcome" and source in WELCOMED):
            rows.append(Mail(participant_id=pk, kind=kind, subject_id=subject))
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
    mail = (
        Mail.objects.filter(pk=pk, sent_at=None)
        .select_related("participant__campaign__merchant", "participant__merchant")
        .first()
    )
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
        letter = None if _silent(participant) else _letter(mail)
        outcome: Outcome = "never"
        if letter is not None:
            outcome = _send(participant, letter, stop_url=stop_address(participant, mail.kind))
    if outcome == "never":
        Mail.objects.filter(pk=pk).update(next_attempt_at=None)
    if outcome != "sent":
        return False
    Mail.objects.filter(pk=pk).update(sent_at=timezone.now(), next_attempt_at=None)
    return True


def _silent(participant: Participant) -> bool:
    """Whether nothing at all goes to this address: test mode, but for the merchant's own team, and addresses that bounced."""
    return mailing.is_quiet(participant) or mailing.bounce_of(participant) is not None


def stop_address(participant: Participant, kind: str) -> str:
    """Where the person says that they want no more of these mails: GET asks, POST acts (RFC 8058)."""
    return f"{settings.SITE_URL}{reverse('hosted:mail_stop', args=[mailing.stop_token(participant, kind)])}"


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


def _letter(mail: Mail) -> Letter | None:
    """What a notice says now; None when it is no longer true or no longer wanted: nobody hears of a reward that was taken back."""
    participant = mail.participant
    campaign = participant.campaign
    setting = mail_setting(campaign, mail.kind) if mail.kind in KINDS else None
    if setting is None or not setting.is_on or participant.is_banned or not mailing.wants(participant, mail.kind):
        return None
    since = timezone.now() - timedelta(days=1)
    if Mail.objects.filter(participant=participant, kind=mail.kind, sent_at__gte=since).count() >= A_DAY:
        return None
    facts = _facts(mail)
    if facts is None:
        return None
    return letters.in_merchants_words(letters.notice(campaign, mail.kind, facts), campaign, setting, facts)


def _facts(mail: Mail) -> Facts | None:
    reader = mail.participant.first_name
    if mail.kind == "welcome":
        return Facts(reader, link=short_link(mail.participant))
    if mail.kind == "friend_joined":
        friend = Participant.objects.filter(public_id=mail.subject_id).first()
        return None if friend is None else Facts(reader, friend=public_name(friend) or _("A friend"))
    if mail.kind == "digest":
        week = digest.counted(mail.participant, mail.subject_id)
        return Facts(reader, opened=week["opened"], joined=week["joined"]) if week.total() else None
    if mail.kind == inviting.REMINDER:
        referrer = inviting.reminded_by(mail.participant, mail.subject_id)
        return None if referrer is None else orders.friend_facts(referrer, inviting.REMINDER)
    if mail.kind in ABOUT_PAYOUTS:
        return ABOUT_PAYOUTS[mail.kind](mail)
    rows = Reward.objects.filter(public_id=mail.subject_id)
    reward = rows.select_related("event__participant", "participant__campaign", "campaign").first()
    if reward is None or reward.state not in TRUE_IN[mail.kind]:
        return None
    if mail.kind == "reward_issued" and reward_mail.tells_of_gift(reward):
        return None
    name = public_name(reward.event.participant) or _("a friend")
    why = (
        _("It is for inviting %(name)s.") % {"name": name}
        if reward.side == "referrer"
        else _("It is for joining through a friend.")
        if reward.event.type == "join"
        else _("It is for your order.")
    )
    return Facts(reader, friend=name, amount=given_text(reward.worth, reward.kind), why=why)


def _send(participant: Participant, letter: Letter, *, stop_url: str = "") -> Outcome:
    """Hand one mail to the mail server. "later", and a line in the log, when it does not take it now; "never" when the address is dead."""
    outcome, code, text = orders.hand_over(
        letters.compose(participant.campaign, participant.email, letter, stop_url=stop_url)
    )
    if outcome == "never":
        mailing.record_bounce(participant, code, text)
        log.warning("The address of participant %s bounced: %s", participant.public_id, code)
    return outcome
