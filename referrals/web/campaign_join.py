"""A campaign's page "Join form": the terms, questions of the merchant's own, and whether the address is confirmed first."""

from __future__ import annotations

import re
from typing import Any, cast

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy
from django.views.decorators.http import require_POST

from campaigns import services
from campaigns.join_settings import LENGTHS, MOST_QUESTIONS, Question, questions_of
from campaigns.models import Campaign
from campaigns.preview import Preview, PreviewSide, preview_url
from participants.confirming import count_waiting
from referrals.accounts.models import Role
from referrals.lib.errors import Refused
from referrals.web.access import MerchantRequest, member, own
from referrals.web.campaign_forms import apply_refusal
from referrals.web.campaigns import campaign_context

KINDS = (
    ("text", lazy("Text")),
    ("choice", lazy("One of several answers")),
    ("number", lazy("Number")),
    ("date", lazy("Date")),
    ("tick", lazy("Box to tick")),
)
# Empty rows that the page offers besides the questions there are.
SPARE = 2
_AT = re.compile(r"questions\[(\d+)\]\.?(\w*)", re.ASCII)


class JoinSettingsForm(forms.Form):
    """The terms, and whether the address is confirmed."""

    revision = forms.IntegerField(widget=forms.HiddenInput)
    asks_terms = forms.BooleanField(
        label=lazy("People have to accept the terms"),
        required=False,
        help_text=lazy("A box on the form. Which version somebody accepted, and when, stands on their page."),
    )
    terms_url = forms.URLField(
        label=lazy("Address of the terms"),
        required=False,
        max_length=2000,
        assume_scheme="https",
        help_text=lazy("A page of yours. Empty: the terms written under Design and texts."),
    )
    confirms_email = forms.BooleanField(
        label=lazy("Joining counts once the address is confirmed"),
        required=False,
        help_text=lazy(
            "Everybody gets a mail with a link that works for three days. Before that nobody earns anything."
        ),
    )


class QuestionForm(forms.Form):
    """One question. A row without a name and a label is none."""

    key = forms.CharField(
        label=lazy("Name"),
        required=False,
        max_length=30,
        help_text=lazy("Small letters, digits and _. Rules and files know the answer as metadata.NAME."),
        widget=forms.TextInput(attrs={"dir": "ltr", "autocapitalize": "none", "spellcheck": "false"}),
    )
    kind = forms.ChoiceField(label=lazy("Kind of answer"), choices=KINDS, required=False)
    required = forms.BooleanField(label=lazy("Has to be answered"), required=False)
    remove = forms.BooleanField(label=lazy("Remove this question"), required=False)

    def __init__(self, *args: Any, language_names: dict[str, str], default: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.use_required_attribute = False
        self.default = default
        self.codes = [default, *(code for code in language_names if code != default)]
        for code in self.codes:
            words = {"language": language_names[code]}
            attrs = {"lang": code, "dir": "auto"}
            self.fields[f"label_{code}"] = forms.CharField(
                label=_("Question (%(language)s)") % words,
                required=False,
                max_length=LENGTHS["label"],
                widget=forms.TextInput(attrs=attrs),
            )
            hint = (
                _("For one of several: one on each line.") if code == default else _("In the same order as the first.")
            )
            self.fields[f"options_{code}"] = forms.CharField(
                label=_("Answers (%(language)s)") % words,
                required=False,
                max_length=2500,
                help_text=hint,
                widget=forms.Textarea(attrs={"rows": 3, **attrs}),
            )

    @property
    def heading(self) -> str:
        """What the row is called when it is folded."""
        return str(self[f"label_{self.default}"].value() or "")

    @property
    def main(self) -> list[forms.BoundField]:
        """The fields of the default language and those that have none."""
        names = ("key", "kind", f"label_{self.default}", f"options_{self.default}", "required", "remove")
        return [self[name] for name in names if name in self.fields]

    @property
    def translations(self) -> list[forms.BoundField]:
        """The words in the other languages."""
        return [self[f"{part}_{code}"] for code in self.codes[1:] for part in ("label", "options")]

    @property
    def is_wrong(self) -> bool:
        """Whether something in it has to be put right."""
        return self.is_bound and bool(self.errors)

    def question(self) -> Question | None:
        """The row as a question; None when it is empty or to be removed."""
        data = self.cleaned_data
        key, label = data.get("key", "").strip(), data.get(f"label_{self.default}", "").strip()
        if data.get("remove") or not (key or label):
            return None
        lines = {code: _lines(data.get(f"options_{code}", "")) for code in self.codes}
        return Question(
            key or _key_from(label),
            data.get("kind", "") or "text",
            bool(data.get("required")),
            {code: data.get(f"label_{code}", "").strip() for code in self.codes if data.get(f"label_{code}")},
            lines.pop(self.default),
            {code: texts for code, texts in lines.items() if texts},
        )


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def _key_from(label: str) -> str:
    """A name for a question that was given none: "Team size" is team_size."""
    return re.sub(r"[^a-z0-9]+", "_", label.lower()).strip("_")[:30] or "answer"


def _names(campaign: Campaign) -> tuple[dict[str, str], str]:
    names = {code: str(name) for code, name in settings.LANGUAGES}
    return names, campaign.default_language if campaign.default_language in names else "en"


def _opened(campaign: Campaign) -> list[QuestionForm]:
    names, default = _names(campaign)
    rows = []
    for place, question in enumerate([*questions_of(campaign), *[None] * SPARE][:MOST_QUESTIONS]):
        initial: dict[str, Any] = {"kind": "text"}
        if question is not None:
            initial = {"key": question.key, "kind": question.kind, "required": question.required}
            for code in names:
                initial[f"label_{code}"] = question.labels.get(code, "")
                options = question.options if code == default else question.option_labels.get(code, ())
                initial[f"options_{code}"] = "\n".join(options)
        form = QuestionForm(initial=initial, prefix=f"q{place}", language_names=names, default=default)
        if question is None:
            del form.fields["remove"]
        rows.append(form)
    return rows


def _posted(request: MerchantRequest, campaign: Campaign) -> list[QuestionForm]:
    names, default = _names(campaign)
    return [
        QuestionForm(request.POST, prefix=f"q{place}", language_names=names, default=default)
        for place in range(MOST_QUESTIONS)
        if f"q{place}-kind" in request.POST
    ]


@member()
def campaign_join(request: MerchantRequest, public_id: str) -> HttpResponse:
    """What the form asks; the real page beside it."""
    campaign = own(Campaign.objects.select_related("merchant"), request, public_id)
    posted = request.method == "POST"
    fields = ("asks_terms", "terms_url", "confirms_email")
    initial = {"revision": campaign.revision, **{name: getattr(campaign, name) for name in fields}}
    form = JoinSettingsForm(request.POST if posted else None, initial=initial)
    rows = _posted(request, campaign) if posted else _opened(campaign)
    status = 200
    if posted:
        status = _save(request, campaign, form, rows)
        if status == 303:
            messages.success(request, _("Join form saved"))
            return redirect("web:campaign_join", campaign.public_id)
    preview = Preview("invitee", campaign.default_language, join=_unsaved(request, campaign) if posted else {})
    context = {
        **campaign_context(request, campaign, "join"),
        "form": form,
        "rows": rows,
        "waiting": count_waiting(campaign) if campaign.confirms_email else 0,
        "nothing_to_accept": campaign.asks_terms
        and not campaign.terms_url
        and not campaign.texts.exclude(terms="").exists(),
        "languages": settings.LANGUAGES,
        "language": campaign.default_language,
        "preview_url": preview_url(campaign, preview, editor=f"join-{request.user.pk}"),
    }
    return render(request, "web/campaigns/join.html", context, status=status)


def _save(request: MerchantRequest, campaign: Campaign, form: JoinSettingsForm, rows: list[QuestionForm]) -> int:
    """Save everything or nothing; 303 when it is done."""
    if not all([form.is_valid(), *(row.is_valid() for row in rows)]):
        return 422
    kept = [(row, question) for row in rows if (question := row.question()) is not None]
    try:
        services.update_campaign(
            campaign=campaign,
            actor=request.actor,
            questions=[question.as_json() for _row, question in kept],
            **form.cleaned_data,
        )
    except Refused as error:
        at = _AT.fullmatch(error.field)
        if at is None:
            return apply_refusal(form, error)
        row = kept[int(at[1])][0]
        name = {"key": "key", "kind": "kind"}.get(at[2]) or f"{at[2]}_{row.default}"
        row.add_error(name if name in row.fields else None, error.message)
        return error.status
    return 303


def _unsaved(request: MerchantRequest, campaign: Campaign) -> dict[str, Any]:
    """What the form says right now, as the preview shows it; what could not be saved is left out."""
    questions = []
    for row in _posted(request, campaign):
        row.is_valid()
        question = row.question()
        if question is not None:
            questions.append(question.as_json())
    url = request.POST.get("terms_url", "").strip()
    return {
        "asks_terms": "asks_terms" in request.POST,
        "terms_url": url[:2000] if url.startswith("https://") else "",
        "questions": questions,
    }


@require_POST
@member(change=Role.VIEWER)
def campaign_join_preview(request: MerchantRequest, public_id: str) -> HttpResponse:
    """The form as it would be: JSON with the preview's address for the script, a redirect inside the frame without it. Saves nothing."""
    campaign = own(Campaign.objects.all(), request, public_id)
    side, language = request.POST.get("side", ""), request.POST.get("language", "")
    preview = Preview(
        cast(PreviewSide, side if side in {"invitee", "referrer"} else "invitee"),
        language if language in dict(settings.LANGUAGES) else campaign.default_language,
        join=_unsaved(request, campaign),
    )
    url = preview_url(campaign, preview, editor=f"join-{request.user.pk}")
    if request.accepts("text/html"):
        return HttpResponseRedirect(url, status=303)
    return JsonResponse({"url": url, "note": ""})
