"""A campaign's Mails page: which are sent, their subject and first words, a preview, and a test to oneself."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy
from django.views.decorators.http import require_POST

from campaigns import mails
from campaigns.mails import KINDS, LENGTHS
from campaigns.models import Campaign
from referrals.accounts import limits
from referrals.accounts.models import Role
from referrals.lib.errors import Refused
from referrals.web.access import MerchantRequest, member, own
from referrals.web.campaign_forms import apply_refusal
from referrals.web.campaigns import campaign_context

TESTS_AN_HOUR = 20


class MailForm(forms.Form):
    """Whether one kind of mail is sent, and the merchant's words in one language."""

    is_on = forms.BooleanField(label=lazy("Send this mail"), required=False)
    subject = forms.CharField(
        label=lazy("Subject"),
        required=False,
        max_length=LENGTHS["subject"],
        help_text=lazy("{name}, {friend}, {amount} and {merchant} are filled in. Empty: our words."),
    )
    opening = forms.CharField(
        label=lazy("First words"),
        required=False,
        max_length=LENGTHS["opening"],
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text=lazy("Plain text before ours; each line is a paragraph."),
    )


@member()
def campaign_mails(request: MerchantRequest, public_id: str) -> HttpResponse:
    """One kind of mail in one language, beside what it looks like."""
    campaign = own(Campaign.objects.select_related("merchant"), request, public_id)
    kind, language = _chosen(request, campaign)
    found = mails.mail_settings(campaign)
    words = found[kind].words.get(language, mails.MailWords())
    initial = {"is_on": found[kind].is_on, "subject": words.subject, "opening": words.opening}
    form = MailForm(request.POST if request.method == "POST" else None, initial=initial)
    status = 200
    if request.method == "POST":
        status = 422
        if form.is_valid():
            try:
                mails.save_mail(
                    campaign=campaign, kind=kind, language=language, actor=request.actor, **form.cleaned_data
                )
            except Refused as error:
                status = apply_refusal(form, error)
            else:
                messages.success(request, _("Mail saved"))
                return redirect(_address(campaign, kind, language))
    as_text = request.GET.get("as") == "text"
    token = mails.preview_token(campaign, kind, language)
    context: dict[str, Any] = {
        **campaign_context(request, campaign, "mails"),
        "form": form,
        "kind": KINDS[kind],
        "kinds": [(one, found[name].is_on, _address(campaign, name, language)) for name, one in KINDS.items()],
        "language": language,
        "languages": [(code, name, _address(campaign, kind, code)) for code, name in settings.LANGUAGES],
        "as_text": as_text,
        "here": _address(campaign, kind, language),
        "preview_url": f"/me/mail-preview/{token}{'?as=text' if as_text else ''}",
    }
    return render(request, "web/campaigns/mails.html", context, status=status)


@require_POST
@member(role=Role.MANAGER)
def campaign_mail_test(request: MerchantRequest, public_id: str) -> HttpResponse:
    """Send a sample to whoever presses the button."""
    campaign = own(Campaign.objects.select_related("merchant"), request, public_id)
    kind, language = _chosen(request, campaign)
    if limits.allow(f"mail-test:{request.user.pk}", TESTS_AN_HOUR, 3600):
        mails.ask_for_test(campaign=campaign, kind=kind, language=language, user_id=request.user.pk)
        messages.success(request, _("A test is on its way to %(email)s") % {"email": request.user.email})
    else:
        messages.error(request, _("That were many tests. Try again in an hour."))
    return redirect(_address(campaign, kind, language))


def _chosen(request: MerchantRequest, campaign: Campaign) -> tuple[str, str]:
    """The kind and language that the address or form names, where they exist."""
    asked = request.POST if request.method == "POST" else request.GET
    kind, language = asked.get("kind", ""), asked.get("language", "")
    known = dict(settings.LANGUAGES)
    default = campaign.default_language if campaign.default_language in known else "en"
    return (kind if kind in KINDS else "friend_joined"), (language if language in known else default)


def _address(campaign: Campaign, kind: str, language: str) -> str:
    query = urlencode({"kind": kind, "language": language})
    return f"{reverse('web:campaign_mails', args=[campaign.public_id])}?{query}"
