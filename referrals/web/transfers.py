"""Export: lists and the whole account as files made in the background, and an account read back from its archive (docs/exports.md)."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import FileResponse, Http404, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy
from django.views.decorators.http import require_POST, require_safe

from campaigns.models import Campaign
from referrals.accounts.models import Role
from referrals.lib.errors import Refused
from referrals.web.access import MerchantRequest, fresh_login, member, own, refused
from referrals.web.campaign_forms import apply_refusal
from referrals.web.exports import note_export
from referrals.web.list_exports import LISTS, read_list
from rewards import transfers
from rewards.account.tables import LEFT_OUT, is_empty
from rewards.models import Transfer

SHOWN = 20


class ListForm(forms.Form):
    """Which list, of which campaign."""

    name = forms.ChoiceField(label=lazy("List"))
    campaign = forms.ChoiceField(label=lazy("Campaign"), required=False)

    def __init__(self, request: MerchantRequest, *args: Any) -> None:
        super().__init__(*args)
        rows = Campaign.objects.for_tenant(request.tenant).order_by("-pk")[:200]
        chosen: Any = self.fields
        chosen["name"].choices = [(name, listed.label) for name, listed in LISTS.items()]
        chosen["campaign"].choices = [("", _("Every campaign")), *((row.public_id, row.name) for row in rows)]


class ArchiveForm(forms.Form):
    """An archive of an account."""

    file = forms.FileField(
        label=lazy("Archive"),
        help_text=lazy("The zip file that “Make an archive” or manage.py export_account wrote; up to 512 MB."),
        widget=forms.ClearableFileInput(attrs={"accept": ".zip,application/zip"}),
    )


@member()
def export_list(request: MerchantRequest) -> HttpResponseBase:
    """The files that were made, and a form for another list."""
    form, status = ListForm(request), 200
    if request.method == "POST":
        form = ListForm(request, request.POST)
        status = 422
        if form.is_valid():
            campaign = form.cleaned_data["campaign"]
            query = (
                f"campaign={campaign}" if campaign and "campaign" in transfers.LISTS[form.cleaned_data["name"]] else ""
            )
            if form.cleaned_data["name"] == "rewards":
                query = f"stage=due&{query}".rstrip("&")
            try:
                read_list(request.tenant, form.cleaned_data["name"], query)
                transfers.ask_list(
                    tenant=request.tenant, name=form.cleaned_data["name"], query=query, actor=request.actor
                )
            except Refused as error:
                status = apply_refusal(form, error)
            else:
                messages.success(request, _("The file is being made. It stands here when it is ready."))
                return redirect("web:exports")
    rows = list(Transfer.objects.for_tenant(request.tenant).order_by("-pk")[:SHOWN])
    context = {
        "form": form,
        "rows": [{"row": row, "label": _label(row)} for row in rows],
        "runs": any(row.is_open for row in rows),
        "left_out": len(LEFT_OUT),
        "may_change": request.membership.may(Role.MANAGER),
        "is_owner": request.membership.may(Role.OWNER),
        "is_empty": not is_empty(request.tenant),
    }
    return render(request, "web/exports/list.html", context, status=status)


def _label(row: Transfer) -> str:
    return str(LISTS[row.name].label) if row.name in LISTS else row.get_kind_display()


@require_POST
@member(role=Role.OWNER)
@fresh_login
def account_export(request: MerchantRequest) -> HttpResponse:
    """Order the whole account as an archive: owners only, who have just shown that it is them."""
    try:
        transfers.ask_account(tenant=request.tenant, actor=request.actor)
    except Refused as error:
        return refused(request, error, back="/app/settings/exports/")
    messages.success(request, _("The archive is being made. It stands here when it is ready."))
    return redirect("web:exports")


@member(role=Role.OWNER)
@fresh_login
def account_import(request: MerchantRequest) -> HttpResponse:
    """Read an archive into this account, which has to be empty: owners only."""
    full = is_empty(request.tenant)
    form, status = ArchiveForm(request.POST or None, request.FILES or None), 200
    if request.method == "POST":
        status = 422
        if form.is_valid():
            try:
                if full:
                    message = _(
                        "This account is not empty: it has %(what)s. An archive is read into an empty account only."
                    )
                    raise Refused("account_not_empty", message % {"what": full}, status=409)
                transfers.ask_restore(tenant=request.tenant, file=form.cleaned_data["file"], actor=request.actor)
            except Refused as error:
                status = apply_refusal(form, error)
            else:
                messages.success(request, _("The archive is being read. What came of it stands here."))
                return redirect("web:exports")
    return render(request, "web/exports/account.html", {"form": form, "full": full}, status=status)


@require_safe
@member()
def export_file(request: MerchantRequest, public_id: str) -> HttpResponseBase:
    """A list that was made in the background."""
    row = own(Transfer.objects.all(), request, public_id)
    if row.kind != "list":
        raise Http404
    return _file(row, f"{row.name.replace('_', '-')}-{row.created_at:%Y-%m-%d}.csv", "text/csv; charset=utf-8")


@require_safe
@member(role=Role.OWNER)
@fresh_login
def account_file(request: MerchantRequest, public_id: str) -> HttpResponseBase:
    """The archive of the whole account, or which ids became which: owners only, who have just shown that it is them."""
    row = own(Transfer.objects.all(), request, public_id)
    if row.kind == "list":
        raise Http404
    answer = _file(row, f"account-{row.created_at:%Y-%m-%d}.zip", "application/zip")
    note_export(request, "account", row.public_id, "")
    return answer


def _file(row: Transfer, name: str, content_type: str) -> FileResponse:
    path = row.path
    if row.kind == "restore":
        path, name, content_type = row.mapping_path, "ids.csv", "text/csv; charset=utf-8"
    if row.state != "done" or row.gone_at is not None or not path.exists():
        raise Http404
    return FileResponse(path.open("rb"), as_attachment=True, filename=name, content_type=content_type)
