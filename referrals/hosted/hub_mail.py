"""Sending the mails of the affiliate hub: worker and sweeper only, outside every transaction, tried again for three days (docs/hub.md)."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db.models import F
from django.utils import timezone, translation

from participants import hub_access, mailing
from participants.models import ApplicationMail, HubAccess
from referrals.accounts import clocks
from referrals.hosted import hub_letters
from referrals.hosted.orders import Outcome, hand_over
from referrals.lib import clock

# A log-in that nobody could be mailed for so long is of no use any more.
ACCESS_KEPT = timedelta(hours=1)


def send(pk: int) -> bool:
    """Try one mail to an applicant; whether it went out. The attempt is counted before the work, so a poisoned row can't loop."""
    mail = (
        ApplicationMail.objects.filter(pk=pk, sent_at=None)
        .select_related(
            "application__campaign__merchant", "application__merchant", "application__participant__campaign"
        )
        .first()
    )
    if mail is None or mail.next_attempt_at is None:
        return False
    tries = mail.attempts + 1
    pause = timedelta(minutes=min(2**tries, 720))
    again = clock.wall() + pause if tries < ApplicationMail.MOST_ATTEMPTS else None
    taken = ApplicationMail.objects.filter(pk=pk, attempts=mail.attempts, sent_at=None)
    if taken.update(attempts=F("attempts") + 1, next_attempt_at=again) != 1:
        return False
    outcome = _send_to_applicant(mail)
    if outcome == "never":
        ApplicationMail.objects.filter(pk=pk).update(next_attempt_at=None)
    elif outcome == "sent":
        ApplicationMail.objects.filter(pk=pk).update(sent_at=clock.wall(), next_attempt_at=None)
    return outcome == "sent"


def _send_to_applicant(mail: ApplicationMail) -> Outcome:
    application = mail.application
    if mailing.is_quiet_at(application.tenant, application.email):
        return "never"
    with (
        _speaking(application.language),
        timezone.override(application.merchant.zone),
        clocks.running(application.tenant),
    ):
        letter = hub_letters.application_letter(application, mail.kind)
        if letter is None:
            return "never"
        return hand_over(hub_letters.application_mail(application, letter))[0]


def send_access(pk: int) -> bool:
    """Mail one link to all of somebody's programmes, if it was not sent or used; whether it went out. Its ten minutes start now."""
    access = HubAccess.objects.filter(pk=pk, sent_at=None, used_at=None).first()
    if access is None:
        return False
    with _speaking(access.language):
        mail = hub_letters.access_mail(access.email, hub_access.address_of(access))
        outcome, _code, _text = hand_over(mail)
    now = clock.wall()
    if outcome == "sent":
        HubAccess.objects.filter(pk=pk).update(sent_at=now, created_at=now)
    elif outcome == "never":
        HubAccess.objects.filter(pk=pk).update(used_at=now)
    return outcome == "sent"


def sweep() -> int:
    """What a lost task or a broken mail server left unsent, and refusals whose minute is over. How many mails went out."""
    now, most = clock.wall(), settings.MAILS_PER_MINUTE
    due = ApplicationMail.objects.filter(next_attempt_at__lte=now).order_by("next_attempt_at", "pk")
    sent = sum(send(pk) for pk in due.values_list("pk", flat=True)[:most])
    left = HubAccess.objects.filter(
        sent_at=None, used_at=None, created_at__range=(now - ACCESS_KEPT, now - timedelta(seconds=20))
    )
    return sent + sum(send_access(pk) for pk in left.order_by("pk").values_list("pk", flat=True)[:most])


def _speaking(language: str) -> translation.override:
    return translation.override(language if language in dict(settings.LANGUAGES) else settings.LANGUAGE_CODE)
