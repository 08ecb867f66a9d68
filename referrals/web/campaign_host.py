"""A campaign's own host name: set it, see which DNS records it needs, and check whether they are there."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from campaigns import hosts
from campaigns.models import Campaign
from integrations.hosts import Found, look_at
from referrals.accounts import limits
from referrals.accounts.models import Role
from referrals.lib.errors import Refused
from referrals.web.access import MerchantRequest, member, own, refused
from referrals.web.campaign_forms import apply_refusal
from referrals.web.campaigns import campaign_context
from referrals.web.link_forms import HostForm

CHECKS_A_MINUTE = 6


@member()
def campaign_host(request: MerchantRequest, public_id: str) -> HttpResponse:
    """The name, its records and how things stand; POST sets the name, which is unproven at first."""
    campaign = own(Campaign.objects.select_related("merchant"), request, public_id)
    form = HostForm(request.POST if request.method == "POST" else None, initial={"host": campaign.host})
    status = 200
    if request.method == "POST":
        status = 422
        if form.is_valid():
            try:
                changed = hosts.set_host(campaign=campaign, host=form.cleaned_data["host"], actor=request.actor)
            except Refused as error:
                status = apply_refusal(form, error)
            else:
                said = (
                    _("Host name saved. Now set its DNS records.")
                    if changed.host
                    else _("Links are on this site's address")
                )
                messages.success(request, said)
                return redirect("web:campaign_host", campaign.public_id)
    return _page(request, campaign, form, status=status)


@require_POST
@member(role=Role.MANAGER)
def campaign_host_check(request: MerchantRequest, public_id: str) -> HttpResponse:
    """Ask DNS and the name itself; when both are right, links use the name from now on."""
    campaign = own(Campaign.objects.select_related("merchant"), request, public_id)
    back = reverse("web:campaign_host", args=[campaign.public_id])
    if not campaign.host:
        return redirect(back)
    if not limits.allow(f"host-check:{campaign.merchant_id}", CHECKS_A_MINUTE, 60):
        messages.error(request, _("DNS was asked several times just now. Wait a minute, then check again."))
        return redirect(back)
    found = look_at(campaign.host, hosts.proof_of(campaign))
    if not (found.proven and found.leads_here):
        return _page(request, campaign, HostForm(initial={"host": campaign.host}), found=found)
    try:
        hosts.confirm_host(campaign=campaign, host=campaign.host, actor=request.actor)
    except Refused as error:
        return refused(request, error, back=back)
    messages.success(
        request, _("%(host)s is yours and leads here. Links use it from now on.") % {"host": campaign.host}
    )
    return redirect(back)


def _page(
    request: MerchantRequest, campaign: Campaign, form: HostForm, *, found: Found | None = None, status: int = 200
) -> HttpResponse:
    context: dict[str, Any] = {
        **campaign_context(request, campaign, "links"),
        "form": form,
        "records": _records(campaign),
        "checks": _checks(campaign, found),
    }
    return render(request, "web/campaigns/host.html", context, status=status)


def _records(campaign: Campaign) -> list[dict[str, str]]:
    """The two DNS records, as they are typed in at the provider of the name."""
    if not campaign.host:
        return []
    return [
        {
            "id": "txt",
            "type": "TXT",
            "why": _("Proves that the name is yours."),
            "name": f"{hosts.RECORD}.{campaign.host}",
            "value": f"passalong={hosts.proof_of(campaign)}",
        },
        {
            "id": "cname",
            "type": "CNAME",
            "why": _("Leads visitors here."),
            "name": campaign.host,
            "value": hosts.site_host(),
        },
    ]


def _checks(campaign: Campaign, found: Found | None) -> list[dict[str, str]]:
    if not campaign.host:
        return []
    proof, leads = _("The TXT record is there"), _("The name leads here, with a valid certificate")
    if found is None:
        state = "ok" if campaign.link_host else "todo"
        return [{"state": state, "text": text, "facts": ""} for text in (proof, leads)]
    seen = ", ".join(found.records[:3]) or _("none")
    return [
        {
            "state": "ok" if found.proven else "fail",
            "text": proof,
            "facts": ""
            if found.proven
            else _("Found: %(records)s. New records can take an hour to be seen.") % {"records": seen},
        },
        {"state": "ok" if found.leads_here else "fail", "text": leads, "facts": found.problem},
    ]
