"""Settings, Export, Scheduled: lists that are mailed as a link every day, week or month."""

from __future__ import annotations

import logging

from django import forms
from django.conf import settings
from django.contrib import messages
from django.core.mail import send_mail
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy
from django.views.decorators.http import require_POST

from referrals.accounts.models import Membership, Role
from referrals.lib.errors import Refused
from referrals.web.access import MerchantRequest, member, own
from referrals.web.campaign_forms import apply_refusal
from referrals.web.list_exports import LISTS, read_list
from rewards import export_schedules
from rewards.models import ExportSchedule, Transfer

log = logging.getLogger(__name__)


class ScheduleForm(forms.Form):
    """Which list with which filter, and how often."""

    name = forms.ChoiceField(label=lazy("List"))
    query = forms.CharField(
        label=lazy("Filter"),
        max_length=2000,
        required=False,
        help_text=lazy(
            "What stands behind the question mark in the address of the list, such as stage=due. Empty is the list as it opens."
        ),
        widget=forms.TextInput(attrs={"dir": "ltr", "spellcheck": "false"}),
    )
    every = forms.ChoiceField(label=lazy("How often"), choices=ExportSchedule.EVERY, initial="week")
    hour = forms.TypedChoiceField(
        label=lazy("At"), coerce=int, choices=[(hour, f"{hour:02}:00") for hour in range(24)], initial=6
    )

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # handed on as they came
        self.fields["name"].choices = [(name, listed.label) for name, listed in LISTS.items()]  # type: ignore[attr-defined]


@member()
def schedules(request: MerchantRequest) -> HttpResponse:
    """The schedules of this side and a form for another; `?list=` and a filter, as lists have them, fill it in."""
    query = request.GET.copy()
    chosen = "".join(query.pop("list", [])[:1])
    form, status = ScheduleForm(initial={"name": chosen or "rewards", "query": query.urlencode()}), 200
    if request.method == "POST":
        form, status = ScheduleForm(request.POST), 422
        if form.is_valid():
            data = form.cleaned_data
            text = data["query"].strip().removeprefix("?")
            try:
                read_list(request.tenant, data["name"], text)
                export_schedules.create(
                    tenant=request.tenant, user=request.user, actor=request.actor, name=data["name"], query=text,
                    every=data["every"], hour=data["hour"],
                )  # fmt: skip
            except Refused as error:
                if error.field == "filter":
                    form.add_error("query", error.message)
                else:
                    status = apply_refusal(form, error)
            else:
                messages.success(request, _("Scheduled. You get a mail with a link each time."))
                return redirect("web:export_schedules")
    rows = ExportSchedule.objects.for_tenant(request.tenant).select_related("user").order_by("-pk")
    context = {
        "form": form,
        "rows": [(row, LISTS[row.name].label) for row in rows if row.name in LISTS],
        "may_change": request.membership.may(Role.MANAGER),
    }
    return render(request, "web/exports/schedules.html", context, status=status)


@member()
@require_POST
def remove(request: MerchantRequest, public_id: str) -> HttpResponse:
    """Make no more of these."""
    row = own(ExportSchedule.objects.all(), request, public_id)
    export_schedules.remove(schedule=row, actor=request.actor)
    messages.success(request, _("Removed. Files that were made stay for their week."))
    return redirect("web:export_schedules")


def sweep() -> int:
    """For the schedule: order what is due, and mail what is ready. Returns how many mails went out."""
    export_schedules.start_due()
    sent = 0
    for row in export_schedules.ready():
        transfer = row.making
        if transfer is None or not export_schedules.told(row, transfer):
            continue
        if not Membership.objects.filter(merchant=row.merchant, user=row.user, user__is_active=True).exists():
            ExportSchedule.objects.filter(pk=row.pk).delete()  # who left the team hears nothing more
            continue
        try:
            _mail(row, transfer)
        except OSError:
            log.exception("the mail about the scheduled export %s could not be sent", row.public_id)
            ExportSchedule.objects.filter(pk=row.pk, making=None).update(making=transfer)
            continue
        sent += 1
    return sent


def _mail(row: ExportSchedule, transfer: Transfer) -> None:
    with translation.override(settings.LANGUAGE_CODE), timezone.override(row.merchant.zone):
        label = LISTS[row.name].label
        context = {
            "label": label,
            "row": row,
            "transfer": transfer,
            "file_url": f"{settings.SITE_URL}{reverse('web:export_file', args=[transfer.public_id])}",
            "url": f"{settings.SITE_URL}{reverse('web:export_schedules')}",
        }
        subject = _("%(list)s of %(merchant)s") % {"list": label, "merchant": " ".join(row.merchant.name.split())}
        text = render_to_string("web/exports/mail_scheduled.txt", context)
        send_mail(subject, text, None, [row.user.email])
