"""Developers: API keys, and where the API is described."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from campaigns.models import Campaign
from referrals.accounts import keys, signing
from referrals.accounts.models import ApiKey, Role, Scope, SigningSecret
from referrals.lib.errors import Refused
from referrals.web.access import MerchantRequest, fresh_login, member, own, refused
from referrals.web.account_forms import KeyForm, RotateForm
from referrals.web.campaign_forms import apply_refusal

ENDED_SHOWN = 20


def _page(request: MerchantRequest, form: KeyForm | None = None, status: int = 200) -> HttpResponse:
    now = timezone.now()
    rows = ApiKey.objects.for_tenant(request.tenant).select_related("created_by").order_by("-pk")
    ended = rows.exclude(pk__in=rows.usable(now).values("pk"))[:ENDED_SHOWN]
    labels = {value: str(label) for value, label in Scope.choices}
    context = {
        "usable": [{"row": row, "scopes": [labels[scope] for scope in row.scopes]} for row in rows.usable(now)],
        "ended": ended,
        "form": form or KeyForm(),
        "may_manage": request.membership.may(Role.ADMIN),
        "signing": SigningSecret.objects.for_tenant(request.tenant).first(),
        "campaign": Campaign.objects.for_tenant(request.tenant).order_by("-pk").first(),
    }
    return render(request, "web/developers/keys.html", context, status=status)


@member(change=Role.ADMIN)
def developers(request: MerchantRequest) -> HttpResponseBase:
    """The keys of the side that is shown, and the links of the reference."""
    return _page(request) if request.method != "POST" else create(request)


@fresh_login
def create(request: MerchantRequest) -> HttpResponse:
    """Make a key and show it this once; part of the developers page."""
    form = KeyForm(request.POST)
    if not form.is_valid():
        return _page(request, form, 422)
    try:
        key, text = keys.create_api_key(
            tenant=request.tenant,
            name=form.cleaned_data["name"],
            kind=form.cleaned_data["kind"],
            scopes=form.cleaned_data["scopes"],
            actor=request.actor,
            user=request.user,
        )
    except Refused as error:
        return _page(request, form, apply_refusal(form, error))
    return render(request, "web/developers/key_made.html", {"key": key, "text": text, "old": None})


@member(role=Role.ADMIN)
def key_page(request: MerchantRequest, public_id: str) -> HttpResponse:
    """One key, with what can be done about it."""
    key = own(ApiKey.objects.select_related("created_by"), request, public_id)
    labels = {value: str(label) for value, label in Scope.choices}
    now = timezone.now()
    context = {
        "key": key,
        "scopes": [labels[scope] for scope in key.scopes],
        "works": key.revoked_at is None and (key.expires_at is None or key.expires_at > now),
        "form": RotateForm(),
    }
    return render(request, "web/developers/key.html", context)


@member(role=Role.ADMIN)
@require_POST
@fresh_login
def rotate(request: MerchantRequest, public_id: str) -> HttpResponse:
    """A new key in place of an old one, which goes on for a while."""
    old = own(ApiKey.objects.all(), request, public_id)
    form = RotateForm(request.POST)
    hours = form.cleaned_data["overlap_hours"] if form.is_valid() else 24
    try:
        key, text = keys.rotate_api_key(key=old, actor=request.actor, user=request.user, overlap_hours=hours)
    except Refused as error:
        return refused(request, error, back=reverse("web:developers"))
    old.refresh_from_db()
    return render(request, "web/developers/key_made.html", {"key": key, "text": text, "old": old})


@member(role=Role.ADMIN)
@require_POST
def revoke(request: MerchantRequest, public_id: str) -> HttpResponse:
    """Stop a key at once."""
    key = own(ApiKey.objects.all(), request, public_id)
    try:
        keys.revoke_api_key(key=key, actor=request.actor)
    except Refused as error:
        return refused(request, error, back=reverse("web:developers"))
    messages.success(request, _("%(name)s is revoked") % {"name": key.name})
    return redirect("web:developers")


@member(role=Role.ADMIN)
@require_POST
@fresh_login
def signing_secret(request: MerchantRequest) -> HttpResponse:
    """Make or replace the secret that the merchant's server signs with, and show it this once."""
    try:
        text = signing.new_secret(tenant=request.tenant, actor=request.actor)
    except Refused as error:
        return refused(request, error, back=reverse("web:developers"))
    return render(request, "web/developers/secret_made.html", {"text": text})
