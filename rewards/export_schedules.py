"""Having a list made into a file every day, week or month, in the merchant's time zone."""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo

from django.db import transaction
from django.utils.translation import gettext as _

from referrals.accounts.models import User
from referrals.accounts.tenancy import Tenant
from referrals.events import types
from referrals.events.services import SYSTEM, Actor, Happening, record
from referrals.lib import clock
from referrals.lib.errors import Refused
from rewards import transfers
from rewards.models import ExportSchedule, Transfer

MOST = 20


def next_time(every: str, hour: int, zone: tzinfo, after: datetime) -> datetime:
    """The next day, Monday or first of a month after `after` at this hour of the zone.

    An hour that the change to summer time leaves out is the one after it; one that comes twice is the first.
    """
    day = after.astimezone(zone).replace(hour=hour, minute=0, second=0, microsecond=0, fold=0, tzinfo=None)
    local = after.astimezone(zone).replace(tzinfo=None)
    while day <= local or (every == "week" and day.weekday() != 0) or (every == "month" and day.day != 1):
        day += timedelta(days=1)
    return day.replace(tzinfo=zone).astimezone(after.tzinfo)


def create(
    *, tenant: Tenant, user: User, actor: Actor, name: str, query: str, every: str, hour: int = 6
) -> ExportSchedule:
    """A new schedule; its mails go to `user`. Refused: unknown_list, invalid_choice, too_many_schedules (409)."""
    if name not in transfers.LISTS:
        raise Refused("unknown_list", _("There is no list %(name)r.") % {"name": name[:40]}, field="name")
    if every not in dict(ExportSchedule.EVERY) or not 0 <= hour <= 23:
        raise Refused("invalid_choice", _("Choose how often, and an hour from 0 to 23."), field="every")
    with transaction.atomic():
        type(tenant.merchant).objects.select_for_update(no_key=True).get(pk=tenant.merchant.pk)
        if ExportSchedule.objects.for_tenant(tenant).count() >= MOST:
            message = _("There are %(n)d scheduled exports already. Remove one that is not needed.")
            raise Refused("too_many_schedules", message % {"n": MOST}, status=409)
        row = ExportSchedule.objects.create(
            merchant=tenant.merchant,
            is_test=tenant.is_test,
            user=user,
            name=name,
            query=query[:2000],
            every=every,
            hour=hour,
            next_at=next_time(every, hour, tenant.merchant.zone, clock.wall()),
        )
        data = {"what": name, "every": every}
        record(tenant, actor, Happening(types.EXPORT_SCHEDULED, "export", row.public_id, data=data))
    return row


def remove(*, schedule: ExportSchedule, actor: Actor) -> None:
    """Make no more of these; the files that were made stay their week."""
    with transaction.atomic():
        if ExportSchedule.objects.filter(pk=schedule.pk).delete()[0]:
            data = {"what": schedule.name, "every": schedule.every}
            told = Happening(types.EXPORT_UNSCHEDULED, "export", schedule.public_id, data=data)
            record(schedule.tenant, actor, told)


def start_due() -> int:
    """Order the files whose time has come, each once however often this runs; how many. What was missed while nothing ran is made once."""
    now = clock.wall()
    started = 0
    for row in ExportSchedule.objects.filter(next_at__lte=now).select_related("merchant").order_by("next_at")[:100]:
        with transaction.atomic():
            following = next_time(row.every, row.hour, row.merchant.zone, now)
            if not ExportSchedule.objects.filter(pk=row.pk, next_at=row.next_at).update(next_at=following):
                continue
            made = transfers.order_list(tenant=row.tenant, name=row.name, query=row.query, actor=SYSTEM)
            ExportSchedule.objects.filter(pk=row.pk).update(making=made)
            started += 1
    return started


def ready() -> list[ExportSchedule]:
    """Schedules whose file is made, or could not be, and of which nobody was told."""
    rows = ExportSchedule.objects.filter(making__state__in=["done", "failed"]).select_related(
        "merchant", "user", "making"
    )
    return list(rows.order_by("pk")[:100])


def told(row: ExportSchedule, transfer: Transfer) -> bool:
    """Note that the mail about this file is being sent; False when somebody else does it."""
    now = clock.wall()
    return bool(ExportSchedule.objects.filter(pk=row.pk, making=transfer).update(making=None, last_sent_at=now))
