"""A campaign's Links page: where links lead, deep links, UTM parameters, consent, the name in links."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _

from campaigns import services
from campaigns.destinations import destination
from campaigns.models import Campaign
from participants.links import campaign_link, script_tag
from participants.models import Visit
from referrals.web import counts
from referrals.web.access import MerchantRequest, member, own
from referrals.web.campaign_forms import carry_out
from referrals.web.campaigns import campaign_context, hidden_text
from referrals.web.link_forms import LinksForm, links_initial

EXAMPLE = "8Mnu79TD"


@member()
def campaign_links(request: MerchantRequest, public_id: str) -> HttpResponse:
    """Everything about a campaign's links in one form, and what a link leads to as an example."""
    campaign = own(Campaign.objects.select_related("merchant"), request, public_id)
    form = LinksForm(request.POST if request.method == "POST" else None, initial=links_initial(campaign))
    status = carry_out(
        form,
        lambda: services.update_campaign(
            campaign=campaign, actor=request.actor, revision=form.cleaned_data["revision"], **form.changes()
        ),
    )
    if status is None:
        messages.success(request, _("Links saved"))
        return redirect("web:campaign_links", campaign.public_id)
    context: dict[str, Any] = {**campaign_context(request, campaign, "links"), "form": form, **_facts(campaign)}
    return render(request, "web/campaigns/links.html", context, status=status)


def _facts(campaign: Campaign) -> dict[str, Any]:
    """What its links look like, and how many openings count."""
    opened = Visit.objects.filter(campaign=campaign)
    hidden = counts.capped(opened.exclude(hidden_reason=""))
    return {
        "link": campaign_link(campaign),
        "script": script_tag(campaign),
        "leads_to": destination(campaign, EXAMPLE),
        "clicks": counts.words(counts.capped(opened.filter(hidden_reason=""))),
        "hidden": hidden_text(hidden),
    }
