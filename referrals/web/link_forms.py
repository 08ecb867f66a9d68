"""Forms of a campaign's Links page."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

from campaigns.link_models import UTM
from campaigns.link_settings import UTM_LENGTH
from campaigns.models import Campaign

_UTM_LABELS = {
    "source": lazy("utm_source"),
    "medium": lazy("utm_medium"),
    "campaign": lazy("utm_campaign"),
    "term": lazy("utm_term"),
    "content": lazy("utm_content"),
}


_UTM_EXAMPLES = {"source": "friends", "medium": "referral", "campaign": "spring", "term": "", "content": ""}
_CONSENTS = (
    ("always", lazy("Always, with the click")),
    ("ask", lazy("Only after the visitor agrees")),
    ("never", lazy("Never")),
)


class Lines(forms.CharField):
    """A list, one line for each."""

    def __init__(self, **kwargs: Any) -> None:
        attrs = {"rows": 3, "dir": "ltr", "spellcheck": "false", "autocapitalize": "none"}
        super().__init__(required=False, max_length=8000, widget=forms.Textarea(attrs=attrs), **kwargs)

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list) else value

    def clean(self, value: Any) -> Any:
        """The lines that say something."""
        return [line.strip() for line in super().clean(value).splitlines() if line.strip()]


class LinksForm(forms.Form):
    """Where links lead, what they carry, when a cookie may be set."""

    revision = forms.IntegerField(widget=forms.HiddenInput)
    landing_mode = forms.ChoiceField(
        label=lazy("Where links lead"), choices=Campaign.LANDINGS, widget=forms.RadioSelect
    )
    landing_url = forms.CharField(
        label=lazy("Address of your page"),
        required=False,
        max_length=2000,
        widget=forms.URLInput(attrs={"placeholder": "https://example.com/welcome", "dir": "ltr"}),
        help_text=lazy("The code is added as referralCode; what the address already says stays."),
    )
    allowed_hosts = Lines(
        label=lazy("More sites that links may lead to"),
        help_text=lazy(
            "One host name a line. A link that ends in ?to= and an address leads there; any other address is passed over."
        ),
    )
    app_schemes = Lines(
        label=lazy("Apps that links may open"),
        help_text=lazy("One scheme a line, such as halden for halden://product/7."),
    )
    script_origins = Lines(
        label=lazy("Pages that may use the browser script"),
        help_text=lazy(
            "One origin a line, such as https://shop.example.com. Pages from elsewhere are refused, and show no widgets."
        ),
    )
    discount_code = forms.CharField(
        label=lazy("Discount code for friends"),
        required=False,
        max_length=40,
        widget=forms.TextInput(
            attrs={"dir": "ltr", "placeholder": "WELCOME15", "autocapitalize": "none", "spellcheck": "false"}
        ),
        help_text=lazy(
            "Shown to invited visitors by the pop-up and the widget. {code} stands for the referral code they came with."
        ),
    )
    consent = forms.ChoiceField(label=lazy("Remember who sent a visitor"), choices=_CONSENTS, widget=forms.RadioSelect)
    link_name = forms.CharField(
        label=lazy("Name in links"),
        required=False,
        max_length=30,
        widget=forms.TextInput(attrs={"dir": "ltr", "autocapitalize": "none", "spellcheck": "false"}),
        help_text=lazy("Stands before the codes that people choose. Small letters, digits and hyphens."),
    )
    own_codes = forms.BooleanField(
        label=lazy("People may choose their own code"),
        required=False,
        help_text=lazy("On their own page. Their first code keeps working."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.use_required_attribute = False
        for name in UTM:
            widget = forms.TextInput(attrs={"dir": "ltr", "placeholder": _UTM_EXAMPLES[name]})
            self.fields[f"utm_{name}"] = forms.CharField(
                label=_UTM_LABELS[name], required=False, max_length=UTM_LENGTH, widget=widget
            )

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if data.get("landing_mode") == "redirect" and not data.get("landing_url") and "landing_url" not in self.errors:
            self.add_error("landing_url", _("Enter the full address of your page, beginning with https://."))
        return data

    @property
    def utm_fields(self) -> list[forms.BoundField]:
        """The rows of UTM parameters."""
        return [self[f"utm_{name}"] for name in UTM]

    def changes(self) -> dict[str, Any]:
        """The campaign's fields as they were filled in."""
        data = self.cleaned_data
        plain = {name: value for name, value in data.items() if name != "revision" and not name.startswith("utm_")}
        return plain | {"utm": {name: data[f"utm_{name}"] for name in UTM if data[f"utm_{name}"]}}


def links_initial(campaign: Campaign) -> dict[str, Any]:
    """A campaign's values for LinksForm."""
    names = [name for name in LinksForm.base_fields if name != "revision"]
    words = {f"utm_{name}": campaign.utm.get(name, "") for name in UTM}
    return {"revision": campaign.revision, **{name: getattr(campaign, name) for name in names}, **words}


class HostForm(forms.Form):
    """The campaign's own host name; empty takes it away."""

    host = forms.CharField(
        label=lazy("Host name"),
        required=False,
        max_length=253,
        widget=forms.TextInput(
            attrs={"dir": "ltr", "placeholder": "go.example.com", "autocapitalize": "none", "spellcheck": "false"}
        ),
        help_text=lazy(
            "A name of a site that is yours, not used for anything else. Empty: links stay on this site's address."
        ),
    )
