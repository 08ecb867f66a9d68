"""Forms of a campaign's Hub page: what the directory says about it, and what applicants are asked."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as lazy

from campaigns.listing_models import CATEGORIES, Listing
from campaigns.listings import (
    DESCRIPTION_LENGTH,
    KINDS,
    MOST_QUESTIONS,
    QUESTION_LENGTH,
    TERMS_LENGTH,
    Question,
    questions_of,
)
from referrals.lib import countries
from referrals.web.link_forms import Lines

# Empty rows for questions that are shown besides those that exist.
SPARE = 2


class ListingForm(forms.Form):
    """Everything of a listing but its questions."""

    revision = forms.IntegerField(widget=forms.HiddenInput)
    is_on = forms.BooleanField(
        label=lazy("Show this programme in the affiliate hub"),
        required=False,
        help_text=lazy("While the campaign runs. Anybody can read it and apply."),
    )
    slug = forms.CharField(
        label=lazy("Name in the address"),
        required=False,
        max_length=60,
        widget=forms.TextInput(attrs={"dir": "ltr", "autocapitalize": "none", "spellcheck": "false"}),
        help_text=lazy("Small letters, digits and hyphens. Empty: made from your name and the campaign's."),
    )
    category = forms.ChoiceField(label=lazy("Category"), choices=CATEGORIES)
    countries = forms.CharField(
        label=lazy("Countries"),
        required=False,
        max_length=4000,
        help_text=lazy("Names or codes with commas between, such as Austria, DE. Empty: everywhere."),
    )
    description = forms.CharField(
        label=lazy("Description"),
        required=False,
        max_length=DESCRIPTION_LENGTH,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text=lazy("One paragraph: what you sell, and who affiliates should recommend it to."),
    )
    terms = forms.CharField(
        label=lazy("Terms"),
        required=False,
        max_length=TERMS_LENGTH,
        widget=forms.Textarea(attrs={"rows": 5}),
        help_text=lazy("Plain text. Who applies agrees to them."),
    )
    terms_url = forms.CharField(
        label=lazy("Terms on a page of yours"),
        required=False,
        max_length=500,
        widget=forms.URLInput(attrs={"dir": "ltr", "placeholder": "https://example.com/affiliate-terms"}),
    )
    approval = forms.ChoiceField(label=lazy("Who is let in"), choices=Listing.APPROVALS, widget=forms.RadioSelect)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.use_required_attribute = False

    def changes(self) -> dict[str, Any]:
        """The listing's fields as they were filled in."""
        data = {name: value for name, value in self.cleaned_data.items() if name != "revision"}
        named = [text.strip() for text in data["countries"].replace("\n", ",").split(",")]
        return data | {"countries": [text for text in named if text]}


class QuestionForm(forms.Form):
    """One question; a row without a text is none."""

    key = forms.CharField(required=False, max_length=6, widget=forms.HiddenInput)
    label = forms.CharField(label=lazy("Question"), required=False, max_length=QUESTION_LENGTH)
    kind = forms.ChoiceField(label=lazy("Answer"), choices=KINDS.items())
    choices = Lines(label=lazy("Choices"), help_text=lazy("One a line, for the kind Choice only."))
    required = forms.BooleanField(label=lazy("Has to be answered"), required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["choices"].widget.attrs["rows"] = 2

    def question(self) -> Question | None:
        """The question; None for an empty row."""
        data = self.cleaned_data
        if not data["label"].strip():
            return None
        choices = tuple(data["choices"]) if data["kind"] == "choice" else ()
        return Question(data["label"], data["kind"], data["required"], choices, data["key"])


def listing_initial(listing: Listing) -> dict[str, Any]:
    """A listing's values for ListingForm."""
    known = countries.names(get_language() or "en")
    names = "is_on slug category description terms terms_url approval".split()
    return {
        "revision": listing.campaign.revision,
        **{name: getattr(listing, name) for name in names},
        "countries": ", ".join(known.get(code, code) for code in listing.country_codes),
    }


def question_forms(listing: Listing, data: Any = None) -> list[QuestionForm]:
    """A form for each question, and some empty ones; from `data` as many as it has."""
    if data is not None:
        rows = [number for number in range(MOST_QUESTIONS) if f"question-{number}-kind" in data]
        return [QuestionForm(data, prefix=f"question-{number}", use_required_attribute=False) for number in rows]
    known: list[dict[str, Any]] = [
        {"key": q.key, "label": q.label, "kind": q.kind, "choices": list(q.choices), "required": q.required}
        for q in questions_of(listing)
    ]
    known += [{} for _row in range(min(SPARE, MOST_QUESTIONS - len(known)))]
    return [
        QuestionForm(initial=values, prefix=f"question-{number}", use_required_attribute=False)
        for number, values in enumerate(known)
    ]
