"""Forms of the page Invitations: a list of customers, and how and when invitations leave."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as lazy

from campaigns.models import Campaign
from participants.models import InviteSettings
from referrals.lib.money import Money
from referrals.web.money_fields import MoneyField


class ListForm(forms.Form):
    """A file with customers, and how their consent is known."""

    file = forms.FileField(
        label=lazy("CSV file"),
        allow_empty_file=True,
        help_text=lazy("With the columns name, email and consent (yes or no). Up to 100,000 rows."),
        widget=forms.ClearableFileInput(attrs={"accept": ".csv,.txt,text/csv"}),
    )
    consent = forms.ChoiceField(
        label=lazy("Who agreed to get mail from you"),
        choices=[
            ("column", lazy("Those whose consent column says yes")),
            ("all", lazy("Everybody in the file, but for those whose consent column says no; I can show it")),
        ],
        initial="column",
        widget=forms.RadioSelect,
    )


class SettingsForm(forms.Form):
    """How fast invitations leave, and which go out by themselves."""

    per_minute = forms.IntegerField(
        label=lazy("Mails a minute"),
        min_value=1,
        max_value=InviteSettings.MOST_PER_MINUTE,
        help_text=lazy("At most. Mailbox providers distrust a sender who suddenly writes to thousands."),
    )
    after_purchase = forms.BooleanField(
        label=lazy("Invite after a purchase"),
        required=False,
        help_text=lazy("Whoever pays at a connected company and takes no part yet gets the mail, once ever."),
    )
    nth = forms.IntegerField(
        label=lazy("After which purchase"),
        min_value=1,
        max_value=InviteSettings.MOST_PURCHASES,
        help_text=lazy("1: the first."),
    )
    minimum = MoneyField(
        label=lazy("Only purchases from"),
        required=False,
        help_text=lazy("Smaller ones are not counted. Empty: all count."),
    )
    days_after = forms.IntegerField(label=lazy("Days until the mail"), min_value=0, max_value=InviteSettings.MOST_DAYS)
    loop = forms.BooleanField(
        label=lazy("Invite everybody whose address is captured"),
        required=False,
        help_text=lazy(
            "By a connected company's checkout or your thank-you page, at once. Who joined by a form or through a friend takes part"
            " already: the mail Welcome tells them their link."
        ),
    )
    needs_consent = forms.BooleanField(
        label=lazy("Only those who agreed to get mail"),
        required=False,
        help_text=lazy(
            "As the checkout says: Stripe's box for promotions, or marketing_consent “yes” in its metadata. Turn it off only where"
            " the law lets you write to customers without asking."
        ),
    )

    def __init__(self, campaign: Campaign, chosen: InviteSettings, data: Any = None) -> None:
        minimum = Money(chosen.minimum_minor, campaign.currency) if chosen.minimum_minor else None
        names = ("per_minute", "after_purchase", "nth", "days_after", "loop", "needs_consent")
        super().__init__(data, initial={name: getattr(chosen, name) for name in names} | {"minimum": minimum})
        self.fields["minimum"].use(campaign.currency)  # type: ignore[attr-defined]  # a MoneyField

    def values(self) -> dict[str, Any]:
        """What was chosen, as the row has it."""
        found = dict(self.cleaned_data)
        minimum = found.pop("minimum")
        return found | {"minimum_minor": minimum.minor if minimum else None}
