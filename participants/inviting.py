"""Inviting friends by mail, and reminding them: fixed words, ten a day, nobody twice, nobody who said no (RELIABILITY section 8).

What the participant sees never tells whether an address is known: an invitation that is not sent, because its reader wants none, has
joined or was invited by somebody else, looks like every other one. Whether it goes is asked when the mail is about to leave.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db import IntegrityError, transaction
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from campaigns.mails import mail_setting
from participants import invites
from participants.friend_models import A_DAY, MOST_REMINDERS, FriendInvitation, FriendReminder
from participants.friends import friends_of
from participants.invite_models import NoInvite
from participants.mail_models import MailOrder, MailStop
from participants.models import Participant, QualifyingEvent, Referral
from participants.services import closed_message, lock_person, participant_happening
from referrals.accounts.tenancy import Tenant
from referrals.events import types
from referrals.events.services import Actor, Happening, record
from referrals.lib import clock
from referrals.lib.days import day_text
from referrals.lib.emails import Email, EmailError, parse_email
from referrals.lib.errors import Refused
from referrals.lib.queue import enqueue

INVITE, REMINDER = "invite", "reminder"
ORDER_TASK = "referrals.hosted.orders.send"
# How long the sender waits before reminding a friend, and before doing it again.
WAIT = timedelta(days=7)
# An address that led to nobody is forgotten after this long; its fingerprint stays.
KEPT = timedelta(days=90)
_SPLIT = re.compile(r"[\s,;]+")


@dataclass(frozen=True, slots=True)
class Remind:
    """Whether a friend can be reminded now; `on` is when it becomes possible, None where it never does."""

    now: bool
    on: datetime | None


def address_key(tenant: Tenant, email: Email) -> str:
    """The fingerprint of a mailbox at one side of one merchant; tags after a + don't make another one."""
    return invites.fingerprint(tenant, email.identity)


def plain_name(participant: Participant) -> str:
    """The name that a mail to a stranger may carry: "Asha V."; "" for what looks like anything but a name.

    A first name is typed by its owner, so it could be an address of a web site or an advertisement (RELIABILITY section 8, "Email").
    """
    first, last = participant.first_name.strip(), participant.last_name.strip()
    if not first or len(first) > 40 or len(first.split()) > 3 or not all(_is_of_a_name(char) for char in first):
        return ""
    return f"{first} {last[0]}." if last and last[0].isalpha() else first


def _is_of_a_name(char: str) -> bool:
    return unicodedata.category(char)[0] in "LM" or char in " -'’"


def left_today(participant: Participant) -> int:
    """How many more friends the person can invite today. One query."""
    taken = FriendInvitation.objects.filter(participant=participant, day=_today(participant)).count()
    return A_DAY - taken


def split_addresses(text: str) -> list[str]:
    """Addresses out of what was typed: by lines, blanks, commas or semicolons."""
    return [part for part in _SPLIT.split(text[:5000]) if part]


def invite(*, participant: Participant, emails: Sequence[str], consent: bool, actor: Actor) -> list[FriendInvitation]:
    """Invite several friends, all or none. `consent`: the sender said that they know them and may pass the addresses on.

    Refused: campaign_not_started, campaign_paused, campaign_ended, referrer_banned, mails_off, blank, email_invalid, consent_required,
    own_address, already_invited, invitation_limit. Addresses that stand twice count once.
    """
    _check_open(participant, INVITE)
    found = _read(participant, emails)
    if not consent:
        message = _("Tick that these people know you and are happy to get this mail.")
        raise Refused("consent_required", message, field="consent")
    keys: dict[str, Email] = {}
    for email in found:
        keys.setdefault(address_key(participant.tenant, email), email)
    with transaction.atomic():
        person = lock_person(participant.pk)
        _check_open(person, INVITE)
        slots = _free_slots(person)
        if len(keys) > len(slots):
            raise _limit(person, len(slots))
        rows = [
            FriendInvitation(
                merchant_id=person.merchant_id, is_test=person.is_test, campaign=person.campaign, participant=person,
                email=email.address, email_key=email.key, key=key, day=_today(person), slot=slot,
            )
            for (key, email), slot in zip(keys.items(), slots, strict=False)
        ]  # fmt: skip
        try:
            with transaction.atomic():
                FriendInvitation.objects.bulk_create(rows)
        except IntegrityError as error:
            raise _invited_before(person, keys) from error
        _order(person, INVITE, rows)
        data = {"count": len(rows)}
        record(person.tenant, actor, participant_happening(types.FRIEND_INVITED, person, data))
    return rows


def _read(participant: Participant, emails: Sequence[str]) -> list[Email]:
    if not emails:
        raise Refused("blank", _("Enter the e-mail address of at least one friend."), field="emails")
    if len(emails) > 5 * A_DAY:
        raise _limit(participant, left_today(participant))
    found = []
    for text in emails:
        try:
            email = parse_email(text)
        except EmailError as error:
            message = _("“%(text)s” is no e-mail address. Correct it, or take it out.") % {"text": text[:80]}
            raise Refused("email_invalid", message, field="emails") from error
        if email.identity == participant.identity_key:
            message = _("%(email)s is your own address. Take it out.") % {"email": email.address}
            raise Refused("own_address", message, field="emails")
        found.append(email)
    return found


def _check_open(participant: Participant, kind: str) -> None:
    """Refuse where nobody may be written to now; the state of the campaign goes first."""
    campaign = participant.campaign
    closed = campaign.closed_reason(clock.now())
    if closed:
        raise Refused(closed, closed_message(campaign, closed))
    if participant.is_banned:
        raise Refused("referrer_banned", _("Your account can't invite friends now."))
    if not mail_setting(campaign, kind).is_on:
        raise Refused("mails_off", _("%(merchant)s does not send these mails.") % {"merchant": campaign.merchant.name})


def _free_slots(person: Participant) -> list[int]:
    taken = FriendInvitation.objects.filter(participant=person, day=_today(person)).values_list("slot", flat=True)
    return sorted(set(range(1, A_DAY + 1)) - set(taken))


def _today(participant: Participant) -> date:
    return clock.now().astimezone(participant.campaign.merchant.zone).date()


def _limit(person: Participant, left: int) -> Refused:
    message = _("You can invite 10 friends a day. There is room for %(n)d more today; the others can follow tomorrow.")
    if not left:
        message = _("You have invited 10 friends today, which is the most for a day. Go on tomorrow.")
    return Refused("invitation_limit", message % {"n": left}, field="emails", status=429, details={"left": left})


def _invited_before(person: Participant, keys: dict[str, Email]) -> Refused:
    """Only of one's own invitations it is said that they exist."""
    rows = FriendInvitation.objects.filter(participant=person, key__in=keys).order_by("pk")
    named = ", ".join(keys[row.key].address for row in rows)
    message = _("You have invited %(emails)s before. Nobody is invited twice; take it out.") % {"emails": named}
    return Refused("already_invited", message, field="emails", status=409)


def _order(person: Participant, kind: str, rows: Collection[FriendInvitation]) -> None:
    orders = [MailOrder(participant=person, kind=kind, subject_id=row.public_id, to=row.email) for row in rows]
    for order in MailOrder.objects.bulk_create(orders):
        enqueue(ORDER_TASK, order.pk)


# --- whether an invitation goes ---


def may_go(invitation: FriendInvitation, kind: str) -> bool:
    """Whether the mail may leave now; an invitation that may is marked, so that no second one reaches the mailbox from this campaign."""
    sender, tenant = invitation.participant, invitation.tenant
    try:
        _check_open(sender, kind)
    except Refused:
        return False
    if not invitation.email or invites.unwelcome(tenant, [invitation.email_key]):
        return False
    same = Participant.objects.for_tenant(tenant).filter(email_key=invitation.email_key)
    if same.filter(campaign=invitation.campaign_id).exists():
        return False
    if MailStop.objects.filter(participant__in=same, kind__in=[INVITE, kind]).exists():
        return False
    if kind == REMINDER or invitation.mailed:
        return invitation.mailed
    try:
        with transaction.atomic():
            return FriendInvitation.objects.filter(pk=invitation.pk).update(mailed=True) == 1
    except IntegrityError:
        return False


def stop_address(tenant: Tenant, key: str, *, bounced: bool = False) -> None:
    """No friend has this mailbox written to again, nor the merchant as an invitation, in any campaign of this side."""
    row = NoInvite(
        merchant=tenant.merchant, is_test=tenant.is_test, key=key, reason="bounced" if bounced else "stopped"
    )
    NoInvite.objects.bulk_create([row], ignore_conflicts=True)


def is_stopped(tenant: Tenant, key: str) -> bool:
    """Whether the owner of the mailbox said that they want no invitations."""
    return NoInvite.objects.for_tenant(tenant).filter(key=key, reason="stopped").exists()


def allow_address(tenant: Tenant, key: str) -> None:
    """The owner of a mailbox takes it back."""
    NoInvite.objects.for_tenant(tenant).filter(key=key, reason="stopped").delete()


def forget() -> int:
    """For the schedule: addresses that were invited 90 days ago are forgotten. How many."""
    old = FriendInvitation.objects.filter(invited_at__lt=clock.wall() - KEPT).exclude(email="")
    return old.update(email="", email_key="")


# --- reminding ---


def waiting_invitations(participant: Participant, *, limit: int = 50) -> list[FriendInvitation]:
    """Whom the person invited and who has not joined through them, newest first. One query."""
    joined = Referral.objects.filter(friends_of(participant)).values("invitee__email_key")
    rows = FriendInvitation.objects.filter(participant=participant).exclude(email="").exclude(email_key__in=joined)
    return list(rows.order_by("-pk")[:limit])


def invitation_reminder(invitation: FriendInvitation) -> Remind:
    """When an invited friend can be reminded."""
    return _when(invitation.reminders, invitation.reminded_at or invitation.invited_at)


def friend_reminders(participant: Participant, referrals: Sequence[Referral]) -> dict[int, Remind]:
    """Of these friends, who has not bought anything and so can be reminded, now or later; by the referral's key. Two queries."""
    people = [referral.invitee_id for referral in referrals]
    bought = set(
        QualifyingEvent.objects.filter(participant__in=people)
        .exclude(type="join")
        .values_list("participant", flat=True)
    )
    quiet = {referral.pk: referral for referral in referrals if referral.invitee_id not in bought}
    said: dict[int, list[datetime]] = {}
    rows = FriendReminder.objects.filter(referral__in=quiet).order_by("referral_id", "number")
    for key, at in rows.values_list("referral_id", "at"):
        said.setdefault(key, []).append(at)
    return {
        key: _when(len(said.get(key, [])), said[key][-1] if key in said else referral.created_at)
        for key, referral in quiet.items()
        if not referral.split_by and referral.referrer_id == participant.pk
    }


def _when(count: int, last: datetime) -> Remind:
    if count >= MOST_REMINDERS:
        return Remind(False, None)
    return Remind(clock.now() >= last + WAIT, last + WAIT)


def remind_invited(*, participant: Participant, public_id: str, actor: Actor) -> FriendInvitation:
    """Send the invitation once more. Refused as invite(), friend_not_found, reminder_too_soon, reminder_limit, friend_joined."""
    _check_open(participant, REMINDER)
    with transaction.atomic():
        person = lock_person(participant.pk)
        row = FriendInvitation.objects.filter(participant=person, public_id=public_id).exclude(email="").first()
        if row is None:
            raise _nobody()
        if Referral.objects.filter(friends_of(person), invitee__email_key=row.email_key).exists():
            raise Refused("friend_joined", _("They have joined; there is nothing to remind them of."), status=409)
        _check_time(person, invitation_reminder(row))
        now = clock.now()
        same = FriendInvitation.objects.filter(pk=row.pk, reminders=row.reminders)
        if same.update(reminders=row.reminders + 1, reminded_at=now) != 1:
            raise _too_soon(person, now + WAIT)
        _order(person, REMINDER, [row])
        record(person.tenant, actor, participant_happening(types.FRIEND_INVITED, person, {"count": 1, "again": True}))
    row.refresh_from_db()
    return row


def remind_friend(*, participant: Participant, public_id: str, actor: Actor) -> FriendReminder:
    """Remind a friend who joined and has not bought. Refused as remind_invited(), and friend_bought."""
    _check_open(participant, REMINDER)
    with transaction.atomic():
        person = lock_person(participant.pk)
        referral = (
            Referral.objects.filter(standing_for__public_id=public_id, referrer=person, split_by="")
            .select_related("invitee")
            .first()
        )
        if referral is None:
            raise _nobody()
        found = friend_reminders(person, [referral]).get(referral.pk)
        if found is None:
            raise Refused("friend_bought", _("They have ordered; there is nothing to remind them of."), status=409)
        _check_time(person, found)
        count = FriendReminder.objects.filter(referral=referral).count()
        try:
            with transaction.atomic():
                row = FriendReminder.objects.create(referral=referral, number=count + 1)
        except IntegrityError as error:
            raise _too_soon(person, clock.now() + WAIT) from error
        told = Happening(
            types.FRIEND_REMINDED,
            "reminder",
            row.public_id,
            campaign=person.campaign.public_id,
            participant=referral.invitee.public_id,
            referrer=person.public_id,
        )
        record(person.tenant, actor, told)
    return row


def reminded_by(friend: Participant, public_id: str) -> Participant | None:
    """Who reminded this friend, while that still makes sense: nobody once they bought, or when the referrer or campaign is out."""
    row = (
        FriendReminder.objects.filter(public_id=public_id, referral__standing_for=friend)
        .select_related("referral__referrer__campaign__merchant")
        .first()
    )
    if row is None or row.referral_id not in friend_reminders(row.referral.referrer, [row.referral]):
        return None
    try:
        _check_open(row.referral.referrer, REMINDER)
    except Refused:
        return None
    return row.referral.referrer


def _check_time(person: Participant, found: Remind) -> None:
    if found.on is None:
        message = _("You have reminded them twice, which is the most.")
        raise Refused("reminder_limit", message, status=409)
    if not found.now:
        raise _too_soon(person, found.on)


def _too_soon(person: Participant, on: datetime) -> Refused:
    with timezone.override(person.campaign.merchant.zone):
        day = day_text(on, translation.get_language() or "en")
    message = _("You can remind them from %(day)s on.") % {"day": day}
    return Refused("reminder_too_soon", message, status=429, details={"possible_from": on.isoformat()})


def _nobody() -> Refused:
    return Refused("friend_not_found", _("There is no such friend among those whom you invited."), status=404)
