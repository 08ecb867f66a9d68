"""The team: who is in it, roles, invitations."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from referrals.accounts import services
from referrals.accounts.limits import allow
from referrals.accounts.models import Invitation, Membership, Role
from referrals.lib.errors import Refused
from referrals.web.access import SESSION_MERCHANT, MerchantRequest, fresh_login, member, refused
from referrals.web.account_forms import InviteForm, roles_for
from referrals.web.campaign_forms import apply_refusal

INVITATIONS_PER_DAY = 50


def _page(request: MerchantRequest, form: InviteForm | None = None, status: int = 200) -> HttpResponse:
    me = request.membership
    members = request.merchant.memberships.select_related("user").order_by("pk")
    may_manage = me.may(Role.ADMIN)
    invitations = request.merchant.invitations.filter(accepted_at=None, revoked_at=None) if may_manage else []
    context: dict[str, Any] = {
        "members": [
            {
                "row": row,
                "is_me": row.pk == me.pk,
                "may_change": may_manage and me.may(Role(row.role)),
                "may_remove": row.pk == me.pk or (may_manage and me.may(Role(row.role))),
            }
            for row in members
        ],
        "invitations": invitations,
        "now": timezone.now(),
        "roles": roles_for(me),
        "may_manage": may_manage,
        "form": form or InviteForm(by=me),
    }
    return render(request, "web/settings/team.html", context, status=status)


@member(change=Role.ADMIN)
def team(request: MerchantRequest) -> HttpResponseBase:
    """Who is in the team, and who is invited."""
    return _page(request) if request.method != "POST" else invite(request)


@fresh_login
def invite(request: MerchantRequest) -> HttpResponse:
    """Invite an address; part of the team page."""
    form = InviteForm(request.POST, by=request.membership)
    if not form.is_valid():
        return _page(request, form, 422)
    if not allow(f"invite:{request.merchant.pk}", INVITATIONS_PER_DAY, 24 * 3600):
        message = _("More than %(count)d invitations today. Go on tomorrow.") % {"count": INVITATIONS_PER_DAY}
        messages.error(request, message)
        return _page(request, form, 429)
    try:
        services.invite(by=request.membership, email=form.cleaned_data["email"], role=Role(form.cleaned_data["role"]))
    except Refused as error:
        return _page(request, form, apply_refusal(form, error))
    messages.success(request, _("Invitation sent to %(email)s") % {"email": form.cleaned_data["email"]})
    return redirect("web:team")


def _member(request: MerchantRequest, public_id: str) -> Membership:
    found = request.merchant.memberships.select_related("user").filter(public_id=public_id).first()
    if found is None:
        raise Http404
    return found


def _invitation(request: MerchantRequest, public_id: str) -> Invitation:
    found = request.merchant.invitations.filter(public_id=public_id).first()
    if found is None:
        raise Http404
    return found


@member(role=Role.ADMIN)
@require_POST
@fresh_login
def change_role(request: MerchantRequest, public_id: str) -> HttpResponse:
    """Give a member another role."""
    target, wanted = _member(request, public_id), request.POST.get("role", "")
    try:
        if wanted not in Role.values:
            raise Refused("role_unknown", _("Choose one of the roles."), field="role")
        changed = services.change_role(membership=target, role=Role(wanted), by=request.membership)
    except Refused as error:
        return refused(request, error, back=reverse("web:team"))
    if changed:
        facts = {"name": str(target.user), "role": Role(wanted).label}
        messages.success(request, _("%(name)s has the role %(role)s now") % facts)
    return redirect("web:team")


@member(change=Role.VIEWER)
@require_POST
@fresh_login
def remove(request: MerchantRequest, public_id: str) -> HttpResponse:
    """Take somebody out of the team, or leave it."""
    target = _member(request, public_id)
    try:
        services.remove_member(membership=target, by=request.membership)
    except Refused as error:
        return refused(request, error, back=reverse("web:team"))
    if target.pk == request.membership.pk:
        request.session.pop(SESSION_MERCHANT, None)
        messages.success(request, _("You left %(merchant)s") % {"merchant": request.merchant.name})
        return redirect("web:home")
    messages.success(request, _("%(name)s is no longer in the team") % {"name": str(target.user)})
    return redirect("web:team")


@member(role=Role.ADMIN)
@require_POST
def resend(request: MerchantRequest, public_id: str) -> HttpResponse:
    """Mail an open invitation again."""
    invitation = _invitation(request, public_id)
    if not allow(f"invite:{request.merchant.pk}", INVITATIONS_PER_DAY, 24 * 3600):
        messages.error(request, _("More than %(count)d invitations today.") % {"count": INVITATIONS_PER_DAY})
        return redirect("web:team")
    try:
        services.resend_invitation(invitation=invitation, by=request.membership)
    except Refused as error:
        return refused(request, error, back=reverse("web:team"))
    messages.success(request, _("Invitation sent again to %(email)s") % {"email": invitation.email})
    return redirect("web:team")


@member(role=Role.ADMIN)
@require_POST
def revoke(request: MerchantRequest, public_id: str) -> HttpResponse:
    """Take an invitation back."""
    invitation = _invitation(request, public_id)
    try:
        services.revoke_invitation(invitation=invitation, by=request.membership)
    except Refused as error:
        return refused(request, error, back=reverse("web:team"))
    messages.success(request, _("Invitation of %(email)s taken back") % {"email": invitation.email})
    return redirect("web:team")
