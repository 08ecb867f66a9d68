"""Connecting by allowing an app on the company's own page: there by a link, and back with an answer that only this session can use."""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from integrations import installing, registry
from integrations.models import Connection
from referrals.accounts.models import Role
from referrals.lib.errors import Refused
from referrals.web.access import MerchantRequest, member, own, refused

SESSION = "connection_install"


@require_POST
@member(change=Role.ADMIN)
def connection_install(request: MerchantRequest, public_id: str) -> HttpResponse:
    """The link to the company's page. It is a link and no redirection, because a form of ours may not lead anywhere else (CSP)."""
    row = own(Connection.objects.all(), request, public_id)
    back = request.build_absolute_uri(reverse("web:connection_installed"))
    whose = request.POST.get("whose", "")[:200]
    try:
        address, kept = installing.begin(connection=row, whose=whose, back=back)
    except Refused as error:
        return refused(request, error, back=reverse("web:connection", args=[row.public_id]))
    request.session[SESSION] = kept
    context = {"row": row, "provider": registry.get(row.provider), "address": address, "whose": kept["whose"]}
    return render(request, "web/connections/install.html", context)


@require_GET
@member(role=Role.ADMIN)
def connection_installed(request: MerchantRequest) -> HttpResponse:
    """Back from there. What the session kept works once, whatever comes of it."""
    kept = request.session.pop(SESSION, None)
    if not isinstance(kept, dict):
        raise Http404
    row = own(Connection.objects.all(), request, str(kept.get("connection")))
    page = reverse("web:connection", args=[row.public_id])
    try:
        installing.finish(connection=row, actor=request.actor, kept=kept, query=request.GET.dict())
    except Refused as error:
        return refused(request, error, back=page)
    messages.success(request, _("%(provider)s is connected.") % {"provider": registry.get(row.provider).label})
    return redirect(page)
