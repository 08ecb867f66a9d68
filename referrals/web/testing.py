"""Settings, Test clock: what time it is on the test side, what comes next, moving it, and deleting all test data."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

from campaigns.models import Campaign
from referrals.accounts import clocks
from referrals.accounts.models import Merchant, Role, Wipe
from referrals.accounts.tenancy import Tenant
from referrals.events.models import Event
from referrals.lib.errors import Refused
from referrals.lib.pages import render_part
from referrals.web.access import MerchantRequest, member
from referrals.web.campaign_forms import LocalMoment, apply_refusal
from referrals.web.history import PAGES
from referrals.web.timeline import Entry, entries_of
from rewards import advancing, coming, wiping
from rewards.advancing import ClockState
from rewards.coming import Coming

WORDS: dict[str, tuple[str, str, Any]] = {
    "review_ends": ("gift", "due", lazy("%(amount)s to %(who)s leaves review and is due")),
    "leaderboard_closes": ("trophy", "due", lazy("The prizes of %(who)s are given")),
    "address_counts": ("wallet", "due", lazy("What waits for %(who)s can be paid to their address")),
    "payout_run": ("send", "due", lazy("What is due as %(who)s is paid")),
    "campaign_starts": ("megaphone", "issued", lazy("%(who)s starts")),
    "campaign_ends": ("megaphone", "", lazy("%(who)s ends")),
    "window_ends": ("mouse-pointer-click", "", lazy("A click that brought nobody to %(who)s stops counting")),
}
SHOWN = 10
FILL_IN = lazy("Fill this in, then move.")


class MoveForm(forms.Form):
    """How far the clock is moved: one of the buttons, a number of days, or a moment."""

    by = forms.ChoiceField(choices=[(name, name) for name in ("day", "week", "next", "days", "to")])
    days = forms.IntegerField(
        label=lazy("Days"), widget=forms.NumberInput(attrs={"min": 1}), error_messages={"required": FILL_IN}
    )
    to = LocalMoment(label=lazy("Day and time"), error_messages={"required": FILL_IN})

    def __init__(self, data: QueryDict | None = None) -> None:
        super().__init__(data)
        self.use_required_attribute = False
        for name in ("days", "to"):
            # Only the field beside the pressed button has to be filled in.
            self.fields[name].required = data is None or data.get("by") == name


class WipeForm(forms.Form):
    """The business' name, typed, so that nobody deletes by a slip."""

    name = forms.CharField(
        label=lazy("Name of the business"), max_length=120, widget=forms.TextInput(attrs={"autocomplete": "off"})
    )

    def __init__(self, *args: Any, merchant: Merchant, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.merchant = merchant
        self.use_required_attribute = False
        self.fields["name"].help_text = format_html(_("Type {}, so that nothing goes by a slip."), merchant.name)

    def clean_name(self) -> str:
        """Exactly the name, but for spaces around it."""
        typed = " ".join(self.cleaned_data["name"].split())
        if typed != " ".join(self.merchant.name.split()):
            message = _("“%(typed)s” is not the name of this business. Type %(name)s.")
            raise forms.ValidationError(message % {"typed": typed, "name": self.merchant.name})
        return typed


@member(change=Role.MANAGER)
def test_clock(request: MerchantRequest) -> HttpResponse:
    """The clock; POST moves it. On the live side: how to get to the test side."""
    if not request.tenant.is_test:
        return only_on_the_test_side(request, _("Test clock"))
    form = MoveForm(request.POST if request.method == "POST" else None)
    status = 200
    if request.method == "POST":
        status = 422
        if form.is_valid():
            try:
                state = _move(request, form)
            except Refused as error:
                apply_refusal(form, error)
            else:
                clocks.enter(request.tenant)
                if not request.htmx:
                    if state.target is None:
                        messages.success(request, _("The clock is there. What happened on the way is below."))
                    return redirect("web:test_clock")
                status = 200
    return render_part(
        request, "web/testing/clock.html", "web/testing/_clock.html", _clock_context(request, form), status=status
    )


def only_on_the_test_side(request: MerchantRequest, title: str, campaign: Campaign | None = None) -> HttpResponse:
    """Why there is nothing here on the live side, and the switch; below the settings, or below a campaign."""
    return render(request, "web/testing/live.html", {"title": title, "campaign": campaign})


def _move(request: MerchantRequest, form: MoveForm) -> ClockState:
    data, tenant, actor = form.cleaned_data, request.tenant, request.actor
    if data["by"] == "next":
        return advancing.advance_to_next(tenant=tenant, actor=actor)
    if data["by"] == "to":
        return advancing.advance(tenant=tenant, to=data["to"], actor=actor)
    days = {"day": 1, "week": 7}.get(data["by"]) or data["days"]
    return advancing.advance_days(tenant=tenant, days=days, actor=actor)


def _clock_context(request: MerchantRequest, form: MoveForm) -> dict[str, Any]:
    state = advancing.state_of(request.tenant, limit=SHOWN)
    for name in ("days", "to"):
        form.fields[name].required = True  # for the next press
    return {
        "state": state,
        "form": form,
        # What a button did wrong is said above; what a field did, at the field.
        "refusal": [*form.non_field_errors(), *form.errors.get("by", [])],
        "coming": [_line(found) for found in state.coming],
        "happened": happened(request.tenant, state),
        "may_change": request.membership.may(Role.MANAGER),
        "may_delete": request.membership.may(Role.ADMIN),
        "share": _share(state),
    }


def _share(state: ClockState) -> int:
    """How far a move has come, in thousandths."""
    if state.target is None or state.moved_from is None or state.target <= state.moved_from:
        return 1000
    return round(1000 * ((state.now - state.moved_from) / (state.target - state.moved_from)))


@dataclass(frozen=True, slots=True)
class _Dated:
    at: datetime
    entry: Entry


def happened(tenant: Tenant, state: ClockState) -> list[Entry]:
    """What the last move led to: its history, and the dates of campaigns that were passed, in order."""
    if state.moved_from is None or state.reached is None:
        return []
    events = advancing.happened(tenant, state)
    lines = [
        _Dated(event.created_at, _linked(entry, event)) for event, entry in zip(events, entries_of(events), strict=True)
    ]
    for found in coming.passed(tenant, state.moved_from, state.reached):
        lines.append(_Dated(found.at, _line(found)))
    return [line.entry for line in sorted(lines, key=lambda line: line.at)]


def _linked(entry: Entry, event: Event) -> Entry:
    name = PAGES.get(event.subject_type)
    url = reverse(name, args=[event.subject_id]) if name else ""
    return Entry(entry.icon, entry.tone, entry.text, entry.by, entry.at, url)


def _line(found: Coming) -> Entry:
    icon, tone, words = WORDS[found.kind]
    text = str(words) % {
        "who": found.who,
        "amount": found.amount.format(get_language() or "en") if found.amount else found.worth,
    }
    by = found.campaign if found.campaign != found.who else ""
    page = PAGES.get(found.subject_type)
    return Entry(icon, tone, text, by, found.at, reverse(page, args=[found.subject_id]) if page else "")


@member(role=Role.ADMIN)
def test_data(request: MerchantRequest) -> HttpResponse:
    """Delete all test data, after the business' name was typed; how far it is."""
    if not request.tenant.is_test:
        return only_on_the_test_side(request, _("Delete all test data"))
    form = WipeForm(request.POST if request.method == "POST" else None, merchant=request.merchant)
    status = 200
    if request.method == "POST":
        if form.is_valid():
            wiping.ask(tenant=request.tenant, actor=request.actor)
            return redirect("web:test_data")
        status = 422
    wipe = wiping.latest(request.tenant)
    context = {"form": form, "wipe": wipe, "share": _deleted_share(wipe)}
    return render_part(request, "web/testing/delete.html", "web/testing/_delete.html", context, status=status)


def _deleted_share(wipe: Wipe | None) -> int:
    if wipe is None or wipe.total == 0:
        return 0
    return min(1000, round(1000 * wipe.deleted / wipe.total))
