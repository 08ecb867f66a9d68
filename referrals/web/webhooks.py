"""Developers, Webhooks: where messages go, how each endpoint is doing, its secret (once), tests, and sending again (docs/webhooks.md)."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from integrations import endpoints
from integrations.models import WebhookDelivery, WebhookEndpoint
from integrations.samples import ABOUT
from integrations.services import Health
from referrals.accounts.models import Role
from referrals.lib import clock
from referrals.lib.errors import Refused
from referrals.web.access import MerchantRequest, fresh_login, member, own, refused
from referrals.web.campaign_forms import apply_refusal
from referrals.web.connections import TONES

TYPES = tuple((name, name) for name in ABOUT)
LANGUAGES = (("py", "Python"), ("js", "Node.js"), ("php", "PHP"), ("rb", "Ruby"))
_FOLDER = Path(__file__).parent / "snippets"
_SINCE = (
    ("", lazy("Only what happens from now on")),
    ("1", lazy("What it missed in the last 24 hours")),
    ("7", lazy("What it missed in the last 7 days")),
    ("30", lazy("What it missed in the last 30 days")),
)


# State of a delivery -> the tag's colour and words.
STATES: dict[str, tuple[str, Any]] = {
    "pending": ("sending", lazy("Waiting")),
    "sending": ("sending", lazy("Sending")),
    "delivered": ("issued", lazy("Delivered")),
    "failed": ("problem", lazy("Failed")),
    "stopped": ("neutral", lazy("Not sent")),
}


class EndpointForm(forms.Form):
    """An endpoint's address, name and types."""

    url = forms.CharField(
        label=lazy("Address"),
        max_length=2000,
        help_text=lazy("It has to begin with https and be reachable from the internet."),
        widget=forms.URLInput(attrs={"placeholder": "https://hooks.example.com/passalong", "dir": "ltr"}),
    )
    label = forms.CharField(
        label=lazy("Name"), max_length=80, required=False, help_text=lazy("Only for you, such as “CRM”.")
    )
    types = forms.MultipleChoiceField(
        label=lazy("What it is told"),
        choices=TYPES,
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=lazy("Tick nothing to tell it everything, now and in the future."),
    )


class SinceForm(forms.Form):
    """From when on messages go out again."""

    since = forms.ChoiceField(label=lazy("Send again"), choices=_SINCE, required=False)

    def moment(self) -> datetime | None:
        """The time that was chosen; None for now."""
        days = self.cleaned_data.get("since", "") if self.is_valid() else ""
        return clock.now() - timedelta(days=int(days)) if days else None


class TestForm(forms.Form):
    """Which sample to send."""

    type = forms.ChoiceField(label=lazy("Sample"), choices=TYPES, initial="reward.due")


def health(row: WebhookEndpoint) -> Health:
    """What a merchant should know first about an endpoint."""
    if row.removed_at is not None:
        return Health("todo", _("Removed"))
    if row.disabled_at is not None:
        return Health("fail" if row.disabled_reason != "by_hand" else "todo", str(row.get_disabled_reason_display()))
    if row.failing_since is not None:
        text = ngettext(
            "%(count)d try has failed since the last success.", "%(count)d tries have failed since the last success.",
            row.failures,
        )  # fmt: skip
        return Health("fail", _("Failing"), text % {"count": row.failures})
    if row.last_success_at is None:
        return Health("todo", _("Waiting"), _("Nothing was sent yet. Send a test."))
    return Health("ok", _("Working"))


@member(change=Role.ADMIN)
def webhooks(request: MerchantRequest) -> HttpResponseBase:
    """The endpoints of the side that is shown, and adding one."""
    return create(request) if request.method == "POST" else _list(request)


def _list(request: MerchantRequest, form: EndpointForm | None = None, status: int = 200) -> HttpResponse:
    rows = WebhookEndpoint.objects.for_tenant(request.tenant).filter(removed_at=None).order_by("-pk")
    found = [(row, health(row)) for row in rows]
    context = {
        "endpoints": [(row, state, TONES[state.tone]) for row, state in found],
        "form": form or EndpointForm(),
        "may_manage": request.membership.may(Role.ADMIN),
    }
    return render(request, "web/webhooks/list.html", context, status=status)


@fresh_login
def create(request: MerchantRequest) -> HttpResponse:
    """Add an endpoint and show its secret this once; part of the list's page."""
    form = EndpointForm(request.POST)
    if not form.is_valid():
        return _list(request, form, 422)
    data = form.cleaned_data
    try:
        endpoints.refuse_private(data["url"], request.tenant)
        row, secret = endpoints.create(
            tenant=request.tenant, actor=request.actor, url=data["url"], label=data["label"], chosen=data["types"]
        )
    except Refused as error:
        return _list(request, form, apply_refusal(form, error))
    return render(request, "web/webhooks/secret.html", {"row": row, "secret": secret, "rotated": False})


@member(change=Role.ADMIN)
def endpoint_page(request: MerchantRequest, public_id: str) -> HttpResponse:
    """One endpoint: how it is doing, and everything that can be done about it."""
    row = own(WebhookEndpoint.objects.select_related("merchant"), request, public_id)
    form = None
    if request.method == "POST":
        form = EndpointForm(request.POST)
        if form.is_valid():
            data = form.cleaned_data
            try:
                endpoints.refuse_private(data["url"], request.tenant)
                endpoints.change(
                    endpoint=row, actor=request.actor, url=data["url"], label=data["label"], chosen=data["types"]
                )
            except Refused as error:
                return _shown(request, row, form, apply_refusal(form, error))
            messages.success(request, _("Saved"))
            return redirect("web:webhook", row.public_id)
        return _shown(request, row, form, 422)
    return _shown(request, row)


def _shown(
    request: MerchantRequest, row: WebhookEndpoint, form: EndpointForm | None = None, status: int = 200
) -> HttpResponse:
    state = health(row)
    latest = WebhookDelivery.objects.filter(endpoint=row).defer("body").order_by("-pk")[:5]
    context = {
        "row": row,
        "health": state,
        "tone": TONES[state.tone],
        "form": form or EndpointForm(initial={"url": row.url, "label": row.label, "types": row.types}),
        "test_form": TestForm(),
        "since_form": SinceForm(auto_id="since-%s"),
        "latest": latest,
        "may_manage": request.membership.may(Role.ADMIN),
        "codes": [(f"verify-{ending}", label, snippet(ending)) for ending, label in LANGUAGES],
    }
    return render(request, "web/webhooks/endpoint.html", context, status=status)


@lru_cache(maxsize=4)
def snippet(ending: str) -> str:
    """The code that verifies a signature, in one of LANGUAGES."""
    return (_FOLDER / f"verify.{ending}.txt").read_text(encoding="utf-8").rstrip("\n")


@member(role=Role.ADMIN)
@require_POST
@fresh_login
def rotate(request: MerchantRequest, public_id: str) -> HttpResponse:
    """A new secret, shown this once."""
    row = own(WebhookEndpoint.objects.all(), request, public_id)
    try:
        row, secret = endpoints.rotate(endpoint=row, actor=request.actor)
    except Refused as error:
        return refused(request, error, back=_back(row))
    return render(request, "web/webhooks/secret.html", {"row": row, "secret": secret, "rotated": True})


@member(role=Role.ADMIN)
@require_POST
def send_test(request: MerchantRequest, public_id: str) -> HttpResponse:
    """Send a sample, and show what becomes of it."""
    row = own(WebhookEndpoint.objects.all(), request, public_id)
    form = TestForm(request.POST)
    try:
        delivery = endpoints.send_test(endpoint=row, type_=form.data.get("type", ""))
    except Refused as error:
        return refused(request, error, back=_back(row))
    messages.success(request, _("The test is on its way. Reload this page in a moment."))
    return redirect("web:delivery", delivery.public_id)


@member(role=Role.ADMIN)
@require_POST
def enable(request: MerchantRequest, public_id: str) -> HttpResponse:
    """Send again from now on, or from a time on."""
    row = own(WebhookEndpoint.objects.all(), request, public_id)
    try:
        count = endpoints.enable(endpoint=row, actor=request.actor, since=SinceForm(request.POST).moment())
    except Refused as error:
        return refused(request, error, back=_back(row))
    messages.success(request, _("Enabled") if not count else _said(count))
    return redirect("web:webhook", row.public_id)


@member(role=Role.ADMIN)
@require_POST
def disable(request: MerchantRequest, public_id: str) -> HttpResponse:
    """Send nothing for now."""
    row = own(WebhookEndpoint.objects.all(), request, public_id)
    try:
        endpoints.disable(endpoint=row, actor=request.actor)
    except Refused as error:
        return refused(request, error, back=_back(row))
    undo = reverse("web:webhook_enable", args=[row.public_id])
    messages.success(request, _("Disabled. Nothing is sent there."), extra_tags=f"undo:{undo}")
    return redirect("web:webhook", row.public_id)


@member(role=Role.ADMIN)
@require_POST
def replay(request: MerchantRequest, public_id: str) -> HttpResponse:
    """Send again what has failed, or everything that did not arrive since a time."""
    row = own(WebhookEndpoint.objects.all(), request, public_id)
    since = SinceForm(request.POST).moment()
    try:
        count = endpoints.replay_failed(endpoint=row) if since is None else endpoints.replay(endpoint=row, since=since)
    except Refused as error:
        return refused(request, error, back=_back(row))
    messages.success(request, _said(count))
    return redirect("web:webhook", row.public_id)


@member(role=Role.ADMIN)
@require_POST
def remove(request: MerchantRequest, public_id: str) -> HttpResponse:
    """Take an endpoint away with its secrets."""
    row = own(WebhookEndpoint.objects.all(), request, public_id)
    try:
        endpoints.remove(endpoint=row, actor=request.actor)
    except Refused as error:
        return refused(request, error, back=_back(row))
    messages.success(request, _("%(name)s is removed") % {"name": row})
    return redirect("web:webhooks")


def _said(count: int) -> str:
    text = ngettext("%(count)d message goes out again", "%(count)d messages go out again", count)
    return text % {"count": count}


def _back(row: WebhookEndpoint) -> str:
    return reverse("web:webhook", args=[row.public_id])
