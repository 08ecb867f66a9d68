"""Who is always trusted and what is always held: the merchant's own lists for the fraud check."""

from __future__ import annotations

import ipaddress
import re

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy
from django.views.decorators.http import require_http_methods

from participants.fraud.lists import PUBLIC_MAIL
from participants.fraud.models import FraudBlock, TrustedPair
from participants.fraud.traces import shown
from referrals.accounts.models import Role
from referrals.lib.emails import mask_email
from referrals.lib.requests import truncate_ip
from referrals.web.access import MerchantRequest, member
from referrals.web.fraud import tabs_of
from rewards import fraud_cases

MOST = 500
_HOST = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{1,62}")


class BlockForm(forms.Form):
    """A mail domain, network or web site to block."""

    kind = forms.ChoiceField(label=lazy("What"), choices=FraudBlock.KINDS)
    value = forms.CharField(
        label=lazy("Which"),
        max_length=253,
        help_text=lazy("example.com, or an internet address such as 203.0.113.7: its network is blocked."),
        widget=forms.TextInput(attrs={"dir": "ltr"}),
    )
    note = forms.CharField(
        label=lazy("Reason"),
        max_length=fraud_cases.NOTE_LENGTH,
        error_messages={"required": lazy("Say why, so that it can be explained later.")},
    )

    def clean(self) -> dict[str, object]:
        data = super().clean() or {}
        text = str(data.get("value", "")).strip().casefold()
        if not text or "kind" not in data:
            return data
        data["value"] = self._network(text) if data["kind"] == "network" else self._host(text, str(data["kind"]))
        return data

    def _network(self, text: str) -> str:
        try:
            return shown(truncate_ip(str(ipaddress.ip_address(text.partition("/")[0]))))
        except ValueError:
            self.add_error("value", _("Enter an internet address such as 203.0.113.7."))
            return ""

    def _host(self, text: str, kind: str) -> str:
        name = (
            text.rpartition("@")[2].removeprefix("https://").removeprefix("http://").split("/")[0].removeprefix("www.")
        )
        try:
            name = name.encode("idna").decode("ascii")
        except UnicodeError:
            name = ""
        if not _HOST.fullmatch(name):
            self.add_error("value", _("Enter a name such as example.com."))
        elif kind == "domain" and name in PUBLIC_MAIL:
            self.add_error(
                "value", _("Anybody can have a mailbox at %(name)s; it would hold everybody.") % {"name": name}
            )
        return name


@require_http_methods(["GET", "HEAD", "POST"])
@member()
def lists(request: MerchantRequest) -> HttpResponse:
    """Both lists; POST adds a block, or takes an entry off (`remove` names it)."""
    form, status = BlockForm(), 200
    if request.method == "POST" and "remove" in request.POST:
        return _remove(request)
    if request.method == "POST":
        form = BlockForm(request.POST)
        status = 422
        if form.is_valid():
            data = form.cleaned_data
            made = fraud_cases.add_block(
                tenant=request.tenant, kind=data["kind"], value=data["value"], actor=request.actor, note=data["note"]
            )
            text = _("%(value)s is blocked") if made else _("%(value)s was blocked already")
            messages.success(request, text % {"value": data["value"]})
            return redirect("web:fraud_lists")
    context = {
        "tabs": tabs_of(request.tenant, ""),
        "form": form,
        "blocks": FraudBlock.objects.for_tenant(request.tenant).order_by("-pk")[:MOST],
        "pairs": [
            (pair, mask_email(pair.one), mask_email(pair.other))
            for pair in TrustedPair.objects.for_tenant(request.tenant).order_by("-pk")[:MOST]
        ],
        "may_change": request.membership.may(Role.MANAGER),
    }
    return render(request, "web/fraud/lists.html", context, status=status)


def _remove(request: MerchantRequest) -> HttpResponse:
    kind, _colon, number = request.POST["remove"].partition(":")
    pk = int(number) if number.isascii() and number.isdigit() and len(number) < 18 else 0
    if kind == "block" and (block := FraudBlock.objects.for_tenant(request.tenant).filter(pk=pk).first()) is not None:
        fraud_cases.remove_block(block=block, actor=request.actor)
        messages.success(request, _("%(value)s is no longer blocked") % {"value": block.value})
    elif kind == "pair" and (pair := TrustedPair.objects.for_tenant(request.tenant).filter(pk=pk).first()) is not None:
        fraud_cases.remove_trust(pair=pair, actor=request.actor)
        messages.success(request, _("The pair is no longer trusted"))
    else:
        messages.error(request, _("That entry is not on the list any more."))
    return redirect("web:fraud_lists")
