"""Who brought them: the order of precedence of PRODUCT.md, "Attribution"."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.utils.translation import gettext as _

from campaigns.models import Campaign
from participants.models import Participant, Visit
from referrals.lib import clock
from referrals.lib.emails import Email, EmailError, parse_email
from referrals.lib.errors import Refused


@dataclass(frozen=True, slots=True)
class Claim:
    """What a join says of who sent it: a code or address given outright, a promotion code, or the cookie of an earlier click."""

    code: str = ""
    promotion_code: str = ""
    email: str = ""
    cookie_code: str = ""
    visitor: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether nobody is named at all."""
        return not (self.code or self.promotion_code or self.email or self.cookie_code)


@dataclass(frozen=True, slots=True)
class Found:
    """The referrer, how we know (Referral.HOW), and the visit that led here if there was one."""

    referrer: Participant
    how: str
    visit_id: int | None = None


def resolve(campaign: Campaign, invitee: Email, claim: Claim) -> Found | None:
    """The referrer whom `claim` names, by precedence: code, promotion code, address, cookie.

    A code or address given outright must be right: Refused `code_not_found` or `referrer_not_found` (404) names it, and
    `self_referral` refuses oneself. The cookie is only a memory: when it does not fit, nobody is found.
    """
    if claim.code:
        referrer = _by_code(campaign, claim.code)
        if referrer is None:
            message = _("No referral code %(code)s in the campaign %(campaign)s.")
            raise Refused(
                "code_not_found", message % {"code": claim.code[:40], "campaign": campaign.public_id},
                field="referredByCode", status=404,
            )  # fmt: skip
        return Found(_not_oneself(referrer, invitee), "code", _visit(referrer, claim.visitor))
    if claim.promotion_code:
        referrer = _by_code(campaign, claim.promotion_code)
        if referrer is not None:
            return Found(_not_oneself(referrer, invitee), "promotion_code")
    if claim.email:
        return Found(_not_oneself(_by_email(campaign, claim.email), invitee), "email")
    if claim.cookie_code:
        referrer = _by_code(campaign, claim.cookie_code)
        if referrer is not None and referrer.identity_key != invitee.identity:
            return Found(referrer, "cookie", _visit(referrer, claim.visitor))
    return None


def _by_code(campaign: Campaign, code: str) -> Participant | None:
    return Participant.objects.filter(campaign=campaign, referral_code=code.strip()[:16]).first()


def _by_email(campaign: Campaign, email: str) -> Participant:
    try:
        key = parse_email(email).key
    except EmailError as error:
        raise Refused("email_invalid", str(error), field="referredByEmail") from error
    referrer = Participant.objects.filter(campaign=campaign, email_key=key).first()
    if referrer is None:
        message = _("No participant %(email)s in the campaign %(campaign)s.")
        raise Refused(
            "referrer_not_found", message % {"email": email[:80], "campaign": campaign.public_id},
            field="referredByEmail", status=404,
        )  # fmt: skip
    return referrer


def _not_oneself(referrer: Participant, invitee: Email) -> Participant:
    if referrer.identity_key == invitee.identity:
        raise Refused(
            "self_referral",
            _("Nobody can refer themselves: this code belongs to the same person."),
            field="referredByCode",
        )
    return referrer


def _visit(referrer: Participant, visitor: str) -> int | None:
    """The visitor's first counted visit on this referrer's link within the campaign's window."""
    if not visitor:
        return None
    since = clock.now() - timedelta(days=referrer.campaign.window_days)
    return (
        Visit.objects.filter(
            visitor=visitor,
            campaign_id=referrer.campaign_id,
            referrer=referrer,
            hidden_reason="",
            occurred_at__gte=since,
        )
        .order_by("occurred_at")
        .values_list("pk", flat=True)
        .first()
    )
