"""Invitations leave: so many a minute for each campaign, each row claimed before its mail is written (docs/invitations.md, ADR 3).

A worker that dies between the claim and the mail loses nothing: the row is due again a few minutes later. One that dies after the
server took the mail and before the row says so sends it again, under the same Message-ID, by which mailboxes know it for the same mail.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.urls import reverse
from django.utils import timezone, translation

from campaigns.mails import mail_setting
from campaigns.models import Campaign
from participants import invites
from participants.links import site_of
from participants.models import Invite, Participant
from referrals.accounts import clocks, limits
from referrals.hosted import letters, orders
from referrals.hosted.letters import Facts
from referrals.hosted.offer import referrer_offer
from referrals.hosted.page import languages_of
from referrals.lib import clock

MINUTE = 60
# Which setting has to be on still when an invitation leaves that nobody ordered by hand.
AUTOMATIC = {"purchase": "after_purchase", "loop": "loop"}


def send_due() -> int:
    """For the schedule, every minute: send what may leave now. How many mails went out.

    A campaign sends at most what its merchant set, all of them together at most settings.MAILS_PER_MINUTE. Paused campaigns wait.
    """
    waiting = Invite.objects.filter(state="queued", next_attempt_at__isnull=False)
    campaigns = Campaign.objects.filter(pk__in=waiting.values("campaign")).select_related("merchant").order_by("pk")
    return sum(_send_of(campaign) for campaign in campaigns)


def _send_of(campaign: Campaign) -> int:
    with clocks.running(campaign.tenant):
        return _send_in_time(campaign)


def _send_in_time(campaign: Campaign) -> int:
    closed = campaign.closed_reason(clock.now())
    if closed == "campaign_ended":
        rows = Invite.objects.filter(campaign=campaign, state="queued")
        rows.update(state="left_out", reason=closed, next_attempt_at=None)
    if closed:
        return 0
    most = invites.settings_of(campaign).per_minute
    sent = 0
    for pk in invites.due(campaign, clock.now(), most):
        if not (
            limits.allow(f"invites:{campaign.pk}", most, MINUTE)
            and limits.allow("invites", settings.MAILS_PER_MINUTE, MINUTE)
        ):
            break
        sent += send(pk)
    return sent


def send(pk: int) -> bool:
    """Try one invitation; whether its mail went out. Nothing when another worker has it."""
    invite = Invite.objects.select_related("campaign__merchant", "merchant").get(pk=pk)
    if not invites.claim(invite, clock.now()):
        return False
    reason = "gave_up" if invite.attempts >= invites.MOST_ATTEMPTS else _why_not(invite)
    if reason:
        invites.settle(invite, "failed" if reason == "gave_up" else "left_out", reason)
        return False
    message = _message(invite)
    outcome, code, text = orders.hand_over(message)
    if outcome == "never":
        invites.refuse(invite.tenant, invite.email_key, "bounced", code=code, text=text)
        invites.settle(invite, "failed", "bounced")
    elif outcome == "sent":
        invites.settle(invite, "sent")
    return outcome == "sent"


def _why_not(invite: Invite) -> str:
    """Why the mail is not sent after all; what was true when the list was looked at may have changed."""
    campaign, key = invite.campaign, invite.email_key
    if invite.is_erased:
        return "erased"
    if reason := invites.unwelcome(invite.tenant, [key]).get(key):
        return reason
    if invite.participant_id or Participant.objects.filter(campaign=campaign, email_key=key).exists():
        return "participant"
    if invite.source in AUTOMATIC and not getattr(invites.settings_of(campaign), AUTOMATIC[invite.source]):
        return "switched_off"
    return "" if mail_setting(campaign, invites.KIND).is_on else "mail_off"


def _message(invite: Invite) -> EmailMultiAlternatives:
    campaign = invite.campaign
    with translation.override(languages_of(campaign)[0]), timezone.override(campaign.merchant.zone):
        facts = Facts(
            invite.name.partition(" ")[0],
            amount=referrer_offer(campaign).top.amount,
            link=invites.link_of(invite),
            page=page_address(invite),
        )
        letter = letters.invitation(campaign, facts)
        letter = letters.in_merchants_words(letter, campaign, mail_setting(campaign, invites.KIND), facts)
        message = letters.compose(campaign, invite.email, letter, stop_url=stop_address(invite))
    message.extra_headers["Message-ID"] = f"<{invite.public_id}@{urlsplit(settings.SITE_URL).hostname}>"
    return message


def page_address(invite: Invite) -> str:
    """The page that the mail's button leads to."""
    return f"{site_of(invite.campaign)}{reverse('hosted:invitation', args=[invites.token_of(invite)])}"


def stop_address(invite: Invite) -> str:
    """Where the person says that they want no invitations: GET asks, POST acts (RFC 8058)."""
    return f"{settings.SITE_URL}{reverse('hosted:invitation_stop', args=[invites.token_of(invite)])}"
