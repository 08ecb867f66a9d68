"""What the messages of one's own system mean: a form, tried on a sample or the last real message before it is saved."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

from integrations import registry, services, setup
from integrations.base import Account, Delivery, Ignored, Message, PayloadError, Provider, Signal
from integrations.models import Connection, InboundEvent
from integrations.outcomes import sentence
from integrations.reading import read_json
from referrals.accounts.models import Role
from referrals.lib.errors import Refused
from referrals.web.access import MerchantRequest, member, own
from referrals.web.connection_forms import MappingForm

FACTS = {
    "signup": lazy("A sign-up or a lead"),
    "purchase": lazy("A payment"),
    "refund": lazy("A refund"),
    "dispute": lazy("A dispute"),
    "dispute_won": lazy("A dispute that was won"),
    "stopped": lazy("A subscription that ended"),
    "resumed": lazy("A subscription that goes on"),
}


@member(change=Role.ADMIN)
def connection_mapping(request: MerchantRequest, public_id: str) -> HttpResponse:
    """The form; a POST with `try` shows what the sample would be, without saving; else saves what can read the sample.

    Who may not change it reads it, without the last message, which names people and is shown whole.
    """
    row = own(Connection.objects.all(), request, public_id)
    provider = registry.get(row.provider)
    if not provider.tries_samples or row.removed_at is not None:
        return redirect("web:connection", row.public_id)
    if request.method != "POST":
        return _page(request, row, provider, MappingForm(provider, initial=_initial(request, row, provider)))
    form = MappingForm(provider, request.POST)
    if not form.is_valid():
        return _page(request, row, provider, form, status=422)
    try:
        chosen = setup.check_settings(provider, form.settings())
    except Refused as error:
        form.add_refusal(error.field or "", error.message)
        return _page(request, row, provider, form, status=422)
    found = _tried(provider, chosen, form.cleaned_data["sample"], form)
    if form.errors:
        return _page(request, row, provider, form, status=422)
    if "try" in request.POST:
        return _page(request, row, provider, form, found=found)
    services.update_secrets(connection=row, actor=request.actor, secrets={}, settings=chosen, partly=True)
    messages.success(request, _("The mapping is saved. It counts for every message from now on."))
    return redirect("web:connection", row.public_id)


def _initial(request: MerchantRequest, row: Connection, provider: Provider) -> dict[str, str]:
    """The saved settings, or an example's; and the last real message to try them on, if one has come."""
    initial = setup.settings_of(row)
    if not _may_change(request):
        return initial
    preset = next((one for one in provider.presets if one.slug == request.GET.get("example")), None)
    last = InboundEvent.objects.for_tenant(request.tenant).filter(connection=row).order_by("-pk").first()
    if preset is not None:
        initial = {field.name: field.default for field in provider.settings} | dict(preset.settings)
        return {**initial, "ids": setup.settings_of(row).get("ids", ""), "sample": preset.sample}
    return {**initial, "sample": _laid_out(bytes(last.body)) if last is not None else ""}


def _may_change(request: MerchantRequest) -> bool:
    return request.membership.may(Role.ADMIN)


def _laid_out(body: bytes) -> str:
    """JSON to be read and mapped: as it is, because a masked value would be read as one. Admins only."""
    try:
        return json.dumps(read_json(body), indent=2, ensure_ascii=False)
    except (PayloadError, RecursionError):
        return body.decode("utf-8", "replace")


def _tried(provider: Provider, chosen: dict[str, str], sample: str, form: MappingForm) -> dict[str, Any] | None:
    """What the sample would become; what is wrong with it is said at its field. None without a sample."""
    if not sample.strip():
        return None
    try:
        payload = read_json(sample.encode("utf-8", "replace"))
    except PayloadError as error:
        words = _("This is no JSON: %(problem)s") % {"problem": str(error.__cause__)[:100]}
        form.add_refusal("sample", words)
        return None
    if not isinstance(payload, dict):
        form.add_refusal("sample", _("This is JSON, but no object: a message begins with { and ends with }."))
        return None
    delivery = Delivery(sample.encode("utf-8", "replace"))
    try:
        kind = provider.source.event_type(payload, delivery)
        signals = provider.source.parse(Message(payload, kind, Account({}, chosen)))
    except Ignored as reason:
        return {"ignored": sentence(reason.code, reason.facts)}
    except PayloadError as error:
        form.add_refusal(getattr(error, "field", "sample"), str(error))
        return None
    return {"facts": _facts(signals[0])}


def _facts(signal: Signal) -> list[tuple[str, str]]:
    """A signal in words, as (label, value); what is empty is told as nothing, because that is often the mistake."""
    also = ", ".join(f"{company} {name}" for company, name in signal.elsewhere)
    found = [
        (_("It tells"), str(FACTS[signal.fact])),
        (_("E-mail"), signal.email),
        (_("Customer id"), signal.customer_id),
        (_("Name"), signal.name),
        (_("Referral code"), ", ".join(code.text for code in signal.codes)),
        (_("Amount"), str(signal.money) if signal.money else ""),
        (_("When"), signal.occurred_at.strftime("%Y-%m-%d %H:%M:%S UTC")),
        (_("Its id"), signal.external_id),
        (_("Also called"), ", ".join(signal.references)),
        (_("At the payment company"), also),
        (_("More"), ", ".join(f"{name} = {value}" for name, value in signal.metadata.items())),
    ]
    return [(label, value or "–") for label, value in found]


def _page(
    request: MerchantRequest,
    row: Connection,
    provider: Provider,
    form: MappingForm,
    status: int = 200,
    found: dict[str, Any] | None = None,
) -> HttpResponse:
    chosen = next((one for one in provider.presets if one.slug == request.GET.get("example")), None)
    if not _may_change(request):
        for field in form.fields.values():
            field.disabled = True
    context = {
        "row": row,
        "may_change": _may_change(request),
        "provider": provider,
        "form": form,
        "found": found,
        "presets": provider.presets,
        "chosen": chosen,
    }
    return render(request, "web/connections/mapping.html", context, status=status)
