"""Two notices that no Event of the history makes: "waiting for you", with two reminders, and "your reward is here" (docs/mail.md).

Who has to do something before they can be paid gets one mail, another after a week, a third after a month, and never more, whatever
the number of rewards. It begins anew only once something was paid, or another address was confirmed, and something waits again.
What a company gives to use (a code, a link) goes out once; it is opened as the mail is written and stands nowhere else.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Exists, Max, OuterRef, Q
from django.utils import timezone
from django.utils.translation import gettext as _

from campaigns.mails import mail_setting
from participants import mailing
from participants.models import Participant, PayoutDestination
from referrals.events import types
from referrals.events.models import Event
from referrals.hosted.given import opened
from referrals.hosted.letters import Facts
from referrals.hosted.models import Bookmark, Mail, WaitingNotice
from referrals.hosted.offer import given_text, money_text
from referrals.hosted.payout_words import wait_text, waiting_sum
from rewards.models import Payout, PayoutGift, PayoutItem, Reward, State
from rewards.recipients import unclaimed, wait_of

WAITING, GIFT = "payout_needs_you", "gift"
# When the second and the third mail go, counted from the first.
REMINDERS = (timedelta(days=7), timedelta(days=30))
KEPT = timedelta(days=90)
LOOK_BACK = 200
HANDFUL = 500
# (kind of mail, participant's public id, what it tells of)
Wanted = list[tuple[str, str, str]]


def gifts_to_tell() -> tuple[Wanted, Bookmark, int]:
    """What was given since the last time, the bookmark, and where to move it once the mails' rows are there."""
    newest = PayoutGift.objects.aggregate(pk=Max("pk"))["pk"] or 0
    mark, _created = Bookmark.objects.get_or_create(name="gifts", defaults={"start": newest, "position": newest})
    rows = PayoutGift.objects.filter(pk__gt=max(mark.start, mark.position - LOOK_BACK), pk__lte=newest).order_by("pk")
    found = rows.values_list("payout__participant__public_id", "payout__public_id") if newest > mark.position else ()
    return [(GIFT, person, payout) for person, payout in found], mark, newest


def waits_to_tell() -> Wanted:
    """Whom to write to now because something waits for them. Counts each mail as it is wanted; call it in a transaction."""
    _forget_settled()
    _begin()
    now = timezone.now()
    wanted: Wanted = []
    due = WaitingNotice.objects.filter(next_at__lte=now).order_by("next_at", "pk")
    for row in due.select_related("participant__campaign__merchant", "participant__merchant")[:HANDFUL]:
        told, next_at = _step(row)
        moved = WaitingNotice.objects.filter(pk=row.pk, told=row.told, next_at=row.next_at)
        if moved.update(told=told, next_at=next_at) and told > row.told:
            wanted.append((WAITING, row.participant.public_id, f"{row.pk}:{told}"))
    WaitingNotice.objects.filter(since__lt=now - KEPT).exclude(_still_waiting()).delete()
    return wanted


def _step(row: WaitingNotice) -> tuple[int, datetime]:
    """How many mails there are after this step, and when to look again."""
    now = timezone.now()
    if row.told > len(REMINDERS):
        return row.told, row.since + KEPT if now < row.since + KEPT else now + KEPT
    wait = wait_of(row.participant)
    if wait is None or not wait.asks:
        return row.told, now + timedelta(hours=1)
    told = row.told + 1
    return told, row.since + REMINDERS[told - 1] if told <= len(REMINDERS) else row.since + KEPT


def _still_waiting() -> Q:
    waiting = Reward.objects.filter(participant=OuterRef("participant"), state=State.WAITING)
    return Q(Exists(waiting)) | Q(Exists(unclaimed().filter(participant=OuterRef("participant"))))


def _forget_settled() -> None:
    """Who was paid or chose another address since, and for whom nothing waits, is told anew the next time."""
    mine = OuterRef("participant")
    paid = Reward.objects.filter(participant=mine, state=State.ISSUED, issued_at__gt=OuterRef("since"))
    chosen = PayoutDestination.objects.filter(
        participant=mine, confirmed_at__gt=OuterRef("since"), usable_from__lte=timezone.now()
    )
    claimed = Event.objects.filter(
        participant_ref=OuterRef("participant__public_id"), type=types.PAYOUT_CHANGED,
        created_at__gt=OuterRef("since"), data__to="paid",
    )  # fmt: skip
    for settled in (paid, chosen, claimed):
        WaitingNotice.objects.filter(Exists(settled)).exclude(_still_waiting()).delete()


def _begin() -> None:
    untold = Participant.objects.filter(waiting_notice=None, banned_at=None, erased_at=None)
    waiting = Reward.objects.filter(state=State.WAITING)
    fresh = {
        pk
        for rows in (
            untold.filter(pk__in=waiting.values("participant")),
            untold.filter(pk__in=unclaimed().values("participant")),
        )
        for pk in rows.order_by("pk").values_list("pk", flat=True)[:HANDFUL]
    }
    WaitingNotice.objects.bulk_create([WaitingNotice(participant_id=pk) for pk in sorted(fresh)], ignore_conflicts=True)


def waiting_facts(mail: Mail) -> Facts | None:
    """What a mail about waiting tells; None when nothing is asked of the person any more."""
    wait = wait_of(mail.participant)
    if wait is None or not wait.asks:
        return None
    lines = wait_text(mail.participant, wait)
    if wait.at_home:
        lines.append(_("You can do that on your own page."))
    number = mail.subject_id.rpartition(":")[2]
    if number == str(len(REMINDERS) + 1):
        lines.append(_("This is the last mail about it. It keeps waiting for you."))
    return Facts(mail.participant.first_name, amount=waiting_sum(wait), lines=tuple(lines))


def gift_facts(mail: Mail) -> Facts | None:
    """What was given, opened; None when it is not theirs any more. A row that was tampered with is left out, and logged."""
    payout = Payout.objects.filter(public_id=mail.subject_id, status__in=Payout.GONE).select_related("gift").first()
    given = opened([payout]).get(payout.pk) if payout is not None else None
    if payout is None or given is None:
        return None
    return Facts(mail.participant.first_name, amount=amount_of(payout), given=given)


def amount_of(payout: Payout) -> str:
    """What a payout gave: "$25 gift card"; of several kinds, or netted, the sum alone."""
    items = list(PayoutItem.objects.filter(payout=payout).order_by("pk").select_related("reward"))
    kinds = {item.reward.kind for item in items}
    if len(items) == 1 and items[0].reward.units is not None:
        return given_text(items[0].reward.worth, items[0].reward.kind)
    return given_text(payout.amount, kinds.pop()) if len(kinds) == 1 else money_text(payout.amount)


def tells_of_gift(reward: Reward) -> bool:
    """Whether the mail with the code or link goes to this reward's owner, so that another one would say it twice."""
    if reward.payout_id is None or not PayoutGift.objects.filter(payout=reward.payout_id).exists():
        return False
    return mail_setting(reward.campaign, GIFT).is_on and mailing.wants(reward.participant, GIFT)
