"""Forms of the campaign pages: creating, design and texts, settings. Reward rules have their own: rule_forms.py."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, cast

from babel.numbers import get_currency_name
from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.http import Http404
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

from campaigns.models import Campaign, CampaignText
from campaigns.presets import PRESETS
from referrals.lib import clock
from referrals.lib.errors import Refused
from referrals.lib.money import CURRENCIES
from referrals.web.rule_amounts import Choice

COMMON_CURRENCIES = ("USD", "EUR", "GBP", "INR", "JPY", "AUD", "CAD", "CHF", "SEK", "NOK", "DKK", "AED")
TEXT_FIELDS = (
    "reward_header",
    "reward_description",
    "share_header",
    "share_description",
    "share_message",
    "thank_you",
    "terms",
)
INVITEE_TEXTS = ("reward_header", "reward_description", "thank_you")
REFERRER_TEXTS = ("share_header", "share_description", "share_message")


def apply_refusal(form: forms.BaseForm, error: Refused) -> int:
    """Show a service's refusal next to the field it names, the typed values kept. Returns the answer's status; Http404 for 404."""
    if error.status == 404:
        raise Http404
    name = error.field if error.field in form.fields else None
    form.add_error(name, ValidationError(error.message, code=error.code))
    return error.status


def carry_out(form: forms.BaseForm, act: Callable[[], object]) -> int | None:
    """Do what a form asks for: None when it is done, else the status under which the form is shown (again). Http404 as above."""
    if not form.is_bound:
        return 200
    if not form.is_valid():
        return 422
    try:
        act()
    except Refused as error:
        return apply_refusal(form, error)
    return None


def currency_choices() -> list[tuple[str, list[tuple[str, str]]]]:
    """Every currency with its name, the common ones first."""
    locale = (get_language() or "en").replace("-", "_")

    def named(code: str) -> tuple[str, str]:
        return code, f"{code} · {get_currency_name(code, locale=locale)}"

    others = sorted(CURRENCIES - set(COMMON_CURRENCIES))
    return [
        (_("Common"), [named(code) for code in COMMON_CURRENCIES]),
        (_("All others"), [named(code) for code in others]),
    ]


class LocalMoment(forms.DateTimeField):
    """A day and time in the merchant's time zone (the active one)."""

    widget = forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(input_formats=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"], **kwargs)


class NewCampaignForm(forms.Form):
    """Template, name and currency of a new campaign; its two rules are RuleForms beside it."""

    preset = forms.ChoiceField(
        label=lazy("Template"),
        choices=[(preset.key, preset.label) for preset in PRESETS.values()],
        widget=forms.RadioSelect,
    )
    name = forms.CharField(
        label=lazy("Name"),
        max_length=120,
        help_text=lazy("For your team, and for people who joined several of your campaigns."),
    )
    currency = forms.ChoiceField(
        label=lazy("Currency"),
        choices=currency_choices,
        help_text=lazy("Every amount of the campaign is in it. It can't change after launch."),
    )
    ends_at = LocalMoment(
        label=lazy("Closes"), required=False, help_text=lazy("The day on which the leaderboard's prizes are given.")
    )
    attribution_model = Choice(
        label=lazy("When somebody followed several links"),
        choices=Campaign.MODELS,
        widget=forms.RadioSelect,
        help_text=lazy("Who gets the reward. The settings change it later, also how long a click counts."),
    )

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        chosen = PRESETS.get(data.get("preset", ""))
        if chosen is None or not chosen.needs_end:
            data["ends_at"] = None
            self.errors.pop("ends_at", None)
        elif not data.get("ends_at") and "ends_at" not in self.errors:
            self.add_error("ends_at", _("Say when the leaderboard closes; its prizes are given then."))
        elif data.get("ends_at") and data["ends_at"] <= clock.now():
            self.add_error("ends_at", _("This day has passed. Choose a later one."))
        return data


class LookForm(forms.Form):
    """Colour, font, logo and the texts of one language. Empty texts fall back to the default language's, then to ours."""

    revision = forms.IntegerField(widget=forms.HiddenInput)
    brand_color = forms.RegexField(
        label=lazy("Brand colour"),
        regex=r"^#[0-9a-fA-F]{6}\Z",
        error_messages={"invalid": lazy("Use a colour such as #c93a17.")},
        widget=forms.TextInput(attrs={"type": "color", "data-mirror": "#brand-hex"}),
    )
    font = forms.ChoiceField(label=lazy("Font"), choices=Campaign.FONTS)
    logo = forms.FileField(
        label=lazy("Logo"),
        required=False,
        help_text=lazy("PNG, JPEG or WebP, at most 2 MB."),
        widget=forms.FileInput(attrs={"accept": "image/png,image/jpeg,image/webp"}),
    )
    remove_logo = forms.BooleanField(label=lazy("Remove the logo"), required=False)
    hero = forms.FileField(
        label=lazy("Picture"),
        required=False,
        help_text=lazy("Stands beside the headline. PNG, JPEG or WebP, at most 2 MB."),
        widget=forms.FileInput(attrs={"accept": "image/png,image/jpeg,image/webp"}),
    )
    remove_hero = forms.BooleanField(label=lazy("Remove the picture"), required=False)

    def __init__(
        self, *args: Any, fallback: dict[str, str] | None = None, images: frozenset[str], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.use_required_attribute = False
        for name in TEXT_FIELDS:
            self.fields[name] = _text_field(name, (fallback or {}).get(name, ""))
        for kind in ("logo", "hero"):
            if kind not in images:
                del self.fields[f"remove_{kind}"]

    def texts(self) -> dict[str, str]:
        """The texts as they were typed, by field of CampaignText."""
        return {name: self.cleaned_data[name] for name in TEXT_FIELDS}


def _text_field(name: str, fallback: str) -> forms.CharField:
    column = cast("models.CharField[str, str]", CampaignText._meta.get_field(name))
    label = str(column.verbose_name)
    rows = {"terms": 6, "reward_description": 3, "share_description": 3, "share_message": 2}.get(name)
    attrs = {"placeholder": fallback} if fallback else {}
    widget: forms.Widget = forms.Textarea(attrs={**attrs, "rows": rows}) if rows else forms.TextInput(attrs=attrs)
    return forms.CharField(
        label=label[:1].upper() + label[1:], required=False, max_length=column.max_length, widget=widget
    )


FRAUD_CHOICES = (
    ("relaxed", lazy("Relaxed: Medium from 50 points, High from 85")),
    ("balanced", lazy("Balanced: Medium from 34 points, High from 67")),
    ("strict", lazy("Strict: Medium from 20 points, High from 50")),
)


WINDOW = lazy("Enter a number of days from 1 to 365.")


class SettingsForm(forms.Form):
    """Everything about a campaign that is neither its look nor its rules."""

    revision = forms.IntegerField(widget=forms.HiddenInput)
    name = forms.CharField(label=lazy("Name"), max_length=120)
    currency = forms.ChoiceField(label=lazy("Currency"), choices=currency_choices)
    starts_at = LocalMoment(label=lazy("Starts"), required=False, help_text=lazy("Leave empty to start at the launch."))
    ends_at = LocalMoment(label=lazy("Ends"), required=False, help_text=lazy("Leave empty to end it by hand."))
    attribution_model = forms.ChoiceField(
        label=lazy("When somebody followed several links"),
        choices=Campaign.MODELS,
        widget=forms.RadioSelect,
        help_text=lazy(
            "It holds for who joins from now on. Shared: one reward, cut into parts to the last cent. That needs rules"
            " without milestones, tiers, prizes, units or limits for one person."
        ),
    )
    window_days = forms.IntegerField(
        label=lazy("Days that a click counts"),
        min_value=1,
        max_value=365,
        error_messages=dict.fromkeys(("required", "invalid", "min_value", "max_value"), WINDOW),
        help_text=lazy("How long after the click a friend may join and still count, 1 to 365."),
    )
    fraud_preset = Choice(
        label=lazy("How strict"),
        choices=FRAUD_CHOICES,
        widget=forms.RadioSelect,
        help_text=lazy(
            "A referral that reaches the first number waits until you decide. It counts from the next join or purchase on."
        ),
    )
    default_language = forms.ChoiceField(
        label=lazy("Default language"),
        choices=settings.LANGUAGES,
        help_text=lazy("Its texts are shown where another language has none."),
    )

    def __init__(self, *args: Any, launched: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.use_required_attribute = False
        if launched:
            self.fields["currency"].disabled = True
            self.fields["currency"].help_text = _("Fixed since launch.")

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        starts, ends = data.get("starts_at"), data.get("ends_at")
        if isinstance(starts, datetime) and isinstance(ends, datetime) and ends <= starts:
            self.add_error("ends_at", _("The end must be after the start."))
        return data

    def changes(self) -> dict[str, Any]:
        """The campaign's fields as they were filled in; how strict the fraud check is stays where nothing was chosen."""
        left_out = {"revision"} if self.cleaned_data.get("fraud_preset") else {"revision", "fraud_preset"}
        return {name: value for name, value in self.cleaned_data.items() if name not in left_out}


def settings_initial(campaign: Campaign) -> dict[str, Any]:
    """A campaign's values for SettingsForm."""
    names = [name for name in SettingsForm.base_fields if name != "revision"]
    return {"revision": campaign.revision, **{name: getattr(campaign, name) for name in names}}
