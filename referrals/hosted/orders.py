"""Mails that a press on a page asked for: each is a MailOrder, sent by the worker outside every transaction (docs/mail.md).

As with notices, the attempt is counted before the work, and what a mail server does not take is tried again; a worker that dies between
the server's "taken" and the mark sends that one mail a second time.
"""

from __future__ import annotations

import logging
import smtplib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from django.conf import settings
from django.core.mail import EmailMessage
from django.db.models import F
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from campaigns.mails import mail_setting
from participants import destinations, inviting, mailing
from participants.links import short_link
from participants.models import FriendInvitation, MailOrder, Participant
from referrals.accounts import clocks
from referrals.hosted import letters, payout_mail
from referrals.hosted.letters import Facts, Letter
from referrals.hosted.page import languages_of

log = logging.getLogger(__name__)
KEPT = timedelta(days=30)
Outcome = Literal["sent", "later", "never"]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A mail that may leave now; `bounced` is called when the server says that there is no such mailbox."""

    to: str
    letter: Letter
    stop_url: str
    bounced: Callable[[int, str], None]


def send(pk: int) -> bool:
    """Try one order; whether a mail went out."""
    order = (
        MailOrder.objects.filter(pk=pk, sent_at=None)
        .select_related("participant__campaign__merchant", "participant__merchant")
        .first()
    )
    if order is None or order.next_attempt_at is None:
        return False
    tries = order.attempts + 1
    pause = timedelta(minutes=min(2**tries, 720))
    again = timezone.now() + pause if tries < MailOrder.MOST_ATTEMPTS else None
    taken = MailOrder.objects.filter(pk=pk, attempts=order.attempts, sent_at=None)
    if taken.update(attempts=F("attempts") + 1, next_attempt_at=again) != 1:
        return False
    campaign = order.participant.campaign
    with timezone.override(campaign.merchant.zone), clocks.running(campaign.tenant):
        outcome = _deliver(order)
    if outcome == "sent":
        MailOrder.objects.filter(pk=pk).update(sent_at=timezone.now(), next_attempt_at=None, to="")
    elif outcome == "never" or again is None:
        MailOrder.objects.filter(pk=pk).update(next_attempt_at=None, to="")
    return outcome == "sent"


def sweep() -> int:
    """Send what a lost task or a broken mail server left; how many went out. Old orders are forgotten."""
    now = timezone.now()
    MailOrder.objects.filter(next_attempt_at=None, created_at__lt=now - KEPT).delete()
    waiting = MailOrder.objects.filter(next_attempt_at__lte=now - timedelta(seconds=20))
    keys = waiting.order_by("next_attempt_at", "pk").values_list("pk", flat=True)[: settings.MAILS_PER_MINUTE]
    return sum(send(pk) for pk in keys)


def _deliver(order: MailOrder) -> Outcome:
    with _language_of(order):
        mail = PREPARE[order.kind](order)
        if mail is None:
            return "never"
        message = letters.compose(order.participant.campaign, mail.to, mail.letter, stop_url=mail.stop_url)
        outcome, code, text = hand_over(message)
    if outcome == "never":
        mail.bounced(code, text)
    return outcome


def hand_over(message: EmailMessage) -> tuple[Outcome, int, str]:
    """Give one mail to the mail server: "sent", "later" or "never" (no such mailbox), with what the server said."""
    code, text = 0, ""
    try:
        return ("sent" if message.send() == 1 else "later"), code, text
    except (smtplib.SMTPRecipientsRefused, smtplib.SMTPDataError) as error:
        code, text, at_rcpt = _said(error)
        if mailing.is_hard(code, text, at_rcpt=at_rcpt):
            return "never", code, text
        log.warning("A mail was not taken: %s", code)
    except (OSError, smtplib.SMTPException) as error:
        log.warning("A mail was not taken: %s", type(error).__name__)
    return "later", code, text


def _said(error: smtplib.SMTPRecipientsRefused | smtplib.SMTPDataError) -> tuple[int, str, bool]:
    """What the server answered: code, text, and whether it said it of the recipient."""
    text: bytes | str
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code, text = next(iter(error.recipients.values()), (0, b""))
    else:
        code, text = error.smtp_code, error.smtp_error
    said = text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
    return code, said, isinstance(error, smtplib.SMTPRecipientsRefused)


@contextmanager
def _language_of(order: MailOrder) -> Iterator[None]:
    """Friends are written to in the campaign's language, as nobody knows theirs; participants in their own where the campaign has it."""
    participant = order.participant
    available = languages_of(participant.campaign)
    own = order.kind not in letters.TO_FRIENDS and participant.language in available
    with translation.override(participant.language if own else available[0]):
        yield


# --- to friends ---


def stop_url_of(invitation: FriendInvitation) -> str:
    """Where an invited person says that they want no more of these mails: GET asks, POST acts (RFC 8058)."""
    token = mailing.friend_token(invitation.campaign, invitation.key)
    return f"{settings.SITE_URL}{reverse('hosted:invited_stop', args=[token])}"


def _to_friend(order: MailOrder) -> Prepared | None:
    found = (
        FriendInvitation.objects.filter(public_id=order.subject_id)
        .select_related("campaign__merchant", "participant__campaign__merchant", "merchant")
        .first()
    )
    if found is None or not inviting.may_go(found, order.kind):
        return None
    campaign = found.campaign
    facts = friend_facts(found.participant, order.kind)
    letter = letters.in_merchants_words(
        letters.notice(campaign, order.kind, facts), campaign, mail_setting(campaign, order.kind), facts
    )
    tenant, key = found.tenant, found.key

    def bounced(_code: int, _text: str) -> None:
        inviting.stop_address(tenant, key, bounced=True)

    return Prepared(found.email, letter, stop_url_of(found), bounced)


def friend_facts(sender: Participant, kind: str) -> Facts:
    """What a mail to a friend tells of its sender: a name, if it is one, and their link."""
    return Facts(friend=inviting.plain_name(sender) or _("A friend"), link=f"{short_link(sender)}?via={kind}")


# --- to the participant, or to an address that they entered for payouts ---


def _about_payouts(write: Callable[[MailOrder], Letter | None]) -> Callable[[MailOrder], Prepared | None]:
    def prepare(order: MailOrder) -> Prepared | None:
        participant = order.participant
        if not order.to and mailing.bounce_of(participant) is not None:
            return None
        letter = write(order)
        if letter is None:
            return None

        def bounced(code: int, text: str) -> None:
            if not order.to:
                mailing.record_bounce(participant, code, text)

        return Prepared(order.to or participant.email, letter, "", bounced)

    return prepare


PREPARE: dict[str, Callable[[MailOrder], Prepared | None]] = {
    inviting.INVITE: _to_friend,
    inviting.REMINDER: _to_friend,
    destinations.CONFIRM: _about_payouts(payout_mail.confirm_letter),
    destinations.CHANGED: _about_payouts(payout_mail.changed_letter),
}
