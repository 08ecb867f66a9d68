"""Lists of codes: making them, filling them, how many are left, and who was given which (docs/coupon-lists.md)."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any

from django import forms
from django.contrib import messages
from django.core.validators import MaxValueValidator
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from campaigns.models import Campaign
from referrals.accounts.models import Role
from referrals.accounts.tenancy import Tenant
from referrals.lib.errors import Refused
from referrals.lib.pages import PageError, keyset
from referrals.web.access import MerchantRequest, member, own
from referrals.web.campaign_forms import apply_refusal
from referrals.web.money_fields import MoneyField
from rewards.coupons import lists
from rewards.models import CouponCode, CouponList

_PAGE_SIZE = 50
_WRONG_SHOWN = 50


class ListForm(forms.Form):
    """A list's name, end and alarm."""

    name = forms.CharField(
        label=lazy("Name"),
        max_length=80,
        error_messages={"required": lazy("Give the list a name, such as what its codes are for.")},
    )
    last_day = forms.DateField(
        label=lazy("Last day"),
        required=False,
        # The moment after it has to be a date, too.
        validators=[
            MaxValueValidator(
                date(2199, 12, 31), lazy("That is too far away. Leave it empty if the codes don't expire.")
            )
        ],
        help_text=lazy("On which the codes can be used. Empty: they don't expire."),
        widget=forms.DateInput(attrs={"type": "date"}),
    )
    low_at = forms.IntegerField(
        label=lazy("Tell the team when so many are left"),
        min_value=0,
        max_value=1_000_000,
        initial=20,
        help_text=lazy("Owners and admins get a mail, once each time."),
    )


class NewListForm(ListForm):
    """A new list also says what a code is worth, for ever."""

    currency = forms.ChoiceField(label=lazy("Currency"))
    worth = MoneyField(
        label=lazy("A code is worth"),
        help_text=lazy("A reward of just this amount can be paid with one."),
        error_messages={"required": lazy("Say what one code is worth.")},
    )
    field_order = ("name", "currency", "worth", "last_day", "low_at")

    def __init__(self, tenant: Tenant, data: Any = None) -> None:
        used = Campaign.objects.for_tenant(tenant).order_by("currency").values_list("currency", flat=True).distinct()
        known = list(dict.fromkeys([tenant.merchant.currency, *used]))
        super().__init__(data)
        self.fields["currency"].choices = [(code, code) for code in known]  # type: ignore[attr-defined]  # a ChoiceField
        chosen = data.get("currency") if data else None
        self.fields["worth"].use(chosen if chosen in known else known[0])  # type: ignore[attr-defined]  # a MoneyField
        if len(known) > 1:
            # The currency stands in a field of its own, not before the amount.
            self.fields["worth"].widget = forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"})


class CodesForm(forms.Form):
    """Codes as a file, or pasted."""

    codes = forms.CharField(
        label=lazy("Codes, one in a line"),
        required=False,
        strip=False,
        max_length=500_000,
        widget=forms.Textarea(attrs={"rows": 6, "spellcheck": "false", "autocomplete": "off"}),
    )
    file = forms.FileField(
        label=lazy("Or a CSV file"),
        required=False,
        allow_empty_file=True,
        help_text=lazy("One code in a line, or a table with the columns code, pin and url. Up to 20,000 codes."),
        widget=forms.ClearableFileInput(attrs={"accept": ".csv,.txt,text/csv"}),
    )


def _end_of(request: MerchantRequest, form: forms.Form) -> datetime | None:
    """The moment after the last day, by the merchant's clock."""
    day = form.cleaned_data["last_day"]
    return datetime.combine(day + timedelta(days=1), time(), request.tenant.merchant.zone) if day else None


@member()
def coupon_lists(request: MerchantRequest) -> HttpResponse:
    """All open lists with their stock; POST makes one."""
    form, status = NewListForm(request.tenant), 200
    if request.method == "POST":
        form, status = NewListForm(request.tenant, request.POST), 422
        if form.is_valid():
            values = {name: form.cleaned_data[name] for name in ("name", "worth", "low_at")}
            try:
                row = lists.make_list(
                    tenant=request.tenant, actor=request.actor, expires_at=_end_of(request, form), **values
                )
            except Refused as error:
                _mend(error)
                status = apply_refusal(form, error)
            else:
                return redirect("web:coupon_list", row.public_id)
    rows = list(lists.open_lists(request.tenant)[:500])
    stock = lists.stock_of(rows)
    context = {
        "rows": [(row, stock[row.pk], _is_low(row, stock[row.pk])) for row in rows],
        "form": form,
        "may_change": request.membership.may(Role.MANAGER),
    }
    return render(request, "web/coupons/lists.html", context, status=status)


def _mend(error: Refused) -> None:
    """The form asks for the last day, the service for the moment after it."""
    if error.field == "expires_at":
        error.field = "last_day"


def _is_low(row: CouponList, stock: lists.Stock) -> bool:
    return bool(stock.all) and not row.is_expired and stock.left <= row.low_at


@member()
def coupon_list(request: MerchantRequest, public_id: str) -> HttpResponse:
    """One list: its stock, filling it, its settings, and who was given which code. POST changes its settings."""
    row = own(CouponList.objects.select_related("merchant"), request, public_id)
    form, status = _settings_form(row), 200
    if request.method == "POST":
        form, status = ListForm(request.POST), 422
        if form.is_valid():
            values = {name: form.cleaned_data[name] for name in ("name", "low_at")}
            try:
                lists.change_list(coupons=row, actor=request.actor, expires_at=_end_of(request, form), **values)
            except Refused as error:
                _mend(error)
                status = apply_refusal(form, error)
            else:
                messages.success(request, _("Saved"))
                return redirect("web:coupon_list", row.public_id)
    return _shown(request, row, status, form=form)


def _settings_form(row: CouponList) -> ListForm:
    last = row.last_moment.astimezone(row.merchant.zone).date() if row.last_moment else None
    return ListForm(initial={"name": row.name, "last_day": last.isoformat() if last else "", "low_at": row.low_at})


def _shown(request: MerchantRequest, row: CouponList, status: int = 200, **more: Any) -> HttpResponse:
    used = (
        CouponCode.objects.filter(list=row, payout__isnull=False).select_related("payout__participant").defer("sealed")
    )
    try:
        page = keyset(used, sort="-pk", cursor=request.GET.get("after", "")[:400], limit=_PAGE_SIZE)
    except PageError:
        page = keyset(used, sort="-pk", limit=_PAGE_SIZE)
    stock = lists.stock_of([row])[row.pk]
    url = reverse("web:coupon_list", args=[row.public_id])
    context = {
        "list": row,
        "stock": stock,
        "is_low": _is_low(row, stock),
        "can_fill": row.closed_at is None and not row.is_expired,
        "used": page.rows,
        "prev_url": f"{url}?after={page.previous}" if page.previous else "",
        "next_url": f"{url}?after={page.next}" if page.next else "",
        "may_change": request.membership.may(Role.MANAGER) and row.closed_at is None,
        "form": _settings_form(row),
        "codes_form": CodesForm(),
        **more,
    }
    return render(request, "web/coupons/show.html", context, status=status)


@require_POST
@member(role=Role.MANAGER)
def coupon_fill(request: MerchantRequest, public_id: str) -> HttpResponseBase:
    """Add codes from a file or what was pasted; what is not new is named on the page that follows."""
    row = own(CouponList.objects.select_related("merchant"), request, public_id)
    form, status = CodesForm(request.POST, request.FILES), 422
    if form.is_valid():
        file = form.cleaned_data["file"]
        # One byte more than fits says that it is too large, without reading the rest.
        data = file.read(lists.MOST_BYTES + 1) if file else form.cleaned_data["codes"].encode()
        try:
            done = lists.add_codes(coupons=row, data=data, actor=request.actor)
        except Refused as error:
            if error.field == "file" and not file:
                error.field = "codes"
            status = apply_refusal(form, error)
        else:
            text = ngettext("%(n)s code added", "%(n)s codes added", done.added) % {"n": f"{done.added:,}"}
            if not done.wrong:
                messages.success(request, text)
                return redirect("web:coupon_list", row.public_id)
            wrong = done.wrong[:_WRONG_SHOWN]
            return _shown(request, row, wrong=wrong, wrong_count=len(done.wrong), added_text=text)
    return _shown(request, row, status, codes_form=form)


@member(role=Role.MANAGER)
def coupon_close(request: MerchantRequest, public_id: str) -> HttpResponse:
    """Close a list: GET asks, POST does it."""
    row = own(CouponList.objects.select_related("merchant"), request, public_id)
    if request.method == "POST":
        left = lists.close_list(coupons=row, actor=request.actor)
        words = ngettext("List closed; %(n)s code forgotten", "List closed; %(n)s codes forgotten", left)
        messages.success(request, words % {"n": f"{left:,}"})
        return redirect("web:coupon_lists")
    return render(request, "web/coupons/close.html", {"list": row, "stock": lists.stock_of([row])[row.pk]})
