"""Importing files: choose one, map its columns, see what it would do, apply it, mend what is wrong (docs/imports.md)."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import Http404, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy
from django.views.decorators.http import require_safe

from campaigns.models import Campaign
from referrals.accounts.models import Role
from referrals.accounts.tenancy import Tenant
from referrals.lib.errors import Refused
from referrals.web.access import MerchantRequest, member, own
from referrals.web.campaign_forms import apply_refusal
from referrals.web.exports import stream_csv
from rewards import customer_uploads
from rewards.imports import jobs
from rewards.imports.fields import BY_NAME, fields_for, preset_label
from rewards.imports.rows import REASON_COLUMN
from rewards.models import Import, ImportFile

SHOWN = 20
CUSTOMERS = "customers"
_ENCODINGS = {
    "windows-1252": lazy(
        "The file is not in UTF-8. It is read as Windows-1252, Excel's plain “CSV”: look at the letters with accents below, and save it as"
        " “CSV UTF-8” if they are wrong."
    ),
    "utf-16": lazy("The file is in UTF-16, Excel's “Unicode text”."),
}
# What applying a file will do, said before it is done.
_DOES = {
    "participants": (
        lazy(
            "New people join with their codes and dates. Nobody gets a mail, and nobody earns anything for having joined."
        ),
        lazy(
            "New people join with their codes and dates, and joining earns what the campaign's rules say. Nobody gets a mail."
        ),
    ),
    "referrals": (
        lazy("Friends are joined to those who invited them. Nobody gets a mail, and nobody earns anything for it."),
        lazy(
            "Friends are joined to those who invited them, and joining or a status earns what the campaign's rules say."
        ),
    ),
    "events": (
        lazy(
            "The events are history: they count as having happened, so that a friend's next purchase is not the first once more, and they"
            " earn no rewards here."
        ),
        lazy(
            "Every event is decided by the campaign's rules, as if it were reported now. Rewards may come of it at once."
        ),
    ),
}


class StartForm(forms.Form):
    """A file, and what is in it."""

    kind = forms.ChoiceField(
        label=lazy("What is in the file"), choices=[*Import.KINDS, (CUSTOMERS, lazy("Existing customers"))]
    )
    campaign = forms.ChoiceField(label=lazy("Campaign"), required=False)
    file = forms.FileField(
        label=lazy("CSV file"),
        allow_empty_file=True,
        help_text=lazy("Up to 10 MB, with commas, semicolons or tabs. The exports of other products are recognised."),
        widget=forms.ClearableFileInput(attrs={"accept": ".csv,.tsv,.txt,text/csv"}),
    )

    def __init__(self, tenant: Tenant, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.tenant = tenant
        self.fields["campaign"].choices = _campaigns(tenant)  # type: ignore[attr-defined]  # a ChoiceField


class MappingForm(forms.Form):
    """Which column has what, and how cells are spelled. The fields `map_*` are the importer's."""

    campaign = forms.ChoiceField(label=lazy("Campaign"))
    date_order = forms.ChoiceField(label=lazy("Dates"), choices=Import.DATES)
    decimal_mark = forms.ChoiceField(label=lazy("Decimals"), choices=Import.MARKS)
    has_header = forms.BooleanField(label=lazy("The first row has the columns' names"), required=False)
    decide = forms.BooleanField(
        label=lazy("Decide rewards for these rows"),
        required=False,
        help_text=lazy(
            "Off: they are history that was settled elsewhere, and earn nothing here. On: they are decided as if they happened"
            " now."
        ),
    )

    def __init__(self, upload: Import, data: Any = None) -> None:
        names = [one.name for one in fields_for(upload.kind)]
        start: dict[str, Any] = {f"map_{name}": upload.mapping.get(name, "") for name in names}
        start |= {
            "campaign": upload.campaign.public_id,
            "date_order": upload.date_order,
            "decimal_mark": upload.decimal_mark,
            "has_header": upload.has_header,
            "decide": upload.decide,
        }
        super().__init__(data, initial=start)
        self.names = names
        columns = [(n, f"{n + 1}. {name}" if name else str(n + 1)) for n, name in enumerate(upload.columns)]
        for name in names:
            one = BY_NAME[name]
            self.fields[f"map_{name}"] = forms.TypedChoiceField(
                label=str(one.label), help_text=str(one.hint), required=False, coerce=int, empty_value=None,
                choices=[("", _("No column")), *columns],
            )  # fmt: skip
            shown: Any = self.fields[f"map_{name}"]
            shown.always = upload.kind in one.required
        self.order_fields([f"map_{name}" for name in names])
        self.fields["campaign"].choices = _campaigns(upload.tenant)  # type: ignore[attr-defined]  # a ChoiceField

    @property
    def mapping(self) -> dict[str, int]:
        """Field -> column, as chosen."""
        chosen = {name: self.cleaned_data.get(f"map_{name}") for name in self.names}
        return {name: column for name, column in chosen.items() if column is not None}


def _campaigns(tenant: Tenant) -> list[tuple[str, str]]:
    rows = Campaign.objects.for_tenant(tenant).order_by("-pk")[:200]
    return [(row.public_id, row.name) for row in rows]


def _campaign(tenant: Tenant, public_id: str) -> Campaign:
    found = Campaign.objects.for_tenant(tenant).select_related("merchant").filter(public_id=public_id).first()
    if found is None:
        raise Refused("campaign_not_found", _("Choose the campaign that the file is for."), field="campaign")
    return found


@member()
def import_list(request: MerchantRequest) -> HttpResponseBase:
    """The files, and a form for another one."""
    kind = request.GET.get("kind", "")
    form = StartForm(request.tenant, initial={"kind": kind, "campaign": request.GET.get("campaign", "")})
    status = 200
    if request.method == "POST":
        form = StartForm(request.tenant, request.POST, request.FILES)
        status = 422
        if form.is_valid():
            try:
                return _start(request, form)
            except Refused as error:
                status = apply_refusal(form, error)
    context = {
        "form": form,
        "imports": Import.objects.for_tenant(request.tenant).order_by("-pk")[:SHOWN],
        "may_change": request.membership.may(Role.MANAGER),
    }
    return render(request, "web/imports/list.html", context, status=status)


def _start(request: MerchantRequest, form: StartForm) -> HttpResponse:
    file, kind = form.cleaned_data["file"], form.cleaned_data["kind"]
    # One byte more than fits says that it is too large, without reading the rest.
    data = file.read(jobs.MOST_BYTES + 1)
    if kind == CUSTOMERS:
        listed = customer_uploads.start(tenant=request.tenant, name=file.name, data=data, actor=request.actor)
        return redirect("web:customer_upload", listed.public_id)
    campaign = _campaign(request.tenant, form.cleaned_data["campaign"])
    upload = jobs.start(
        tenant=request.tenant, kind=kind, campaign=campaign, name=file.name, data=data, actor=request.actor
    )
    return redirect("web:import", upload.public_id)


@member()
def import_page(request: MerchantRequest, public_id: str) -> HttpResponse:
    """One file: its columns and first rows, what it would do, what it did, and the progress in between."""
    upload = own(Import.objects.select_related("merchant", "campaign__merchant"), request, public_id)
    form, status = MappingForm(upload), 200
    if request.method == "POST":
        try:
            if request.POST.get("act") == "apply":
                jobs.apply(upload=upload)
            elif request.POST.get("act") == "drop":
                jobs.drop(upload=upload)
            else:
                form = MappingForm(upload, request.POST)
                if not form.is_valid():
                    return _shown(request, upload, form, 422)
                _remap(request, upload, form)
        except Refused as error:
            form = MappingForm(upload, request.POST)
            form.is_valid()
            error.field = f"map_{error.field}" if f"map_{error.field}" in form.fields else error.field
            status = apply_refusal(form, error)
        else:
            return redirect("web:import", public_id)
    return _shown(request, upload, form, status)


def _remap(request: MerchantRequest, upload: Import, form: MappingForm) -> None:
    data = form.cleaned_data
    jobs.remap(
        upload=upload,
        mapping=form.mapping,
        has_header=data["has_header"],
        date_order=data["date_order"],
        decimal_mark=data["decimal_mark"],
        campaign=_campaign(request.tenant, data["campaign"]),
        decide=data["decide"],
    )


def _shown(request: MerchantRequest, upload: Import, form: MappingForm, status: int) -> HttpResponse:
    file = ImportFile.objects.defer("data").filter(upload=upload).first()
    open_ = upload.state in {"mapping", "checked"} and file is not None
    wrong = [
        (line, BY_NAME[name].label if name in BY_NAME else "", reason)
        for line, name, reason in (file.wrong if file else [])[:SHOWN]
    ]
    context = {
        "upload": upload,
        "form": form,
        "preset": preset_label(upload.preset),
        "encoding": _ENCODINGS.get(upload.encoding, ""),
        "does": _DOES[upload.kind][upload.decide],
        "preview": jobs.preview(upload) if open_ else [],
        "mapped": [form[f"map_{name}"] for name in form.names],
        "spelled": [form[name] for name in ("campaign", "date_order", "decimal_mark", "has_header", "decide")],
        "wrong": wrong,
        "too_many": upload.wrong > jobs.MOST_WRONG,
        "has_file": file is not None,
        "may_change": request.membership.may(Role.MANAGER),
    }
    return render(request, "web/imports/import.html", context, status=status)


@require_safe
@member()
def import_wrong_rows(request: MerchantRequest, public_id: str) -> HttpResponseBase:
    """The rows that can't be taken as they stand in the file, with a column of reasons; to be corrected and uploaded again."""
    upload = own(Import.objects.all(), request, public_id)
    if not ImportFile.objects.filter(upload=upload).exists():
        raise Http404
    head = upload.columns if upload.has_header else [str(n + 1) for n in range(len(upload.columns))]
    return stream_csv("wrong-rows.csv", [*head, REASON_COLUMN], jobs.wrong_rows(upload))
