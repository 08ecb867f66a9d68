"""Send a test message to a connection of the test side, and see what it led to (docs/test-mode.md, "Test messages")."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy
from django.views.decorators.http import require_POST

from campaigns.models import Campaign
from integrations import registry, services, trying
from integrations.base import SampleKind
from integrations.models import Connection
from participants.models import Participant
from referrals.accounts.models import Role
from referrals.accounts.tenancy import Tenant
from referrals.lib.errors import Refused
from referrals.lib.money import Money, MoneyError
from referrals.web.access import MerchantRequest, member, own, refused
from referrals.web.campaign_forms import apply_refusal
from referrals.web.testing import only_on_the_test_side


class TryForm(forms.Form):
    """What happens at the company, to whom, and for how much."""

    kind = forms.ChoiceField(label=lazy("What happens"), widget=forms.RadioSelect)
    code = forms.CharField(
        label=lazy("Referral code"),
        required=False,
        max_length=64,
        help_text=lazy("Who sent them. Leave it empty for somebody who comes without a code."),
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "dir": "ltr"}),
    )
    email = forms.EmailField(
        label=lazy("Customer’s address"),
        required=False,
        max_length=254,
        help_text=lazy("Leave it empty for somebody new. Nobody gets a mail."),
        widget=forms.EmailInput(attrs={"autocomplete": "off", "spellcheck": "false", "dir": "ltr"}),
    )
    amount = forms.CharField(
        label=lazy("They pay"),
        required=False,
        max_length=20,
        help_text=lazy("Leave it empty for 50."),
        widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off", "dir": "ltr"}),
    )
    currency = forms.ChoiceField(label=lazy("Currency"))

    def __init__(self, *args: Any, kinds: list[SampleKind], currencies: list[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["kind"].choices = [(kind, trying.WORDS[kind]) for kind in kinds]  # type: ignore[attr-defined]  # a ChoiceField
        self.fields["currency"].choices = [(name, name) for name in currencies]  # type: ignore[attr-defined]  # a ChoiceField
        if not trying.WITH_MONEY & set(kinds):
            del self.fields["amount"], self.fields["currency"]

    def clean(self) -> dict[str, Any]:
        """The amount in its currency, as `money`; None where nothing is ever paid."""
        data = super().clean() or {}
        if "amount" not in self.fields:
            return {**data, "money": None}
        try:
            data["money"] = Money.parse(data.get("amount") or "50", data.get("currency", "USD"))
            if data["money"].minor == 0:
                raise MoneyError("amount_not_positive", _("0 is not above zero."))
        except MoneyError as error:
            self.add_error("amount", error.message)
        return data


@member(change=Role.MANAGER)
def connection_try(request: MerchantRequest, public_id: str) -> HttpResponse:
    """The form; a POST sends the message and shows its page. On the live side: how to get to the test side."""
    row = own(Connection.objects.filter(removed_at=None), request, public_id)
    if not request.tenant.is_test:
        return only_on_the_test_side(request, _("Send a test message"))
    provider, kinds = registry.get(row.provider), trying.kinds(row)
    posted = request.POST if request.method == "POST" else None
    form = TryForm(posted, kinds=kinds, currencies=_currencies(request.tenant), initial=_initial(request.tenant, kinds))
    status = 200
    if posted is not None:
        status = 422
        if form.is_valid():
            data = form.cleaned_data
            try:
                sent = trying.send_test(
                    connection=row, kind=data["kind"], money=data["money"], email=data["email"], code=data["code"]
                )
            except Refused as error:
                status = max(apply_refusal(form, error), 409)
            else:
                return redirect("web:inbound", sent.public_id)
    context = {
        "row": row,
        "provider": provider,
        "form": form,
        "kinds": kinds,
        "is_ready": services.is_ready(row),
        # Whom a message that begins nobody new is about; where there is none, nobody.
        "customer": trying.last_customer(row) if set(kinds) - trying.NEW else None,
    }
    return render(request, "web/connections/try.html", context, status=status)


@require_POST
@member(change=Role.ADMIN)
def connection_make_up(request: MerchantRequest, public_id: str) -> HttpResponse:
    """Secrets that nobody gave, to try the connection without an account there; then the form to send with."""
    row = own(Connection.objects.filter(removed_at=None), request, public_id)
    try:
        trying.make_up_secrets(connection=row, actor=request.actor)
    except Refused as error:
        return refused(request, error, back=reverse("web:connection", args=[row.public_id]))
    if registry.get(row.provider).samples:
        messages.success(
            request, _("It has made-up secrets now, and hears test messages only. Paste real ones at any time.")
        )
        return redirect("web:connection_try", row.public_id)
    messages.success(request, _("It has made-up secrets now: a stand-in answers, and pays nobody. Try it on a reward."))
    return redirect("web:connection", row.public_id)


def _currencies(tenant: Tenant) -> list[str]:
    """Those of the side's campaigns, the newest first; the dollar where there are none."""
    found = Campaign.objects.for_tenant(tenant).order_by("-pk").values_list("currency", flat=True)[:50]
    return list(dict.fromkeys(found)) or ["USD"]


def _initial(tenant: Tenant, kinds: list[SampleKind]) -> dict[str, str]:
    """A first payment by the friend of somebody who can earn from it."""
    people = Participant.objects.for_tenant(tenant).filter(campaign__status="active", banned_at=None)
    person = people.select_related("campaign").order_by("-campaign_id", "pk").first()
    first = {"kind": kinds[0]} if kinds else {}
    return first | ({"code": person.referral_code, "currency": person.campaign.currency} if person else {})
