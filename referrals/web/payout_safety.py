"""The switch that stops all payouts, and how much may leave in a day (RELIABILITY section 4, "Also")."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy
from django.views.decorators.http import require_POST, require_safe

from campaigns.models import Campaign
from referrals.accounts.models import Role
from referrals.accounts.tenancy import Tenant
from referrals.lib.errors import Refused
from referrals.lib.money import CURRENCIES, Money
from referrals.web.access import MerchantRequest, fresh_login, member, refused
from referrals.web.campaign_forms import apply_refusal
from referrals.web.money_fields import MoneyField
from rewards import payout_guards
from rewards.models import PayoutLimit
from rewards.payout_guards import FIELDS


class StopForm(forms.Form):
    """Why everything stops."""

    note = forms.CharField(
        label=lazy("Why"),
        max_length=500,
        help_text=lazy("Shown to your team, and kept in the history."),
        error_messages={"required": lazy("Say why, so that it can be explained later.")},
    )


class LimitForm(forms.Form):
    """The limits of one currency; an empty field is no limit."""

    a_day_minor = MoneyField(
        label=lazy("All payouts of a day"),
        required=False,
        help_text=lazy("What is above it leaves the next day. A file or codes above it are refused."),
    )
    a_person_a_day_minor = MoneyField(label=lazy("One person in a day"), required=False)
    second_person_above_minor = MoneyField(
        label=lazy("A second person above"),
        required=False,
        zero=True,
        help_text=lazy(
            "A batch of more than this leaves when somebody else of your team agrees; a file of it can be downloaded"
            " then. 0 means every batch."
        ),
    )

    def __init__(self, data: Any = None, *, currency: str, initial: Any = None) -> None:
        super().__init__(data, auto_id=f"{currency}-%s", initial=initial)
        self.currency = currency
        for field in self.fields.values():
            if isinstance(field, MoneyField):
                field.use(currency)

    @property
    def limits(self) -> dict[str, int | None]:
        """What was typed, in minor units."""
        values = {name: self.cleaned_data.get(name) for name in FIELDS}
        return {name: None if money is None else money.minor for name, money in values.items()}


def _limit_form(tenant: Tenant, currency: str, rows: dict[str, PayoutLimit]) -> LimitForm:
    row = rows.get(currency)
    found = {name: getattr(row, name, None) for name in FIELDS}
    initial = {name: Money(minor, currency) for name, minor in found.items() if minor is not None}
    return LimitForm(currency=currency, initial=initial)


def _page(
    request: MerchantRequest,
    *,
    stop_form: StopForm | None = None,
    limit_form: LimitForm | None = None,
    status: int = 200,
) -> HttpResponse:
    tenant = request.tenant
    rows = {row.currency: row for row in PayoutLimit.objects.for_tenant(tenant).order_by("currency")}
    used = Campaign.objects.for_tenant(tenant).order_by().values_list("currency", flat=True).distinct()
    own = tenant.merchant.currency
    currencies = [own, *sorted({*used, *rows} - {own})]
    typed = {limit_form.currency: limit_form} if limit_form else {}
    limits = [typed.get(name) or _limit_form(tenant, name, rows) for name in currencies]
    may_change = request.membership.may(Role.ADMIN)
    if not may_change:
        for form in limits:
            for field in form.fields.values():
                field.disabled = True
    context = {
        "stopped": payout_guards.stopped(tenant),
        "everywhere": settings.PAYOUTS_STOPPED,
        "stop_form": stop_form or StopForm(),
        "limits": limits,
        "may_stop": request.membership.may(Role.MANAGER),
        "may_change": may_change,
    }
    return render(request, "web/payouts/safety.html", context, status=status)


@require_safe
@member()
def safety(request: MerchantRequest) -> HttpResponseBase:
    """Whether payouts leave, and what keeps them in bounds. Viewers read it."""
    return _page(request)


@require_POST
@member()
def stop(request: MerchantRequest) -> HttpResponseBase:
    """Throw the switch. Whoever may issue may stop, and nobody is asked for a password first: this is for emergencies."""
    form = StopForm(request.POST)
    if not form.is_valid():
        return _page(request, stop_form=form, status=422)
    try:
        payout_guards.stop(tenant=request.tenant, actor=request.actor, note=form.cleaned_data["note"])
    except Refused as error:
        return _page(request, stop_form=form, status=apply_refusal(form, error))
    messages.success(request, _("Payouts are stopped"))
    return redirect("web:payout_safety")


@require_POST
@member(role=Role.ADMIN)
@fresh_login
def go_on(request: MerchantRequest) -> HttpResponseBase:
    """Payouts leave again."""
    if payout_guards.go_on(tenant=request.tenant, actor=request.actor):
        messages.success(request, _("Payouts go on"))
    return redirect("web:payout_safety")


@require_POST
@member(role=Role.ADMIN)
@fresh_login
def limit(request: MerchantRequest) -> HttpResponseBase:
    """Set the limits of one currency."""
    currency = request.POST.get("currency", "")
    if currency not in CURRENCIES:
        unknown = Refused("currency", _("Choose one of the currencies."), field="currency")
        return refused(request, unknown, back=reverse("web:payout_safety"))
    form = LimitForm(request.POST, currency=currency)
    if not form.is_valid():
        return _page(request, limit_form=form, status=422)
    try:
        payout_guards.set_limits(tenant=request.tenant, actor=request.actor, currency=currency, limits=form.limits)
    except Refused as error:
        return _page(request, limit_form=form, status=apply_refusal(form, error))
    messages.success(request, _("Limits in %(currency)s saved") % {"currency": currency})
    return redirect("web:payout_safety")
