"""The form of an application: a public form without session or CSRF cookie, like the one for joining (referrals.hosted.join)."""

from __future__ import annotations

import logging
from typing import Any

from django import forms
from django.core import signing
from django.core.exceptions import ValidationError
from django.db import DatabaseError
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from campaigns.listing_models import Listing
from campaigns.listings import Question, questions_of
from participants import applications
from participants.services import check_email
from referrals.accounts import limits
from referrals.lib.errors import Refused
from referrals.lib.requests import client_key

log = logging.getLogger(__name__)
_FORM = "hosted.apply"
FORM_LIFE = 12 * 3600
# From one network a minute and an hour; mails to one address for one programme an hour.
A_MINUTE, AN_HOUR, MAILS = 5, 30, 3
_REQUIRED = gettext_lazy("Please answer this.")


class ApplyForm(forms.Form):
    """Address, name, the merchant's questions, the terms if there are any, and a trap for machines."""

    email = forms.CharField(
        label=gettext_lazy("E-mail address"),
        max_length=254,
        widget=forms.EmailInput(attrs={"autocomplete": "email", "inputmode": "email"}),
        error_messages={"required": gettext_lazy("Enter your e-mail address.")},
    )
    first_name = forms.CharField(
        label=gettext_lazy("First name"),
        max_length=80,
        widget=forms.TextInput(attrs={"autocomplete": "given-name"}),
        error_messages={"required": _REQUIRED},
    )
    last_name = forms.CharField(
        label=gettext_lazy("Last name"),
        max_length=80,
        widget=forms.TextInput(attrs={"autocomplete": "family-name"}),
        error_messages={"required": _REQUIRED},
    )
    company = forms.CharField(required=False)
    token = forms.CharField(required=False)

    def __init__(self, listing: Listing, data: Any = None) -> None:
        super().__init__(data, auto_id="apply-%s", label_suffix="")
        self.listing = listing
        self.questions = {f"q-{question.key}": question for question in questions_of(listing)}
        for name, question in self.questions.items():
            self.fields[name] = _field(question)
        if listing.terms or listing.terms_url:
            self.fields["agree"] = forms.BooleanField(
                label=_("I accept the terms of this programme"),
                error_messages={"required": _("Read the terms and tick this to apply.")},
            )

    def clean_email(self) -> str:
        """The address as typed, when it is one."""
        text = str(self.cleaned_data["email"])
        try:
            check_email(text)
        except Refused as refusal:
            raise ValidationError(refusal.message) from refusal
        return text

    def clean(self) -> None:
        """Whether the form is one of ours, not too old, and filled in by a person; and each answer."""
        self.answers = [self._answer(name, question) for name, question in self.questions.items()]
        if self.cleaned_data.get("company"):
            raise ValidationError(_("That looked like a machine's entry. Press the button once more."))
        try:
            given = signing.loads(self.cleaned_data.get("token", ""), salt=_FORM, max_age=FORM_LIFE)
        except signing.BadSignature:
            given = ""
        if given != self.listing.campaign.public_id:
            raise ValidationError(_("This page was open for a long time. Press the button once more."))

    def _answer(self, name: str, question: Question) -> dict[str, str]:
        if name in self.errors:
            return {}
        try:
            return applications.answer_of(question, str(self.cleaned_data.get(name, "")))
        except Refused as refusal:
            self.add_error(name, ValidationError(refusal.message, code=refusal.code))
            return {}

    @property
    def own_fields(self) -> list[forms.BoundField]:
        """What everybody is asked, and then the merchant's questions."""
        return [self[name] for name in ("email", "first_name", "last_name", *self.questions)]


def _field(question: Question) -> forms.Field:
    """The field of a question; answers are checked by answer_of()."""
    most = applications.LENGTHS[question.kind]
    common: dict[str, Any] = {
        "label": question.label,
        "required": question.required,
        "error_messages": {"required": _REQUIRED},
    }
    if question.kind == "choice":
        start = [("", _("Choose"))]
        wrong = {"invalid_choice": _("Choose one of the answers.")}
        common["error_messages"] |= wrong
        return forms.ChoiceField(choices=[*start, *((text, text) for text in question.choices)], **common)
    if question.kind == "long":
        return forms.CharField(max_length=most, widget=forms.Textarea(attrs={"rows": 4}), **common)
    if question.kind == "url":
        widget = forms.URLInput(attrs={"dir": "ltr", "placeholder": "https://"})
        return forms.CharField(max_length=most, widget=widget, **common)
    return forms.CharField(max_length=most, **common)


def form_token(listing: Listing) -> str:
    """The token that the programme's form carries for twelve hours."""
    return signing.dumps(listing.campaign.public_id, salt=_FORM)


def seconds_to_wait(request: HttpRequest, what: str = "apply") -> int:
    """How long this network has to wait before it may send such a form again; 0 when it may. Open when the counter is down."""
    ip = client_key(request)
    try:
        spans = [
            limits.take(f"{what}:{ip}", limit=A_MINUTE, seconds=60),
            limits.take(f"{what}-hour:{ip}", limit=AN_HOUR, seconds=3600),
        ]
    except DatabaseError:
        log.exception("The limit on applying can't be counted; letting the request through.")
        return 0
    return max((span.resets_in for span in spans if not span.allowed), default=0)


def may_mail(email: str, about: str) -> bool:
    """Whether one more mail about this may go to an address within the hour."""
    return limits.allow(f"hub-mail:{about}:{check_email(email).key}", MAILS, 3600)
