"""A participant's chosen code, set or taken away by the merchant."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from participants import mailing
from participants.codes import choose_code, release_code
from participants.models import Participant
from referrals.accounts.models import Role
from referrals.lib.errors import Refused
from referrals.web.access import MerchantRequest, member, own, refused


@require_POST
@member(role=Role.MANAGER)
def participant_code(request: MerchantRequest, public_id: str) -> HttpResponse:
    """Choose a code for them, or take their chosen codes away, which then stop working."""
    person = own(Participant.objects.select_related("campaign", "merchant"), request, public_id)
    back = reverse("web:participant", args=[person.public_id])
    try:
        if request.POST.get("release"):
            release_code(participant=person, actor=request.actor)
            said = _("Their chosen codes no longer work; their first one does")
        else:
            person = choose_code(participant=person, text=request.POST.get("code", "")[:64], actor=request.actor)
            said = _("Code saved")
    except Refused as error:
        return refused(request, error, back=back)
    messages.success(request, said)
    return redirect(back)


@require_POST
@member(role=Role.MANAGER)
def participant_mail(request: MerchantRequest, public_id: str) -> HttpResponse:
    """Write to their address again, although it bounced."""
    person = own(Participant.objects.select_related("campaign", "merchant"), request, public_id)
    if mailing.clear_bounce(participant=person, actor=request.actor):
        messages.success(request, _("Mails go to their address again"))
    return redirect("web:participant", person.public_id)
