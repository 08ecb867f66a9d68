"""Applications to the merchant's programmes: lists by state, one with its answers, and what is decided about them (docs/hub.md)."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.core.exceptions import BadRequest
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST

from campaigns.models import Campaign
from participants.models import Application
from referrals.accounts.models import Role
from referrals.accounts.tenancy import Tenant
from referrals.events.models import Event
from referrals.lib.errors import Refused
from referrals.lib.pages import PageError, keyset, render_part, wants_part
from referrals.web.access import MerchantRequest, member, own, refused
from referrals.web.campaign_forms import apply_refusal
from referrals.web.counts import capped, words
from referrals.web.filters import one_of
from referrals.web.timeline import entries_of
from rewards.applications import REASON_LENGTH, approve, decide_many, decline, reconsider

PER_PAGE = 50
CAMPAIGNS_SHOWN = 200
TABS = (Application.WAITING, Application.APPROVED, Application.DECLINED)
DECISIONS = {"approve": approve, "decline": decline}


class DecisionForm(forms.Form):
    """What the applicant is told about the decision."""

    reason = forms.CharField(
        label=lazy("Words for the applicant"),
        required=False,
        max_length=REASON_LENGTH,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=lazy("They stand in the mail, whichever way you decide. Without them the mail just says yes or no."),
    )


@require_http_methods(["GET", "HEAD", "POST"])
@member()
def application_list(request: MerchantRequest) -> HttpResponse:
    """Applications of one state, the newest first; POST approves or declines those that were ticked."""
    status = one_of(request.GET, "status", TABS, Application.WAITING)
    campaign = _campaign(request)
    if request.method == "POST":
        return _decide_many(request, status, campaign)
    return _page(request, status, campaign)


def _campaign(request: MerchantRequest) -> Campaign | None:
    public_id = request.GET.get("campaign", "")
    return own(Campaign.objects.all(), request, public_id) if public_id else None


def _page(request: MerchantRequest, status: str, campaign: Campaign | None) -> HttpResponse:
    return render_part(
        request, "web/applications/list.html", "web/applications/_list.html", _context(request, status, campaign)
    )


def _context(
    request: MerchantRequest, status: str, campaign: Campaign | None, *, first: bool = False
) -> dict[str, Any]:
    """What the list shows; after an action its first page, whatever the address says."""
    mine = Application.objects.for_tenant(request.tenant).filter(status=status)
    if campaign is not None:
        mine = mine.filter(campaign=campaign)
    cursor = "" if first else request.GET.get("after", "")[:400]
    try:
        page = keyset(mine.select_related("campaign", "participant"), sort="-id", cursor=cursor, limit=PER_PAGE)
    except PageError as error:
        raise BadRequest(str(error)) from error
    url = _address(status, campaign)
    return {
        "tabs": _tabs(request.tenant, status, campaign),
        "status": status,
        "label": dict(Application.STATUSES)[status],
        "rows": page.rows,
        "campaign": campaign,
        "campaigns": Campaign.objects.for_tenant(request.tenant)
        .filter(type="affiliate")
        .order_by("-pk")[:CAMPAIGNS_SHOWN],
        "url": url,
        "prev_url": f"{url}&{urlencode({'after': page.previous})}" if page.previous else "",
        "next_url": f"{url}&{urlencode({'after': page.next})}" if page.next else "",
        "may_change": request.membership.may(Role.MANAGER),
    }


def _address(status: str, campaign: Campaign | None) -> str:
    query = {"status": status} | ({"campaign": campaign.public_id} if campaign else {})
    return f"{reverse('web:applications')}?{urlencode(query)}"


def _tabs(tenant: Tenant, current: str, campaign: Campaign | None) -> list[tuple[str, str, str, bool]]:
    """Each list's address, name and size, and whether it is the current one. A query for each of the three."""
    rows = Application.objects.for_tenant(tenant)
    if campaign is not None:
        rows = rows.filter(campaign=campaign)
    return [
        (_address(value, campaign), str(label), words(capped(rows.filter(status=value))), value == current)
        for value, label in Application.STATUSES
        if value in TABS
    ]


def _decide_many(request: MerchantRequest, status: str, campaign: Campaign | None) -> HttpResponse:
    one = request.POST.get("one", "")
    decision = "approve" if one else request.POST.get("decision", "")
    if decision not in DECISIONS:
        raise BadRequest(_("There is no such action."))
    ids = [one] if one else request.POST.getlist("application")[:PER_PAGE]
    try:
        done, left = decide_many(
            tenant=request.tenant,
            public_ids=ids,
            decision=decision,
            actor=request.actor,
            reason=request.POST.get("reason", ""),
        )
    except Refused as error:
        context = _context(request, status, campaign, first=True)
        back = _address(status, campaign)
        return refused(request, error, back=back, part="web/applications/_list.html", context=context)
    text = _done_text(decision, done)
    if left:
        said = ngettext("%(n)d was decided by somebody else", "%(n)d were decided by somebody else", left)
        text = f"{text}. {said % {'n': left}}"
    if wants_part(request):
        context = _context(request, status, campaign, first=True) | {"toast_text": text}
        return render(request, "web/applications/_list.html", context)
    messages.success(request, text)
    return redirect(_address(status, campaign))


def _done_text(decision: str, done: int) -> str:
    text = (
        ngettext("%(n)d application approved", "%(n)d applications approved", done)
        if decision == "approve"
        else ngettext("%(n)d application declined", "%(n)d applications declined", done)
    )
    return text % {"n": done}


@require_http_methods(["GET", "HEAD", "POST"])
@member()
def application_page(request: MerchantRequest, public_id: str) -> HttpResponse:
    """One application with its answers and history; POST decides."""
    row = _own(request, public_id)
    form = DecisionForm(request.POST if request.method == "POST" else None)
    status = 200
    if request.method == "POST":
        status = 422
        decision = request.POST.get("decision", "")
        if decision not in DECISIONS:
            raise BadRequest(_("There is no such action."))
        if form.is_valid():
            try:
                DECISIONS[decision](application=row, actor=request.actor, reason=form.cleaned_data["reason"])
            except Refused as error:
                status = apply_refusal(form, error)
                row = _own(request, public_id)
            else:
                undo = reverse("web:application_reconsider", args=[row.public_id])
                tags = f"undo:{undo}" if decision == "decline" else ""
                messages.success(request, _done_text(decision, 1), extra_tags=tags)
                return redirect("web:application", row.public_id)
    events = Event.objects.for_tenant(request.tenant).filter(subject_id=row.public_id).order_by("-pk")[:20]
    context = {
        "row": row,
        "form": form,
        "tab": row.status,
        "answers": row.answers,
        "back": _address(row.status, None),
        "timeline": entries_of(events),
        "may_change": request.membership.may(Role.MANAGER),
    }
    return render(request, "web/applications/application.html", context, status=status)


@require_POST
@member()
def application_reconsider(request: MerchantRequest, public_id: str) -> HttpResponse:
    """Take a refusal back: the application waits again."""
    row = _own(request, public_id)
    back = reverse("web:application", args=[row.public_id])
    try:
        reconsider(application=row, actor=request.actor)
    except Refused as error:
        return refused(request, error, back=back)
    messages.success(request, _("It waits for your decision again"))
    return redirect(back)


def _own(request: MerchantRequest, public_id: str) -> Application:
    """The tenant's own application; what nobody has confirmed is nobody's business yet."""
    rows = Application.objects.select_related("campaign__merchant", "merchant", "participant")
    found = own(rows, request, public_id)
    if found.status == Application.UNCONFIRMED:
        raise Http404
    return found
