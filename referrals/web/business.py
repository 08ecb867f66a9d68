"""The business: its settings, one more of them, and which one and which side is shown."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from referrals.accounts.models import Membership, Merchant, Role
from referrals.accounts.services import create_merchant, update_merchant
from referrals.lib.errors import Refused
from referrals.web.access import SESSION_MERCHANT, SESSION_TEST, MerchantRequest, UserRequest, member, signed_in
from referrals.web.account_forms import BusinessForm, NewBusinessForm
from referrals.web.campaign_forms import apply_refusal

SECTIONS = ("campaigns", "participants", "rewards", "connections", "developers", "settings")


@member(change=Role.ADMIN)
def settings_page(request: MerchantRequest) -> HttpResponse:
    """Name, currency, time zone, website; viewers and managers read them."""
    # A copy, because validating a form writes into its instance, and the frame of the page shows the name.
    current = Merchant.objects.get(pk=request.merchant.pk)
    form = BusinessForm(request.POST or None, instance=current)
    status = 200
    if request.method == "POST":
        status = 422
        if form.is_valid():
            try:
                update_merchant(merchant=request.merchant, actor=request.actor, **form.cleaned_data)
            except Refused as error:
                status = apply_refusal(form, error)
            else:
                messages.success(request, _("Settings saved"))
                return redirect("web:settings")
    may_change = request.membership.may(Role.ADMIN)
    if not may_change:
        for field in form.fields.values():
            field.disabled = True
    context = {"form": form, "may_change": may_change}
    return render(request, "web/settings/business.html", context, status=status)


@signed_in
def new_business(request: UserRequest) -> HttpResponse:
    """Make a business, as its owner: for people who were removed from theirs, or run several."""
    form = NewBusinessForm(request.POST or None)
    status = 200
    if request.method == "POST":
        status = 422
        if form.is_valid():
            try:
                merchant = create_merchant(owner=request.user, **form.cleaned_data)
            except Refused as error:
                status = apply_refusal(form, error)
            else:
                request.session[SESSION_MERCHANT] = merchant.pk
                request.session[SESSION_TEST] = False
                messages.success(request, _("%(name)s is ready") % {"name": merchant.name})
                return redirect("web:home")
    return render(request, "web/settings/new_business.html", {"form": form}, status=status)


@member(change=Role.VIEWER)
@require_POST
def switch_merchant(request: MerchantRequest) -> HttpResponse:
    """Show another business of the same person; one that is not theirs changes nothing."""
    wanted = request.POST.get("merchant", "")
    found = Membership.objects.filter(user=request.user, merchant__public_id=wanted).first()
    if found is None:
        messages.error(request, _("You are not in the team of that business."))
    else:
        request.session[SESSION_MERCHANT] = found.merchant_id
        request.session[SESSION_TEST] = False
    return redirect("web:home")


@member(change=Role.VIEWER)
@require_POST
def switch_mode(request: MerchantRequest) -> HttpResponse:
    """Show the live or the test side, in the same part of the app; single things exist on one side only."""
    mode = request.POST.get("mode")
    if mode in {"live", "test"}:
        request.session[SESSION_TEST] = mode == "test"
    return redirect(_section(request))


def _section(request: MerchantRequest) -> str:
    """The menu's page that the form was sent from; home for anything else, other sites included."""
    path = "/" + request.headers.get("Referer", "").partition("://")[2].partition("/")[2]
    sections = [reverse(f"web:{name}") for name in SECTIONS]
    return next((section for section in sections if path.startswith(section)), reverse("web:home"))
