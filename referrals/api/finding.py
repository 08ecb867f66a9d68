"""Looking things up for a tenant: not yours is the same 404 as not existing, and it names the id (RELIABILITY section 6, row 18)."""

from __future__ import annotations

from typing import TypeVar

from django.db.models import BooleanField, Model, QuerySet, TextField

from campaigns.models import Campaign
from participants.models import Participant
from referrals.accounts.tenancy import Tenant
from referrals.api.errors import ApiError, not_found
from referrals.lib.emails import parse_email
from referrals.lib.prepared import Prepared, Slot

M = TypeVar("M", bound=Model)


def one(rows: QuerySet[M], kind: str, public_id: str) -> M:
    """The row with this public id among rows that are the tenant's already; 404 `<kind>_not_found`."""
    found = rows.filter(public_id=_plain(public_id)).first()
    if found is None:
        raise not_found(kind, public_id)
    return found


def _plain(public_id: str) -> str:
    """The id, or "", which nothing has, for what can't be one."""
    return public_id if len(public_id) <= 64 and public_id.isprintable() else ""


_CAMPAIGN = Prepared(
    lambda: Campaign.objects.select_related("version").filter(
        merchant=Slot("merchant"), is_test=Slot("is_test", BooleanField()), public_id=Slot("public_id", TextField())
    )
)


def campaign_of(tenant: Tenant, public_id: str) -> Campaign:
    """The tenant's campaign; 404 `campaign_not_found`."""
    found = _CAMPAIGN.first(merchant=tenant.merchant.pk, is_test=tenant.is_test, public_id=_plain(public_id))
    if found is None:
        raise not_found("campaign", public_id)
    found.merchant = tenant.merchant
    return found


_ENROLLED = Prepared(
    lambda: Participant.objects.select_related("campaign", "referral__referrer").filter(
        merchant=Slot("merchant"),
        is_test=Slot("is_test", BooleanField()),
        campaign__public_id=Slot("campaign", TextField()),
        email_key=Slot("email", TextField()),
    )
)


def enrolled(tenant: Tenant, campaign_id: str, email: str) -> Participant:
    """The participant of the tenant's campaign with this (checked) address, in one query; 404 names what is missing."""
    asked = {"merchant": tenant.merchant.pk, "is_test": tenant.is_test, "campaign": campaign_id}
    found = _ENROLLED.first(**asked, email=parse_email(email).key)
    if found is None:
        campaign = campaign_of(tenant, campaign_id)
        raise ApiError(
            404,
            "participant_not_found",
            f"No participant {email[:80]} in the campaign {campaign.public_id}.",
            details={"email": email[:80], "campaign": campaign.public_id},
        )
    found.merchant = found.campaign.merchant = tenant.merchant
    return found


def referrer_of(participant: Participant) -> Participant | None:
    """Who invited them; read without a query when enrolled() found them."""
    referral = getattr(participant, "referral", None)
    return referral.referrer if referral is not None and referral.detached_at is None else None
