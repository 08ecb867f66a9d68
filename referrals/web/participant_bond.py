"""A person's bond, from their page: attaching a missed referral, detaching a wrong one, and how far a sale has come."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from participants.models import Participant, Referral
from referrals.accounts.models import Role
from referrals.lib.errors import Refused
from referrals.web.access import MerchantRequest, member, own
from referrals.web.campaign_forms import carry_out
from referrals.web.participant_forms import AttachForm, ReasonForm, StatusForm
from referrals.web.participants import referrer_of
from rewards import bonds
from rewards.statuses import set_status


def _person(request: MerchantRequest, public_id: str) -> Participant:
    return own(Participant.objects.select_related("campaign", "merchant", "referral__referrer"), request, public_id)


@member(role=Role.MANAGER)
def participant_attach(request: MerchantRequest, public_id: str) -> HttpResponse:
    """Name who invited them: what they did is decided again, as if it had been known from the day they joined."""
    person = _person(request, public_id)
    form = AttachForm(request.POST if request.method == "POST" else None)
    made: list[Referral] = []
    status = carry_out(form, lambda: made.append(_attach(request, person, **form.cleaned_data)))
    if status is None:
        text = _("%(who)s is now a friend of %(referrer)s")
        return _done(request, person, text % {"who": person, "referrer": made[0].referrer})
    context = {"person": person, "form": form, "attaching": True, "referrer": referrer_of(person)}
    return render(request, "web/participants/bond.html", context, status=status)


def _attach(request: MerchantRequest, person: Participant, referrer: str, reason: str) -> Referral:
    try:
        found = bonds.find_referrer(person, referrer)
        return bonds.attach(participant=person, referrer=found, actor=request.actor, reason=reason)
    except Refused as error:
        if error.code == "referrer_not_found":
            error.status = 422  # what was typed, not the page
        raise


@member(role=Role.MANAGER)
def participant_detach(request: MerchantRequest, public_id: str) -> HttpResponse:
    """End a wrong referral: GET says what will happen, POST does it with a reason."""
    person = _person(request, public_id)
    form = ReasonForm(request.POST if request.method == "POST" else None)
    status = carry_out(form, lambda: bonds.detach(participant=person, actor=request.actor, **form.cleaned_data))
    if status is None:
        return _done(request, person, _("%(who)s is detached") % {"who": person})
    context = {"person": person, "form": form, "attaching": False, "referrer": referrer_of(person)}
    return render(request, "web/participants/bond.html", context, status=status)


@member(role=Role.MANAGER)
def participant_status(request: MerchantRequest, public_id: str) -> HttpResponse:
    """Say how far their sale has come; rewards for a status follow at once."""
    person = _person(request, public_id)
    referral = Referral.objects.filter(standing_for=person).first()
    if referral is None:
        messages.error(request, _("%(who)s was not referred by anybody.") % {"who": person})
        return redirect("web:participant", person.public_id)
    form = StatusForm(
        request.POST if request.method == "POST" else None,
        initial={"status": referral.status},
        currency=person.campaign.currency,
    )
    status = carry_out(form, lambda: set_status(participant=person, actor=request.actor, **form.cleaned_data))
    if status is None:
        messages.success(request, _("Status saved"))
        return redirect("web:participant", person.public_id)
    context = {"person": person, "form": form, "referrer": referrer_of(person)}
    return render(request, "web/participants/status.html", context, status=status)


def _done(request: MerchantRequest, person: Participant, text: str) -> HttpResponse:
    undo = reverse("web:participant_bond_undo", args=[person.public_id])
    messages.success(request, text, extra_tags=f"undo:{undo}")
    return redirect("web:participant", person.public_id)


@require_POST
@member(role=Role.MANAGER)
def participant_bond_undo(request: MerchantRequest, public_id: str) -> HttpResponse:
    """Take back the last attaching or detaching of a person."""
    person = _person(request, public_id)
    bond = person.referrals_had.select_related("referrer__campaign", "invitee__campaign").order_by("-pk").first()
    if bond is None:
        messages.error(request, _("%(who)s was not referred by anybody.") % {"who": person})
        return redirect("web:participant", person.public_id)
    try:
        bonds.undo(referral=bond, actor=request.actor)
    except Refused as error:
        messages.error(request, error.message)
    else:
        messages.success(request, _("Undone"))
    return redirect("web:participant", person.public_id)
