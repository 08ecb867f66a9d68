"""What a new merchant is asked when signing up."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from referrals.accounts.models import User


class SignUpForm(forms.Form):
    """Name of the person and of the business, on top of allauth's address and password; the adapter stores them."""

    name = forms.CharField(label=_("Your name"), max_length=120, widget=forms.TextInput(attrs={"autocomplete": "name"}))
    merchant_name = forms.CharField(
        label=_("Name of your business"),
        max_length=120,
        widget=forms.TextInput(attrs={"autocomplete": "organization"}),
    )
    # The browser fills it in; without a script it stays empty, and the zone is set under Settings.
    time_zone = forms.CharField(
        required=False, max_length=64, widget=forms.HiddenInput(attrs={"data-time-zone": True, "autocomplete": "off"})
    )

    def signup(self, request: object, user: User) -> None:
        """allauth's hook after the user is made; the adapter has done the work by then."""
