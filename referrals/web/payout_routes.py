"""How rewards are paid by themselves: the calendar, the way of each kind, what is missing, and what the last runs did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import messages
from django.db.models import Count
from django.http import HttpResponse, HttpResponseBase, HttpResponseRedirect, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.dates import WEEKDAYS
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy
from django.views.decorators.http import require_POST, require_safe

from campaigns.models import Campaign, RewardRule
from integrations import issuing, methods
from integrations.methods import Option
from referrals.accounts.models import Role
from referrals.accounts.tenancy import Tenant
from referrals.lib import clock
from referrals.lib.errors import Refused
from referrals.web.access import MerchantRequest, fresh_login, member, own
from referrals.web.campaign_forms import apply_refusal
from referrals.web.payout_rows import batch_totals, people_text
from referrals.web.templatetags.ui import monies
from rewards import routes, runs
from rewards.models import PayoutBatch, PayoutCalendar, PayoutRoute, PayoutRun
from rewards.payout_models import SIDES
from rewards.routes import Need

RUNS_SHOWN = 20
DELIVERIES = {
    "immediate": lazy("at once after review"),
    "weekly": lazy("weekly"),
    "day_15": lazy("on the 15th"),
    "month_end": lazy("on the last day of the month"),
}


class CalendarForm(forms.Form):
    """When the runs of this side are."""

    weekday = forms.TypedChoiceField(label=lazy("Weekly runs on"), coerce=int, choices=list(WEEKDAYS.items()))
    hour = forms.TypedChoiceField(
        label=lazy("All runs at"), coerce=int, choices=[(hour, f"{hour:02}:00") for hour in range(24)]
    )


class WhatForm(forms.Form):
    """Which rewards: the first step."""

    side = forms.ChoiceField(label=lazy("Who gets them"), choices=SIDES)
    kind = forms.ChoiceField(label=lazy("What they are"), choices=RewardRule.KINDS)


class WayForm(forms.Form):
    """Where, and by which of the ways that can deliver them: the second step."""

    campaign = forms.ChoiceField(label=lazy("In which campaigns"), required=False)
    method = forms.ChoiceField(label=lazy("Paid by"), error_messages={"required": lazy("Choose a way.")})

    def __init__(self, tenant: Tenant, kind: str, data: Any = None, *, initial: Any = None) -> None:
        super().__init__(data, initial=initial)
        self.ways = [one for one in methods.options(tenant) if one.by_itself and kind in one.method.kinds]
        found = Campaign.objects.for_tenant(tenant).order_by("-pk").values_list("public_id", "name")[:200]
        self._choices("campaign", [("", _("All that have no way of their own")), *found])
        self._choices("method", [(option.value, way_text(option)) for option in self.ways])

    def _choices(self, name: str, choices: Sequence[tuple[str, Any]]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101 (declared above; for the type checker)
        field.choices = list(choices)


class OptionsForm(forms.Form):
    """What the chosen way asks for, such as a product or a message: the second step."""

    def __init__(self, option: Option, tenant: Tenant, data: Any = None, *, initial: Any = None) -> None:
        super().__init__(data, initial=initial)
        for one in option.fields:
            choices = option.choices_of(one.name, tenant)
            shared: dict[str, Any] = {"label": one.label, "help_text": one.hint, "required": one.required}
            if choices:
                empty = [] if one.required else [("", "–")]
                self.fields[one.name] = forms.ChoiceField(choices=[*empty, *choices], initial=one.default, **shared)
            else:
                widget = forms.Textarea(attrs={"rows": 4}) if one.lines else forms.TextInput()
                self.fields[one.name] = forms.CharField(
                    max_length=one.limit, widget=widget, initial=one.default, **shared
                )


def way_text(option: Option) -> str:
    """What a way is called, with the connection where a company has several."""
    label = option.connection.label if option.connection is not None else ""
    return f"{option.label} ({label})" if label else str(option.label)


@dataclass(frozen=True, slots=True)
class RouteRow:
    """One way that was chosen, ready to print."""

    row: PayoutRoute
    what: str
    way: str
    gone: bool
    next: list[tuple[str, datetime | None]]


@dataclass(frozen=True, slots=True)
class Missing:
    """Rules that issue by themselves and have no way yet: what is due waits."""

    text: str
    url: str
    waiting: int


def kind_text(side: str, kind: str) -> str:
    """ "Cash for referrers"."""
    words = {"referrer": _("%(kind)s for referrers"), "invitee": _("%(kind)s for friends")}
    return words[side] % {"kind": dict(RewardRule.KINDS)[kind]}


@require_safe
@member()
def payout_routes(request: MerchantRequest) -> HttpResponseBase:
    """What is paid by itself, and what is missing. Viewers read it."""
    return _page(request)


def _page(request: MerchantRequest, *, calendar_form: CalendarForm | None = None, status: int = 200) -> HttpResponse:
    tenant = request.tenant
    calendar = routes.calendar_of(tenant)
    rows = list(PayoutRoute.objects.for_tenant(tenant).select_related("campaign").order_by("side", "kind", "pk"))
    needs = routes.needs_of(tenant)
    may_change = request.membership.may(Role.ADMIN)
    form = calendar_form or CalendarForm(initial={"weekday": calendar.weekday, "hour": calendar.hour})
    if not may_change:
        for field in form.fields.values():
            field.disabled = True
    context = {
        "routes": _rows(tenant, rows, needs, calendar),
        "missing": _missing(tenant, rows, needs),
        "form": form,
        "zone": tenant.merchant.time_zone,
        "may_change": may_change,
    }
    return render(request, "web/payouts/routes.html", context, status=status)


def _rows(
    tenant: Tenant, rows: Sequence[PayoutRoute], needs: Sequence[Need], calendar: PayoutCalendar
) -> list[RouteRow]:
    ways = {option.value: option for option in methods.options(tenant)} if rows else {}
    now = clock.now()
    found = []
    for row in rows:
        used = {need.delivery for need in needs if routes.route_for(rows, need) == row}
        option = ways.get(row.method)
        found.append(
            RouteRow(
                row=row,
                what=kind_text(row.side, row.kind),
                way=way_text(option) if option else row.method.partition(":")[0].replace("_", " "),
                gone=option is None,
                next=[
                    (str(words), routes.next_time(calendar, name, now))
                    for name, words in DELIVERIES.items()
                    if name in used
                ],
            )
        )
    return found


def _missing(tenant: Tenant, rows: Sequence[PayoutRoute], needs: Sequence[Need]) -> list[Missing]:
    """What issues by itself and has no way: by campaign, with how many rewards wait for it."""
    open_needs = [need for need in needs if routes.route_for(rows, need) is None]
    if not open_needs:
        return []
    due = runs.due_by_itself(tenant).values("campaign_id", "side", "kind", "rule__delivery").annotate(n=Count("pk"))
    waiting = {
        (row["campaign_id"], row["side"], row["kind"], row["rule__delivery"]): row["n"] for row in due.order_by()
    }
    campaigns = Campaign.objects.in_bulk({need.campaign for need in open_needs})
    text = _("%(what)s in %(campaign)s, %(when)s")
    found = []
    for need in open_needs:
        facts = {
            "what": kind_text(need.side, need.kind),
            "campaign": campaigns[need.campaign].name,
            "when": DELIVERIES[need.delivery],
        }
        url = f"{reverse('web:payout_route_new')}?{urlencode({'side': need.side, 'kind': need.kind})}"
        count = waiting.get((need.campaign, need.side, need.kind, need.delivery), 0)
        found.append(Missing(text % facts, url, count))
    return found


@require_POST
@member(role=Role.ADMIN)
@fresh_login
def payout_calendar(request: MerchantRequest) -> HttpResponseBase:
    """When the runs are."""
    form = CalendarForm(request.POST)
    if not form.is_valid():
        return _page(request, calendar_form=form, status=422)
    try:
        routes.set_calendar(tenant=request.tenant, actor=request.actor, **form.cleaned_data)
    except Refused as error:
        return _page(request, calendar_form=form, status=apply_refusal(form, error))
    messages.success(request, _("Saved"))
    return redirect("web:payout_routes")


@member(role=Role.ADMIN)
def payout_route_new(request: MerchantRequest) -> HttpResponseBase:
    """Choose a way, or another one: first which, then what it asks for, then it is kept."""
    return _choose(request) if request.method != "POST" else _keep(request)


@fresh_login
def _keep(request: MerchantRequest) -> HttpResponseBase:
    return _choose(request)


def _choose(request: MerchantRequest) -> HttpResponse:
    tenant = request.tenant
    asked = request.POST if request.method == "POST" else request.GET
    context: dict[str, Any] = {"back": reverse("web:payout_routes")}
    what = WhatForm(asked if "kind" in asked else None)
    if not what.is_bound or not what.is_valid():
        status = 422 if what.is_bound else 200
        return render(request, "web/payouts/route_what.html", context | {"form": what}, status=status)
    side, kind = what.cleaned_data["side"], what.cleaned_data["kind"]
    is_chosen = "method" in asked or "chosen" in asked or request.method == "POST"
    form = WayForm(tenant, kind, asked if is_chosen else None, initial=asked.dict())
    context |= {"form": form, "side": side, "kind": kind, "what": kind_text(side, kind)}
    if not is_chosen or not form.is_valid():
        status = 422 if is_chosen else 200
        return render(request, "web/payouts/route_choose.html", context, status=status)
    data = what.cleaned_data | form.cleaned_data
    option = next(one for one in form.ways if one.value == data["method"])
    campaign = Campaign.objects.for_tenant(tenant).filter(public_id=data["campaign"] or "-").first()
    saves = request.method == "POST" and "save" in request.POST
    known = PayoutRoute.objects.for_tenant(tenant).filter(
        side=data["side"], kind=data["kind"], campaign=campaign, method=option.value
    )
    initial = known.values_list("options", flat=True).first()
    options = OptionsForm(option, tenant, request.POST if saves else None, initial=initial)
    context |= {"options": options, "option": option, "way": way_text(option), "campaign": campaign}
    context["hidden"] = data
    if not saves or not options.is_valid():
        return render(request, "web/payouts/route_confirm.html", context, status=422 if saves else 200)
    try:
        issuing.set_route(
            tenant=tenant,
            actor=request.actor,
            side=data["side"],
            kind=data["kind"],
            method=option.value,
            options=options.cleaned_data,
            campaign=campaign,
        )
    except Refused as error:
        status = apply_refusal(options, error)
        return render(request, "web/payouts/route_confirm.html", context, status=status)
    messages.success(request, _("Saved. It counts from the next run on."))
    return HttpResponseRedirect(reverse("web:payout_routes"))


@require_safe
@member()
def payout_route(request: MerchantRequest, public_id: str) -> HttpResponseBase:
    """One way with its last runs."""
    row = own(PayoutRoute.objects.select_related("campaign"), request, public_id)
    tenant = request.tenant
    made = list(
        PayoutRun.objects.for_tenant(tenant).filter(route=row).order_by("-pk").select_related("batch")[:RUNS_SHOWN]
    )
    batches: list[PayoutBatch] = [run.batch for run in made if run.batch is not None]
    totals = batch_totals(batches) if batches else {}
    (shown,) = _rows(tenant, [row], routes.needs_of(tenant), routes.calendar_of(tenant))
    query = QueryDict(mutable=True)
    query.update({"side": row.side, "kind": row.kind, "campaign": row.campaign.public_id if row.campaign else ""})
    lines = []
    for run in made:
        people, sums = totals.get(run.batch_id or 0, (0, []))
        lines.append({"run": run, "people": people_text(people), "sums": monies(sums), "late": _is_late(run)})
    context = {
        "route": shown,
        "lines": lines,
        "may_change": request.membership.may(Role.ADMIN),
        "change_url": f"{reverse('web:payout_route_new')}?{query.urlencode()}",
    }
    return render(request, "web/payouts/route.html", context)


def _is_late(run: PayoutRun) -> bool:
    """Whether it was made up for: nobody worked at its moment."""
    return (run.made_at - run.due_at).total_seconds() > 3600


@require_POST
@member(role=Role.ADMIN)
@fresh_login
def payout_route_remove(request: MerchantRequest, public_id: str) -> HttpResponseBase:
    """Nothing goes out by this way by itself any more."""
    row = own(PayoutRoute.objects.all(), request, public_id)
    routes.remove_route(route=row, actor=request.actor)
    messages.success(request, _("Removed. What is due stays due until you choose another way, or issue it by hand."))
    return redirect("web:payout_routes")
