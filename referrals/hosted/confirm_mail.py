"""The mail that asks whether somebody meant to join (double opt-in). Sent by the worker; the row of the request is the job."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import urlencode

from django.urls import reverse
from django.utils import timezone, translation

from campaigns.mails import mail_setting
from participants import confirming, mailing
from participants.links import site_of
from participants.models import JoinRequest, Participant
from referrals.accounts import clocks
from referrals.hosted import letters
from referrals.hosted.letters import Facts
from referrals.hosted.orders import Outcome, hand_over
from referrals.hosted.page import languages_of
from referrals.lib import clock

# A worker takes a new request at once; the sweeper looks after what was left behind.
GRACE = timedelta(minutes=2)
RETRY = timedelta(minutes=10)


def confirm_address(row: JoinRequest) -> str:
    """The mailed address: GET shows a button, POST joins."""
    query = urlencode({"t": confirming.confirm_token(row)})
    return f"{site_of(row.campaign)}{reverse('hosted:confirm')}?{query}"


def send(pk: int) -> bool:
    """Mail one question if one is due; whether a mail went out. What a broken mail server does not take is
    tried again, but for an address that it says does not exist.
    """
    row = (
        JoinRequest.objects.filter(pk=pk, confirmed_at=None, mail_due_at__isnull=False)
        .select_related("campaign__merchant", "merchant")
        .first()
    )
    if row is None or row.mail_due_at is None:
        return False
    mine = JoinRequest.objects.filter(pk=pk, mail_due_at=row.mail_due_at)
    if confirming.is_over(row) or _silent(row):
        mine.update(mail_due_at=None)
        return False
    # Taken before the work, so that two workers send one mail.
    again = clock.wall() + RETRY
    if mine.update(mail_due_at=again) != 1:
        return False
    outcome = _send(row)
    if outcome != "later":
        JoinRequest.objects.filter(pk=pk, mail_due_at=again).update(mail_due_at=None)
    return outcome == "sent"


def _silent(row: JoinRequest) -> bool:
    """Test mode writes to the merchant's team only, and nobody writes to an address that bounced."""
    somebody = Participant(
        merchant=row.merchant,
        is_test=row.is_test,
        campaign=row.campaign,
        email=row.email,
        email_key=row.email_key,
    )
    return mailing.is_quiet(somebody) or mailing.bounce_of(somebody) is not None


def _send(row: JoinRequest) -> Outcome:
    campaign = row.campaign
    available = languages_of(campaign)
    language = row.language if row.language in available else available[0]
    zone, time = timezone.override(campaign.merchant.zone), clocks.running(campaign.tenant)
    with translation.override(language), zone, time:
        letter = letters.confirm_letter(campaign, confirm_address(row))
        letter = letters.in_merchants_words(letter, campaign, mail_setting(campaign, "confirm"), Facts(row.first_name))
        mail = letters.compose(campaign, row.email, letter)
    return hand_over(mail)[0]


def sweep(limit: int) -> int:
    """Send what was left behind. How many mails went out."""
    due = JoinRequest.objects.filter(mail_due_at__lte=clock.wall() - GRACE, confirmed_at=None)
    return sum(send(pk) for pk in due.order_by("mail_due_at", "pk").values_list("pk", flat=True)[:limit])
