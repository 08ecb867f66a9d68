"""Settings: the merchant's own system is asked before a payout leaves (docs/payouts.md, "Your own word before money leaves")."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy
from django.views.decorators.http import require_POST, require_safe

from integrations import endpoints, veto
from referrals.accounts.models import Role
from referrals.lib.codes import random_text
from referrals.lib.errors import Refused
from referrals.lib.sealed import SealError
from referrals.web.access import MerchantRequest, fresh_login, member
from referrals.web.campaign_forms import apply_refusal
from rewards.models import PayoutVeto, VetoEndpoint


class VetoForm(forms.Form):
    """Where to ask."""

    url = forms.CharField(
        label=lazy("Address"),
        max_length=2000,
        help_text=lazy(
            "Such as https://api.example.com/may-pay. Each payout is asked about there, once, before it leaves."
        ),
        widget=forms.URLInput(attrs={"autocomplete": "off"}),
    )


def _page(request: MerchantRequest, *, form: VetoForm | None = None, status: int = 200, **more: Any) -> HttpResponse:
    row = VetoEndpoint.objects.for_tenant(request.tenant).first()
    asked = PayoutVeto.objects.filter(payout__merchant=request.tenant.merchant, payout__is_test=request.tenant.is_test)
    may_change = request.membership.may(Role.ADMIN)
    form = form or VetoForm(initial={"url": row.url if row else ""})
    form.fields["url"].disabled = not may_change
    context = {
        "row": row,
        "form": form,
        "may_change": may_change,
        "waiting": asked.filter(answer="").order_by("created_at").select_related("payout__participant")[:20],
        "refused": asked.filter(answer="refused").order_by("-pk").select_related("payout__participant")[:10],
        **more,
    }
    return render(request, "web/payouts/veto.html", context, status=status)


@require_safe
@member()
def payout_veto(request: MerchantRequest) -> HttpResponse:
    """Whether a system of their own is asked, what waits for its answer, and what it refused last. Viewers read it."""
    return _page(request)


@require_POST
@member(role=Role.ADMIN)
@fresh_login
def payout_veto_save(request: MerchantRequest) -> HttpResponse:
    """Ask this address from now on; the secret is shown when it is made."""
    form = VetoForm(request.POST)
    if not form.is_valid():
        return _page(request, form=form, status=422)
    try:
        endpoints.refuse_private(form.cleaned_data["url"], request.tenant)
        _row, secret = veto.set_up(tenant=request.tenant, actor=request.actor, url=form.cleaned_data["url"])
    except Refused as error:
        return _page(request, form=form, status=apply_refusal(form, error))
    if secret:
        return _page(request, secret=secret)
    messages.success(request, _("Payouts are asked about at this address from now on."))
    return redirect("web:payout_veto")


@require_POST
@member(role=Role.ADMIN)
@fresh_login
def payout_veto_rotate(request: MerchantRequest) -> HttpResponse:
    """A new secret, shown this once."""
    return _page(request, secret=veto.rotate(tenant=request.tenant, actor=request.actor))


@require_POST
@member(role=Role.ADMIN)
@fresh_login
def payout_veto_off(request: MerchantRequest) -> HttpResponse:
    """Ask nobody any more."""
    if veto.switch_off(tenant=request.tenant, actor=request.actor):
        messages.success(request, _("Nobody is asked any more. What waited for an answer leaves."))
    return redirect("web:payout_veto")


@require_POST
@member(role=Role.ADMIN)
def payout_veto_try(request: MerchantRequest) -> HttpResponse:
    """Ask about a made-up payout, and show what the system answers. Nothing is paid, whatever it says."""
    row = VetoEndpoint.objects.for_tenant(request.tenant).first()
    if row is None:
        return redirect("web:payout_veto")
    try:
        status, words = veto.ask(row, f"test_{random_text(22)}", veto.SAMPLE)
    except SealError:
        status, words = 0, _("Its secret can't be opened. Make a new one.")
    return _page(request, tried={"status": status, "words": words})
