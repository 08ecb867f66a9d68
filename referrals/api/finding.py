"""Looking things up for a tenant: not yours is the same 404 as not existing, and it names the id (RELIABILITY section 6, row 18)."""

from __future__ import annotations

from typing import TypeVar

from django.db.models import Model, QuerySet

from campaigns.models import Campaign
from participants.models import Participant
from participants.services import find_by_email
from referrals.accounts.tenancy import Tenant
from referrals.api.errors import ApiError, not_found

M = TypeVar("M", bound=Model)


def one(rows: QuerySet[M], kind: str, public_id: str) -> M:
    """The row with this public id among rows that are the tenant's already; 404 `<kind>_not_found`."""
    found = rows.filter(public_id=public_id).first() if len(public_id) <= 64 and public_id.isprintable() else None
    if found is None:
        raise not_found(kind, public_id)
    return found


def campaign_of(tenant: Tenant, public_id: str) -> Campaign:
    """The tenant's campaign; 404 `campaign_not_found`."""
    rows = Campaign.objects.for_tenant(tenant).select_related("merchant", "version")
    return one(rows, "campaign", public_id)


def participant_by_email(campaign: Campaign, email: str) -> Participant:
    """The campaign's participant with this address; 404 `participant_not_found`."""
    found = find_by_email(campaign, email)
    if found is None:
        raise ApiError(
            404,
            "participant_not_found",
            f"No participant {email[:80]} in the campaign {campaign.public_id}.",
            details={"email": email[:80], "campaign": campaign.public_id},
        )
    found.campaign = campaign
    return found
