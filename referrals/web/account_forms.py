"""Forms of the settings, team and developer pages."""

from __future__ import annotations

import zoneinfo
from typing import TYPE_CHECKING, Any, cast

from django import forms
from django.contrib.auth.password_validation import validate_password
from django.utils.translation import gettext_lazy as _

from referrals.accounts.models import ApiKey, Membership, Merchant, Role, Scope, User
from referrals.web.campaign_forms import currency_choices

if TYPE_CHECKING:
    _MerchantForm = forms.ModelForm[Merchant]
else:
    _MerchantForm = forms.ModelForm


def _zones() -> list[tuple[str, str]]:
    return [
        (name, name.replace("_", " "))
        for name in sorted(zoneinfo.available_timezones())
        if "/" in name or name == "UTC"
    ]


class BusinessForm(_MerchantForm):
    """Name, usual currency, time zone and website of a business."""

    currency = forms.ChoiceField(
        label=_("Usual currency"),
        choices=currency_choices,
        help_text=_("New campaigns start with it. Campaigns that exist keep theirs."),
    )
    time_zone = forms.ChoiceField(
        label=_("Time zone"), choices=_zones, help_text=_("Days and months on your pages begin at midnight there.")
    )
    website = forms.URLField(
        label=_("Website"),
        required=False,
        max_length=500,
        assume_scheme="https",
        widget=forms.URLInput(attrs={"autocomplete": "url", "placeholder": "https://"}),
    )

    class Meta:
        model = Merchant
        fields = ["name", "currency", "time_zone", "website"]
        labels = {"name": _("Name")}
        help_texts = {"name": _("Participants see it on your pages and in mails.")}
        widgets = {"name": forms.TextInput(attrs={"autocomplete": "organization"})}


class NewBusinessForm(BusinessForm):
    """As BusinessForm, without the website; the browser proposes its own time zone."""

    website = None  # type: ignore[assignment]  # how Django leaves an inherited field out

    class Meta(BusinessForm.Meta):
        fields = ["name", "currency", "time_zone"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["time_zone"].widget.attrs["data-time-zone"] = True


def roles_for(by: Membership) -> list[tuple[str, str]]:
    """The roles that a member may give: none above their own."""
    return [(role.value, str(role.label)) for role in Role if by.may(role)]


class InviteForm(forms.Form):
    """Whom to invite, and as what."""

    email = forms.EmailField(
        label=_("E-mail address"), max_length=254, widget=forms.EmailInput(attrs={"autocomplete": "off"})
    )
    role = forms.ChoiceField(
        label=_("Role"),
        help_text=_(
            "Viewers read. Managers run campaigns and rewards. Admins also manage the team and keys. Owners can do everything."
        ),
    )

    def __init__(self, *args: Any, by: Membership, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        role = cast(forms.ChoiceField, self.fields["role"])
        role.choices = roles_for(by)
        role.initial = Role.MANAGER


class JoinForm(forms.Form):
    """What somebody without an account is asked when they accept an invitation; the address is the invited one."""

    name = forms.CharField(label=_("Your name"), max_length=120, widget=forms.TextInput(attrs={"autocomplete": "name"}))
    password = forms.CharField(
        label=_("Choose a password"),
        strip=False,
        help_text=_("At least 10 characters. A sentence is a good one."),
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    def __init__(self, *args: Any, email: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.email = email

    def clean_password(self) -> str:
        """The installation's password rules."""
        password: str = self.cleaned_data["password"]
        validate_password(password, User(email=self.email, name=self.cleaned_data.get("name", "")))
        return password


class KeyForm(forms.Form):
    """A new API key."""

    name = forms.CharField(label=_("Name"), max_length=80, help_text=_("Where it will be used, such as “Shop server”."))
    kind = forms.ChoiceField(
        label=_("Kind"),
        choices=ApiKey.KINDS,
        initial="secret",
        widget=forms.RadioSelect,
        help_text=_(
            "Secret keys belong on your server. Publishable keys may stand in a web page and only add visitors."
        ),
    )
    scopes = forms.MultipleChoiceField(
        label=_("What it may do"),
        choices=[choice for choice in Scope.choices if choice[0] != Scope.READ],
        required=False,
        initial=[Scope.PARTICIPANTS, Scope.EVENTS],
        widget=forms.CheckboxSelectMultiple,
        help_text=_("Every secret key may read. Publishable keys need nothing here."),
    )


class RotateForm(forms.Form):
    """How long the old key goes on working beside the new one."""

    overlap_hours = forms.TypedChoiceField(
        label=_("The old key works for"),
        coerce=int,
        choices=[(0, _("no time: stop it now")), (1, _("1 hour")), (24, _("1 day")), (168, _("7 days"))],
        initial=24,
    )
