"""The page behind a mailed invitation: opening it shows, a button acts."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.utils.cache import add_never_cache_headers
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from referrals.accounts.models import Invitation, Membership, User
from referrals.accounts.services import accept, accept_as_new, find_invitation
from referrals.lib.errors import Refused
from referrals.web.access import SESSION_MERCHANT, SESSION_TEST
from referrals.web.account_forms import JoinForm
from referrals.web.campaign_forms import apply_refusal

BACKEND = "allauth.account.auth_backends.AuthenticationBackend"


@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
def invitation(request: HttpRequest, token: str) -> HttpResponse:
    """Join a team: as the one who is logged in, after logging in, or with a new account for the invited address."""
    found = find_invitation(token)
    if found is None:
        response = render(request, "web/invitation/over.html", status=404)
    elif isinstance(request.user, User):
        response = _as_member(request, found, request.user)
    else:
        response = _as_stranger(request, found)
    add_never_cache_headers(response)
    response["Referrer-Policy"] = "same-origin"  # the address is the secret
    return response


def _as_member(request: HttpRequest, found: Invitation, user: User) -> HttpResponse:
    if request.method == "POST":
        try:
            return _welcome(request, accept(invitation=found, user=user))
        except Refused as error:
            messages.error(request, error.message)
            return redirect("web:home")
    return render(request, "web/invitation/join.html", {"invitation": found})


def _as_stranger(request: HttpRequest, found: Invitation) -> HttpResponse:
    log_in = redirect_to_login(request.path).url
    if User.objects.filter(email=found.email).exists():
        if request.method == "POST":
            return HttpResponseRedirect(log_in)
        return render(request, "web/invitation/join.html", {"invitation": found, "log_in": log_in})
    form = JoinForm(request.POST or None, email=found.email)
    status = 200
    if request.method == "POST":
        status = 422
        if form.is_valid():
            try:
                membership = accept_as_new(invitation=found, **form.cleaned_data)
            except Refused as error:
                status = apply_refusal(form, error)
            else:
                login(request, membership.user, backend=BACKEND)
                return _welcome(request, membership)
    context = {"invitation": found, "form": form, "other_log_in": log_in}
    return render(request, "web/invitation/join.html", context, status=status)


def _welcome(request: HttpRequest, membership: Membership) -> HttpResponse:
    request.session[SESSION_MERCHANT] = membership.merchant_id
    request.session[SESSION_TEST] = False
    messages.success(request, _("Welcome to %(merchant)s") % {"merchant": membership.merchant.name})
    return redirect("web:home")
