"""A campaign's Hub page: whether and how it stands in the affiliate hub, with the public page beside it (docs/hub.md)."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _

from campaigns.listing_models import Listing
from campaigns.listings import listing_of, preview_token, save_listing
from campaigns.models import Campaign, CampaignType, Status
from participants.models import Application
from referrals.lib.errors import Refused
from referrals.web.access import MerchantRequest, member, own
from referrals.web.campaign_forms import apply_refusal
from referrals.web.campaigns import campaign_context
from referrals.web.counts import capped
from referrals.web.hub_forms import ListingForm, QuestionForm, listing_initial, question_forms


@member()
def campaign_hub(request: MerchantRequest, public_id: str) -> HttpResponse:
    """The listing's settings and questions in one form; the page as it was saved last beside it."""
    if not settings.HUB:
        raise Http404
    campaign = own(Campaign.objects.select_related("merchant"), request, public_id)
    listing = listing_of(campaign)
    data = request.POST if request.method == "POST" else None
    form = ListingForm(data, initial=listing_initial(listing))
    rows = question_forms(listing, data)
    status = 200
    if data is not None:
        # every part is asked, so that one round shows everything that is wrong
        if all([form.is_valid(), *(row.is_valid() for row in rows)]):
            try:
                saved = _save(request, campaign, form, rows)
            except Refused as error:
                status = _refusal(form, rows, error)
            else:
                messages.success(request, _said(saved, listing))
                return redirect("web:campaign_hub", campaign.public_id)
        else:
            status = 422
    context: dict[str, Any] = {
        **campaign_context(request, campaign, "hub"),
        "form": form,
        "rows": rows,
        "listing": listing,
        "applications": capped(Application.objects.filter(campaign=campaign, status=Application.WAITING)),
        **_state(campaign, listing),
    }
    return render(request, "web/campaigns/hub.html", context, status=status)


def _save(request: MerchantRequest, campaign: Campaign, form: ListingForm, rows: list[QuestionForm]) -> Listing:
    questions = [question for question in (row.question() for row in rows) if question is not None]
    return save_listing(
        campaign=campaign,
        actor=request.actor,
        revision=form.cleaned_data["revision"],
        questions=questions,
        **form.changes(),
    )


def _refusal(form: ListingForm, rows: list[QuestionForm], error: Refused) -> int:
    """A refusal of a question is said in its row; empty rows were passed over when they were counted."""
    place, _mark, name = error.field.rpartition("-")
    if not place.startswith("question-"):
        return apply_refusal(form, error)
    filled = [row for row in rows if row.question() is not None]
    row = filled[int(place.removeprefix("question-"))]
    row.add_error(name, ValidationError(error.message, code=error.code))
    form.add_error(None, _("Look at the questions."))
    return error.status


def _said(saved: Listing, before: Listing) -> str:
    if saved.is_on and not before.is_on:
        return _("Listed in the affiliate hub")
    if before.is_on and not saved.is_on:
        return _("Taken off the affiliate hub")
    return _("Hub settings saved")


def _state(campaign: Campaign, listing: Listing) -> dict[str, Any]:
    """Where the page is, who sees it now, and why nobody does."""
    if not listing.slug:
        return {"is_affiliate": campaign.type == CampaignType.AFFILIATE}
    path = f"/hub/{listing.slug}/"
    runs = campaign.status == Status.ACTIVE
    return {
        "is_affiliate": campaign.type == CampaignType.AFFILIATE,
        "address": f"{settings.SITE_URL}{path}",
        "preview_url": f"{path}?{urlencode({'preview': preview_token(campaign)})}",
        "runs": runs,
        "shown": listing.is_on and runs and not campaign.is_test,
    }
