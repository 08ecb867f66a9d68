"""A batch that is paid by files: downloading them, bringing them back, and marking or withdrawing what is left (docs/payouts.md)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe

from referrals.accounts.models import Role
from referrals.lib.errors import Refused
from referrals.lib.money import Money
from referrals.web.access import MerchantRequest, member, own, refused
from referrals.web.campaign_forms import apply_refusal
from referrals.web.exports import note_export, stream_csv
from referrals.web.templatetags.ui import monies
from rewards import payout_guards
from rewards.files import freezing, returned
from rewards.files.formats import FORMATS
from rewards.files.reading import MOST_BYTES
from rewards.models import Payout, PayoutBatch, PayoutFile, PayoutLine, PayoutReturn

_SHEET = ("payout_id", "name", "amount", "currency", "status", "reference", "message")
_RETURNS_SHOWN = 20
_WRONG_SHOWN = 50


class ReturnForm(forms.Form):
    """The file that came back."""

    file = forms.FileField(
        label=lazy("The file with results"),
        allow_empty_file=True,
        help_text=lazy(
            "CSV with the columns payout_id and status; status is paid, failed or not_paid, or what the company wrote."
        ),
        widget=forms.ClearableFileInput(attrs={"accept": ".csv,.txt,text/csv"}),
    )


class RestForm(forms.Form):
    """In one word what became of all that is open."""

    note = forms.CharField(
        label=lazy("Note"),
        required=False,
        max_length=500,
        help_text=lazy("Such as the number of the transfer. It stands in the history of each payout."),
    )


def files_context(request: MerchantRequest, batch: PayoutBatch) -> dict[str, Any]:
    """What web/payouts/_files.html shows; {"files": []} for a batch that was not issued by a file. One query, five when it was."""
    files = list(batch.files.order_by("number"))
    if not files:
        return {"files": []}
    left = PayoutLine.objects.filter(file__batch=batch, payout__status__in=Payout.OPEN).count()
    gone = PayoutLine.objects.filter(file__batch=batch, sealed="").count()
    return {
        "files": files,
        "what_to_do": FORMATS[batch.method].what_to_do if batch.method in FORMATS else "",
        "files_wait": payout_guards.waits(batch),
        "lines_left": left,
        "lines_erased": gone,
        "has_own_columns": batch.method in FORMATS and FORMATS[batch.method].takes_results,
        "return_form": ReturnForm(),
        "returns": PayoutReturn.objects.filter(batch=batch)
        .defer("sealed", "wrong_rows")
        .order_by("-pk")[:_RETURNS_SHOWN],
    }


@require_safe
@member(role=Role.MANAGER)
def payout_file(request: MerchantRequest, public_id: str) -> HttpResponse:
    """The file itself, always the same bytes. It holds payout addresses, and the history says who took it."""
    file = own(PayoutFile.objects.select_related("batch"), request, public_id)
    try:
        body = freezing.content(file)
    except Refused as error:
        return refused(request, error, back=reverse("web:payout_batch", args=[file.batch.public_id]))
    note_export(request, "payout_file", file.public_id, "")
    response = HttpResponse(body, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{file.name}"'
    return response


@require_safe
@member()
def payout_sheet(request: MerchantRequest, public_id: str) -> HttpResponseBase:
    """A list to fill in with what became of each line, and to bring back."""
    batch = own(PayoutBatch.objects.all(), request, public_id)
    note_export(request, "payout_sheet", batch.public_id, "")
    return stream_csv(f"results-{batch.public_id}.csv", _SHEET, _sheet(batch))


def _sheet(batch: PayoutBatch) -> Iterator[Sequence[object]]:
    lines = PayoutLine.objects.filter(file__batch=batch).defer("sealed", "answers").order_by("file__number", "number")
    for line in lines.select_related("payout__participant").iterator(chunk_size=500):
        payout = line.payout
        status = payout.status if payout.status in {"paid", "failed", "sent"} else ""
        amount = payout.amount
        yield (
            line.mark,
            payout.participant.name,
            amount.plain(),
            amount.currency,
            status,
            payout.reference,
            payout.message,
        )


@require_POST
@member(role=Role.MANAGER)
def payout_return_file(request: MerchantRequest, public_id: str) -> HttpResponse:
    """Take a returned file, and show what it came to."""
    batch = own(PayoutBatch.objects.all(), request, public_id)
    form, status = ReturnForm(request.POST, request.FILES), 422
    if form.is_valid():
        file = form.cleaned_data["file"]
        try:
            # One byte more than fits says that it is too large, without reading the rest.
            row = returned.take_file(batch=batch, name=file.name, data=file.read(MOST_BYTES + 1), actor=request.actor)
        except Refused as error:
            status = apply_refusal(form, error)
        else:
            return redirect("web:payout_return", row.public_id)
    return render(request, "web/payouts/return_file.html", {"batch": batch, "form": form}, status=status)


@member(role=Role.MANAGER)
def payout_rest(request: MerchantRequest, public_id: str, kind: str) -> HttpResponse:
    """Mark all that is open as paid, or withdraw it: GET asks, POST does it."""
    batch = own(PayoutBatch.objects.all(), request, public_id)
    form, status = RestForm(request.POST or None), 200
    if request.method == "POST" and form.is_valid():
        try:
            row = returned.mark_all(batch=batch, kind=kind, note=form.cleaned_data["note"], actor=request.actor)
        except Refused as error:
            if error.status == 409:
                return refused(request, error, back=reverse("web:payout_batch", args=[batch.public_id]))
            status = apply_refusal(form, error)
        else:
            _say(request, row)
            return redirect("web:payout_batch", batch.public_id)
    sums: dict[str, int] = {}
    open_lines = Payout.objects.filter(line__file__batch=batch, status__in=Payout.OPEN)
    for currency, minor in open_lines.values_list("currency", "amount_minor").order_by("currency"):
        sums[currency] = sums.get(currency, 0) + minor
    context = {
        "batch": batch,
        "form": form,
        "paid": kind == "paid",
        "count": open_lines.count(),
        "sums": monies([Money(minor, currency) for currency, minor in sums.items()]),
    }
    return render(request, "web/payouts/rest.html", context, status=status)


def _say(request: MerchantRequest, row: PayoutReturn) -> None:
    if row.is_running:
        messages.success(request, _("The lines are being marked; this takes a moment."))
        return
    count = row.paid or row.failed
    if row.kind == "paid":
        words = ngettext("%(n)s payout marked as paid", "%(n)s payouts marked as paid", count)
    else:
        words = ngettext(
            "%(n)s payout withdrawn; its rewards are due again",
            "%(n)s payouts withdrawn; their rewards are due again",
            count,
        )
    messages.success(request, words % {"n": f"{count:,}"})


@require_safe
@member()
def payout_return(request: MerchantRequest, public_id: str) -> HttpResponse:
    """What one returned file came to, and its wrong lines."""
    row = own(PayoutReturn.objects.select_related("batch").defer("sealed"), request, public_id)
    context = {"row": row, "batch": row.batch, "wrong": row.wrong_rows[:_WRONG_SHOWN]}
    return render(request, "web/payouts/return.html", context)


@require_safe
@member()
def payout_return_wrong(request: MerchantRequest, public_id: str) -> HttpResponseBase:
    """The wrong lines with their reasons, safe to open in a spreadsheet."""
    row = own(PayoutReturn.objects.defer("sealed"), request, public_id)
    return stream_csv(f"wrong-lines-{row.public_id}.csv", ("line", "payout_id", "reason"), row.wrong_rows)
