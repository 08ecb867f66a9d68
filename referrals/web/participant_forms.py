"""Forms of the participants' pages: adding one, their details, banning, an event by hand, a refund by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.utils.translation import gettext_lazy as lazy

from campaigns.models import Campaign, Status
from participants.models import Participant, Referral
from referrals.accounts.tenancy import Tenant
from referrals.web.campaign_forms import LocalMoment
from referrals.web.money_fields import MoneyField

if TYPE_CHECKING:
    _ParticipantForm = forms.ModelForm[Participant]
else:
    _ParticipantForm = forms.ModelForm

PLAIN = {"autocomplete": "off", "spellcheck": "false"}


class NewParticipantForm(forms.Form):
    """A person enrolled by hand, with the one who invited them if there was one."""

    campaign = forms.ModelChoiceField(
        label=lazy("Campaign"), queryset=Campaign.objects.none(), to_field_name="public_id", empty_label=None
    )
    email = forms.CharField(label=lazy("E-mail address"), max_length=254, widget=forms.EmailInput(attrs=PLAIN))
    first_name = forms.CharField(
        label=lazy("First name"), required=False, max_length=80, widget=forms.TextInput(attrs=PLAIN)
    )
    last_name = forms.CharField(
        label=lazy("Last name"), required=False, max_length=80, widget=forms.TextInput(attrs=PLAIN)
    )
    referrer = forms.CharField(
        label=lazy("Invited by"),
        required=False,
        max_length=254,
        widget=forms.TextInput(attrs=PLAIN),
        help_text=lazy("The referrer's code or e-mail address. It is fixed once set."),
    )
    existing_customer = forms.BooleanField(
        label=lazy("Was a customer before"),
        required=False,
        help_text=lazy("Rewards for new customers only are then not given."),
    )

    def __init__(self, *args: Any, tenant: Tenant, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.use_required_attribute = False
        rows = Campaign.objects.for_tenant(tenant).exclude(status__in=[Status.DRAFT, Status.ENDED])
        self.fields["campaign"].queryset = rows.order_by("-pk")  # type: ignore[attr-defined]  # a ModelChoiceField
        self.fields["campaign"].error_messages["invalid_choice"] = lazy("Choose one of your campaigns that runs.")


class DetailsForm(_ParticipantForm):
    """What the merchant may change about a person."""

    class Meta:
        model = Participant
        fields = ("first_name", "last_name", "existing_customer", "note")
        labels = {"note": lazy("Notes"), "existing_customer": lazy("Was a customer before")}
        help_texts = {"note": lazy("Only your team sees them.")}
        widgets = {
            "note": forms.Textarea(attrs={"rows": 3}),
            "first_name": forms.TextInput(attrs=PLAIN),
            "last_name": forms.TextInput(attrs=PLAIN),
        }


class ReasonForm(forms.Form):
    """Why somebody is banned; history keeps it."""

    reason = forms.CharField(
        label=lazy("Reason"),
        max_length=300,
        widget=forms.Textarea(attrs={"rows": 2}),
        error_messages={"required": lazy("Say why, so that it can be explained later.")},
        help_text=lazy("Your team sees it; the participant does not."),
    )


class NoteForm(forms.Form):
    """A remark for the history, optional."""

    note = forms.CharField(label=lazy("Note"), required=False, max_length=300, widget=forms.Textarea(attrs={"rows": 2}))


class AttachForm(ReasonForm):
    """Who invited somebody, told later, and how one knows."""

    referrer = forms.CharField(
        label=lazy("Invited by"),
        max_length=254,
        widget=forms.TextInput(attrs=PLAIN),
        help_text=lazy("The referrer's code, e-mail address or id."),
    )
    field_order = ("referrer", "reason")


class StatusForm(forms.Form):
    """How far a friend's sale has come, for sales in several steps."""

    status = forms.ChoiceField(label=lazy("Status"), choices=Referral.STATUSES, widget=forms.RadioSelect)
    amount = MoneyField(
        label=lazy("Worth of the sale"),
        required=False,
        help_text=lazy("For rules that give a share of it; leave it empty otherwise."),
    )
    note = forms.CharField(
        label=lazy("Note"),
        required=False,
        max_length=300,
        widget=forms.TextInput(attrs=PLAIN),
        help_text=lazy("Say why when you deny it."),
    )

    def __init__(self, *args: Any, currency: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.use_required_attribute = False
        self.fields["amount"].use(currency)  # type: ignore[attr-defined]  # a MoneyField


class CompleteForm(forms.Form):
    """What a participant did, recorded by hand. `key` makes a double click one event."""

    key = forms.RegexField(regex=r"^[0-9A-Za-z]{8,40}\Z", widget=forms.HiddenInput)
    amount = MoneyField(
        label=lazy("Amount paid"), required=False, help_text=lazy("Leave it empty if there was no payment.")
    )
    occurred_at = LocalMoment(label=lazy("When"))
    reference = forms.CharField(
        label=lazy("Order number or other reference"),
        required=False,
        max_length=200,
        widget=forms.TextInput(attrs=PLAIN),
        help_text=lazy("The same reference counts once."),
    )

    def __init__(self, *args: Any, currency: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.use_required_attribute = False
        self.fields["amount"].use(currency)  # type: ignore[attr-defined]  # a MoneyField


class RefundForm(forms.Form):
    """Money of an event given back, recorded by hand. `key` makes a double click one refund."""

    key = forms.RegexField(regex=r"^[0-9A-Za-z]{8,40}\Z", widget=forms.HiddenInput)
    amount = MoneyField(
        label=lazy("Amount given back"), required=False, help_text=lazy("Leave empty for all that is left of it.")
    )
    reference = forms.CharField(
        label=lazy("Reference"), required=False, max_length=200, widget=forms.TextInput(attrs=PLAIN)
    )

    def __init__(self, *args: Any, currency: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.use_required_attribute = False
        self.fields["amount"].use(currency)  # type: ignore[attr-defined]  # a MoneyField
