"""Fraud review: the queue, one referral with the two people side by side, and what a person decides about it (UX.md, "Fraud review")."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import BadRequest, ValidationError
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST

from campaigns.models import Campaign
from participants.fraud.models import FraudAction, FraudCase
from participants.fraud.presets import HIGH
from participants.fraud.scoring import level_label
from referrals.accounts.models import Role
from referrals.accounts.tenancy import Tenant
from referrals.events.models import Event
from referrals.lib.errors import Refused
from referrals.lib.pages import Page, PageError, keyset
from referrals.web.access import MerchantRequest, member
from referrals.web.campaign_forms import apply_refusal
from referrals.web.counts import capped, words
from referrals.web.filters import one_of
from referrals.web.fraud_rows import (
    findings_of,
    previews,
    rewards_at_stake,
    rows_of,
    side_by_side,
    stakes_of,
    tone,
    top_signals,
)
from referrals.web.timeline import entries_of
from rewards import fraud_cases

PER_PAGE = 50
_ACTS: dict[str, Callable[..., FraudAction]] = {
    "approve": fraud_cases.approve,
    "hold": fraud_cases.hold,
    "deny": fraud_cases.deny,
    "ban": fraud_cases.ban,
    "trust": fraud_cases.trust,
    "block_domain": fraud_cases.block,
    "block_network": fraud_cases.block,
}


class DecisionForm(forms.Form):
    """What is decided, why, and for a High one that somebody has looked."""

    note = forms.CharField(
        label=lazy("Reason"),
        max_length=fraud_cases.NOTE_LENGTH,
        widget=forms.Textarea(attrs={"rows": 2}),
        error_messages={"required": lazy("Say why, so that it can be explained later.")},
        help_text=lazy("Your team sees it; neither of the two people does."),
    )
    confirmed = forms.BooleanField(label=lazy("I have looked at the reasons of this High rating"), required=False)


@require_http_methods(["GET", "HEAD", "POST"])
@member()
def queue(request: MerchantRequest) -> HttpResponse:
    """Referrals that wait for a decision, the worst first; POST approves the Medium ones that were ticked."""
    status = one_of(request.GET, "status", dict(FraudCase.STATUSES), FraudCase.OPEN)
    problem, answer = "", 200
    if request.method == "POST":
        try:
            return _approve_many(request)
        except Refused as error:
            problem, answer = error.message, error.status
    rows = FraudCase.objects.for_tenant(request.tenant).select_related("participant", "referrer", "campaign")
    mine = rows.filter(status=status)
    try:
        page: Page[FraudCase] = keyset(mine, sort="-rank", cursor=request.GET.get("after", "")[:400], limit=PER_PAGE)
    except (PageError, ValidationError) as error:
        raise BadRequest(_("This page marker is damaged; go back to the first page.")) from error
    url = f"{reverse('web:fraud')}?status={status}"
    context = {
        "tabs": tabs_of(request.tenant, status),
        "status": status,
        "rows": rows_of(page.rows),
        "prev_url": f"{url}&after={page.previous}" if page.previous else "",
        "next_url": f"{url}&after={page.next}" if page.next else "",
        "signals": top_signals(request.tenant),
        "previews": [(dict(Campaign.FRAUD_PRESETS)[row.preset], row) for row in previews(request.tenant)],
        "may_change": request.membership.may(Role.MANAGER),
        "problem": problem,
        # what was typed and ticked before the refusal
        "note": request.POST.get("note", "")[: fraud_cases.NOTE_LENGTH],
        "ticked": request.POST.getlist("case")[:PER_PAGE],
    }
    return render(request, "web/fraud/queue.html", context, status=answer)


def tabs_of(tenant: Tenant, current: str) -> list[tuple[str, str, str, bool]]:
    """The lists of the review: (status, label, how many, whether it is the current one). A query for each of the four."""
    rows = FraudCase.objects.for_tenant(tenant)
    return [
        (value, str(label), words(capped(rows.filter(status=value))), value == current)
        for value, label in FraudCase.STATUSES
    ]


def _approve_many(request: MerchantRequest) -> HttpResponse:
    ids = request.POST.getlist("case")[:PER_PAGE]
    cases = list(
        FraudCase.objects.for_tenant(request.tenant)
        .filter(participant__public_id__in=[text for text in ids if "\x00" not in text])
        .values_list("pk", flat=True)
    )
    if not cases:
        raise Refused("nothing_selected", _("Tick at least one referral."))
    note = request.POST.get("note", "")
    approved, left = fraud_cases.approve_many(tenant=request.tenant, case_ids=cases, actor=request.actor, note=note)
    text = ngettext("%(n)d referral approved", "%(n)d referrals approved", approved) % {"n": approved}
    messages.success(request, text)
    if left:
        said = ngettext(
            "%(n)d was left out: High and unchecked ones are decided one by one.",
            "%(n)d were left out: High and unchecked ones are decided one by one.",
            left,
        )
        messages.info(request, said % {"n": left})
    return redirect("web:fraud")


@require_http_methods(["GET", "HEAD", "POST"])
@member()
def case_page(request: MerchantRequest, public_id: str) -> HttpResponse:
    """One referral: both people side by side, the findings, the time line, what is at stake; POST decides."""
    case = _case(request, public_id)
    form = DecisionForm(request.POST if request.method == "POST" else None)
    status = 200
    if request.method == "POST":
        status = 422
        act = request.POST.get("act", "")
        if act not in _ACTS:
            raise BadRequest(_("There is no such action."))
        if form.is_valid():
            try:
                action = _decide(request, case, act, form.cleaned_data)
            except Refused as error:
                status = apply_refusal(form, error)
            else:
                undo = reverse("web:fraud_undo", args=[case.participant.public_id])
                messages.success(request, action.get_kind_display(), extra_tags=f"undo:{undo}")
                return redirect("web:fraud_case", case.participant.public_id)
    return render(request, "web/fraud/case.html", _context(request, case, form), status=status)


def _decide(request: MerchantRequest, case: FraudCase, act: str, data: dict[str, Any]) -> FraudAction:
    more: dict[str, Any] = {}
    if act == "approve":
        more["confirmed"] = data["confirmed"]
    elif act.startswith("block_"):
        more["kind"] = act.removeprefix("block_")
    return _ACTS[act](case=case, actor=request.actor, note=data["note"], **more)


def _context(request: MerchantRequest, case: FraudCase, form: DecisionForm) -> dict[str, Any]:
    friend = case.participant
    actions = list(FraudAction.objects.filter(case=case).order_by("-pk")[:20])
    events = Event.objects.for_tenant(request.tenant).filter(participant_ref=friend.public_id).order_by("-pk")[:20]
    undecided = case.status in fraud_cases.UNDECIDED
    return {
        "case": case,
        "form": form,
        "level": level_label(case.level),
        "tone": tone(case.level),
        "is_high": case.level == HIGH,
        "findings": findings_of([friend.pk]).get(friend.pk, []),
        "facts": side_by_side(case),
        "stake": stakes_of([friend.pk]).get(friend.pk, []),
        "rewards": rewards_at_stake(case),
        "actions": actions,
        "last": next((action for action in actions if action.undone_at is None), None),
        "timeline": entries_of(events, viewpoint=friend.public_id),
        "domain": fraud_cases.block_value(friend, "domain"),
        "network": fraud_cases.block_value(friend, "network"),
        "undecided": undecided,
        "may_hold": case.status in {FraudCase.OPEN, FraudCase.APPROVED},
        "may_change": request.membership.may(Role.MANAGER),
    }


@require_POST
@member()
def case_undo(request: MerchantRequest, public_id: str) -> HttpResponse:
    """Take the last decision about a referral back."""
    case = _case(request, public_id)
    action = (
        FraudAction.objects.filter(case=case, undone_at=None)
        .select_related("case__participant__campaign", "case__referrer__campaign", "merchant")
        .order_by("-pk")
        .first()
    )
    if action is None:
        messages.error(request, _("There is nothing to undo."))
    else:
        try:
            fraud_cases.undo(action=action, actor=request.actor)
        except Refused as error:
            messages.error(request, error.message)
        else:
            messages.success(request, _("Undone"))
    return redirect("web:fraud_case", case.participant.public_id)


def _case(request: MerchantRequest, public_id: str) -> FraudCase:
    """The tenant's own case of that friend; Http404 for everything else."""
    rows = FraudCase.objects.for_tenant(request.tenant).select_related(
        "participant__campaign",
        "participant__merchant",
        "referrer__campaign",
        "referrer__merchant",
        "campaign",
        "merchant",
    )
    found = rows.filter(participant__public_id=public_id).first() if "\x00" not in public_id else None
    if found is None:
        raise Http404
    return found
