"""Existing customers: the list's size, a look-up, uploads with a dry run, removing one or all (docs/attribution.md)."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe

from participants import customers
from participants.customer_files import MOST_BYTES
from participants.customers import Customer
from participants.models import CustomerUpload, KnownCustomer
from referrals.accounts.models import Role
from referrals.lib.errors import Refused
from referrals.lib.pages import PageError, keyset
from referrals.web.access import MerchantRequest, member, own
from referrals.web.campaign_forms import apply_refusal
from referrals.web.exports import stream_csv
from rewards import customer_uploads as uploads
from rewards import customers as listing

PER_PAGE = 50
UPLOADS_SHOWN = 10


class UploadForm(forms.Form):
    """A file with customers."""

    file = forms.FileField(
        label=lazy("CSV file"),
        allow_empty_file=True,
        help_text=lazy(
            "One column with e-mail addresses or customer ids, and if you like one with the day they became customers."
            " Up to 100,000 rows."
        ),
        widget=forms.ClearableFileInput(attrs={"accept": ".csv,.txt,text/csv"}),
    )


class ColumnsForm(forms.Form):
    """Which column of a file has what."""

    column = forms.TypedChoiceField(label=lazy("Column"), coerce=int)
    kind = forms.ChoiceField(label=lazy("What it has"), choices=CustomerUpload.KINDS)
    since_column = forms.TypedChoiceField(
        label=lazy("Customer since"),
        coerce=int,
        required=False,
        empty_value=None,
        help_text=lazy("Friends who joined after that day are decided again. Without it, the list counts from now on."),
    )
    has_header = forms.BooleanField(label=lazy("The first row has names, not a customer"), required=False)

    def __init__(self, upload: CustomerUpload, data: Any = None) -> None:
        super().__init__(
            data,
            initial={
                "column": upload.column,
                "kind": upload.kind,
                "since_column": "" if upload.since_column is None else upload.since_column,
                "has_header": upload.has_header,
            },
        )
        choices = [(n, f"{n + 1}. {name}" if name else str(n + 1)) for n, name in enumerate(upload.columns)]
        self.fields["column"].choices = choices  # type: ignore[attr-defined]  # a ChoiceField
        self.fields["since_column"].choices = [("", _("No column")), *choices]  # type: ignore[attr-defined]  # the same


@member()
def customer_list(request: MerchantRequest) -> HttpResponseBase:
    """The list and how to change it; POST takes a file."""
    form = UploadForm()
    status = 200
    if request.method == "POST":
        form = UploadForm(request.POST, request.FILES)
        status = 422
        if form.is_valid():
            file = form.cleaned_data["file"]
            # One byte more than fits says that it is too large, without reading the rest.
            data = file.read(MOST_BYTES + 1)
            try:
                upload = uploads.start(tenant=request.tenant, name=file.name, data=data, actor=request.actor)
            except Refused as error:
                status = apply_refusal(form, error)
            else:
                return redirect("web:customer_upload", upload.public_id)
    return _list(request, form, status)


def _list(request: MerchantRequest, form: UploadForm, status: int) -> HttpResponse:
    rows = KnownCustomer.objects.for_tenant(request.tenant)
    try:
        page = keyset(rows, sort="-id", cursor=request.GET.get("page", ""), limit=PER_PAGE)
    except PageError:
        page = keyset(rows, sort="-id", limit=PER_PAGE)
    text = request.GET.get("q", "").strip()[:254]
    found, problem = None, ""
    if text:
        try:
            found = rows.filter(key=_named(request, text).key).first()
        except Refused as error:
            problem = error.message
    address = reverse("web:customers")
    context = {
        "form": form,
        "count": rows.count(),
        "rows": page.rows,
        "prev_url": f"{address}?{urlencode({'page': page.previous})}" if page.previous else "",
        "next_url": f"{address}?{urlencode({'page': page.next})}" if page.next else "",
        "q": text,
        "found": found,
        "problem": problem,
        "uploads": CustomerUpload.objects.for_tenant(request.tenant).defer("data").order_by("-pk")[:UPLOADS_SHOWN],
        "may_change": request.membership.may(Role.MANAGER),
    }
    return render(request, "web/customers/list.html", context, status=status)


def _named(request: MerchantRequest, text: str) -> Customer:
    make = customers.by_email if "@" in text else customers.by_id
    return make(request.tenant, text)


@member(role=Role.MANAGER)
def customer_remove(request: MerchantRequest) -> HttpResponse:
    """Take one off the list, or all of them: GET asks, POST does it."""
    text = (request.POST if request.method == "POST" else request.GET).get("q", "").strip()[:254]
    if request.method != "POST":
        count = KnownCustomer.objects.for_tenant(request.tenant).count()
        return render(request, "web/customers/remove.html", {"q": text, "count": count})
    try:
        if text:
            done = listing.remove(tenant=request.tenant, listed=[_named(request, text)], actor=request.actor)
        else:
            done = listing.remove_all(tenant=request.tenant, actor=request.actor)
    except Refused as error:
        messages.error(request, error.message)
        return redirect("web:customers")
    removed = ngettext("%(n)d customer removed", "%(n)d customers removed", done.changed) % {"n": done.changed}
    messages.success(request, f"{removed}. {_decided(done.decided)}" if done.decided else removed)
    return redirect("web:customers")


def _decided(count: int) -> str:
    return ngettext("%(n)d participant decided again", "%(n)d participants decided again", count) % {"n": count}


def _upload(request: MerchantRequest, public_id: str) -> CustomerUpload:
    return own(CustomerUpload.objects.select_related("merchant"), request, public_id)


@member()
def customer_upload(request: MerchantRequest, public_id: str) -> HttpResponse:
    """One file: the dry run, what applying came to, and the progress in between."""
    upload = _upload(request, public_id)
    form = ColumnsForm(upload)
    status = 200
    if request.method == "POST":
        try:
            if request.POST.get("act") == "apply":
                uploads.apply(upload=upload)
            elif request.POST.get("act") == "drop":
                uploads.drop(upload=upload)
            else:
                form = ColumnsForm(upload, request.POST)
                if not form.is_valid():
                    return _shown(request, upload, form, 422)
                uploads.remap(upload=upload, **form.cleaned_data)
        except Refused as error:
            form = ColumnsForm(upload, request.POST)
            form.is_valid()
            status = apply_refusal(form, error)
        else:
            return redirect("web:customer_upload", public_id)
    return _shown(request, upload, form, status)


def _shown(request: MerchantRequest, upload: CustomerUpload, form: ColumnsForm, status: int) -> HttpResponse:
    context = {
        "upload": upload,
        "form": form,
        "wrong": upload.wrong_rows[:20],
        "may_change": request.membership.may(Role.MANAGER),
    }
    return render(request, "web/customers/upload.html", context, status=status)


@require_safe
@member()
def customer_wrong_rows(request: MerchantRequest, public_id: str) -> HttpResponseBase:
    """The rows that can't be taken, with reasons, safe to open in a spreadsheet."""
    upload = _upload(request, public_id)
    return stream_csv("customers-wrong-rows.csv", ("line", "text", "reason"), upload.wrong_rows)


@require_POST
@member(role=Role.MANAGER)
def customer_add(request: MerchantRequest) -> HttpResponse:
    """Put one on the list by hand."""
    text = request.POST.get("q", "").strip()[:254]
    try:
        done = listing.add(tenant=request.tenant, listed=[_named(request, text)], actor=request.actor)
    except Refused as error:
        messages.error(request, error.message)
    else:
        messages.success(request, _("Added to the list") if done.changed else _("On the list already"))
    return redirect("web:customers")
