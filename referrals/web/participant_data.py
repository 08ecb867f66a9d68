"""A person's own data, for a merchant who is asked for it: download all of it, or erase it (docs/portal.md)."""

from __future__ import annotations

import json

from django import forms
from django.contrib import messages
from django.core.serializers.json import DjangoJSONEncoder
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy
from django.views.decorators.http import require_POST

from referrals.accounts.models import Role
from referrals.events import types
from referrals.events.services import Happening, record
from referrals.web.access import MerchantRequest, fresh_login, member
from referrals.web.campaign_forms import carry_out
from referrals.web.participant import person_of_page
from rewards import personal


class EraseForm(forms.Form):
    """The word that nobody types by mistake."""

    word = forms.CharField(
        label=lazy("Type ERASE to go on"),
        max_length=10,
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "characters", "spellcheck": "false"}),
    )

    def clean_word(self) -> str:
        """The word itself, in capitals or not."""
        word = str(self.cleaned_data["word"]).strip()
        if word.upper() != "ERASE":
            raise forms.ValidationError(_("This is not the word. Nothing was erased."))
        return word


@require_POST
@member(role=Role.MANAGER)
@fresh_login
def participant_data(request: MerchantRequest, public_id: str) -> HttpResponse:
    """Everything that is held about the person, as JSON; history says who took it."""
    person = person_of_page(request, public_id)
    text = json.dumps(personal.export(person), cls=DjangoJSONEncoder, ensure_ascii=False, indent=2)
    told = Happening(
        types.EXPORT_MADE,
        "participant",
        person.public_id,
        campaign=person.campaign.public_id,
        participant=person.public_id,
        data={"what": "personal_data"},
    )
    with transaction.atomic():
        record(request.tenant, request.actor, told)
    response = HttpResponse(text, content_type="application/json; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{person.public_id}.json"'
    response["Cache-Control"] = "private, no-store"
    return response


@member(role=Role.MANAGER)
@fresh_login
def participant_erase(request: MerchantRequest, public_id: str) -> HttpResponse:
    """GET says what goes, what stays and what is given up; POST erases."""
    person = person_of_page(request, public_id)
    form = EraseForm(request.POST if request.method == "POST" else None)
    status = carry_out(form, lambda: personal.erase(participant=person, actor=request.actor))
    if status is None:
        messages.success(request, _("The person's data is erased"))
        return redirect(reverse("web:participant", args=[person.public_id]))
    context = {"person": person, "form": form, "open": personal.open_rewards(person)}
    return render(request, "web/participants/erase.html", context, status=status)
