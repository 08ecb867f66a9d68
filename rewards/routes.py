"""By which way each kind of reward goes out by itself, when, and what is missing for it (docs/payouts.md, "Issuing by itself").

Which ways there are is known in integrations.methods; integrations.issuing checks what is chosen there and keeps it with set_route().
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from django.db import IntegrityError, transaction
from django.db.models import Exists, F, OuterRef, Q
from django.utils.translation import gettext as _

from campaigns.models import Campaign, RewardRule, Status
from referrals.accounts.tenancy import Tenant
from referrals.events import types
from referrals.events.services import Actor, Happening, record
from referrals.lib import clock
from referrals.lib.errors import Refused
from rewards import slots
from rewards.lifecycle import BEFORE_ISSUE
from rewards.models import PayoutCalendar, PayoutRoute, Reward
from rewards.slots import Calendar

# The usual calendar was always there.
ALWAYS = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Need:
    """Rules that issue by themselves: of one campaign, side, kind and delivery."""

    campaign: int
    side: str
    kind: str
    delivery: str


def calendar_of(tenant: Tenant) -> PayoutCalendar:
    """The side's calendar; the usual one, unsaved, where nobody has set any: Mondays, at nine."""
    found = PayoutCalendar.objects.for_tenant(tenant).first()
    if found is None:
        return PayoutCalendar(merchant=tenant.merchant, is_test=tenant.is_test, since=ALWAYS)
    return found


def times_of(calendar: PayoutCalendar) -> Calendar:
    """The calendar as rewards.slots reads it."""
    return Calendar(calendar.weekday, calendar.hour, calendar.merchant.zone)


def set_calendar(*, tenant: Tenant, actor: Actor, weekday: int, hour: int) -> PayoutCalendar:
    """When runs are from now on. Refused `out_of_range`, with the field."""
    for name, value, most in (("weekday", weekday, 6), ("hour", hour, 23)):
        if not 0 <= value <= most:
            message = _("%(value)d is not between 0 and %(most)d.")
            raise Refused("out_of_range", message % {"value": value, "most": most}, field=name)
    with transaction.atomic():
        PayoutCalendar.objects.get_or_create(
            merchant=tenant.merchant, is_test=tenant.is_test, defaults={"since": ALWAYS}
        )
        row = PayoutCalendar.objects.for_tenant(tenant).select_for_update(of=("self",)).get()
        row.merchant = tenant.merchant
        if (row.weekday, row.hour) != (weekday, hour):
            row.weekday, row.hour, row.since = weekday, hour, clock.now()
            row.save(update_fields=["weekday", "hour", "since"])
            record(tenant, actor, _told(types.PAYOUT_CALENDAR_CHANGED, tenant, weekday=weekday, hour=hour))
    return row


def set_route(
    *,
    tenant: Tenant,
    actor: Actor,
    side: str,
    kind: str,
    method: str,
    options: Mapping[str, str],
    campaign: Campaign | None = None,
) -> PayoutRoute:
    """Pay this kind of reward this way from now on, in one campaign or in all that have no way of their own. The way was checked."""
    where = {"merchant": tenant.merchant, "is_test": tenant.is_test, "side": side, "kind": kind, "campaign": campaign}
    values = {"method": method, "options": dict(options)}
    with transaction.atomic():
        try:
            with transaction.atomic():
                row = PayoutRoute.objects.create(**where, **values, created_by=actor.label)
            made = True
        except IntegrityError:
            row = PayoutRoute.objects.select_for_update().get(**where)
            made = False
            if {name: getattr(row, name) for name in values} == values:
                return row
            row.method, row.options, row.since, row.problem, row.problem_since = (
                method,
                dict(options),
                clock.now(),
                "",
                None,
            )
            row.created_by = actor.label
            row.save()
        data = {"side": side, "kind": kind, "method": method, "campaign": campaign.public_id if campaign else ""}
        record(tenant, actor, _told(types.PAYOUT_ROUTE_SET, tenant, **data, new=made))
    return row


def remove_route(*, route: PayoutRoute, actor: Actor) -> None:
    """From now on nothing goes out by it by itself; batches that it made stay. Removing twice is removing once."""
    with transaction.atomic():
        told = {"side": route.side, "kind": route.kind, "method": route.method}
        tenant = route.tenant
        if PayoutRoute.objects.filter(pk=route.pk).delete()[0]:
            record(tenant, actor, _told(types.PAYOUT_ROUTE_REMOVED, tenant, **told))


def needs_of(tenant: Tenant) -> list[Need]:
    """Everything of this side that is to be issued by itself: by the rules in force of running campaigns, and by the terms, however old,
    of rewards that are not issued yet. One query."""
    mine = {"version__campaign__merchant": tenant.merchant, "version__campaign__is_test__in": [tenant.is_test]}
    running = Q(version=F("version__campaign__version"), version__campaign__status__in=[Status.ACTIVE, Status.PAUSED])
    owed = Reward.objects.filter(campaign=OuterRef("version__campaign"), rule=OuterRef("pk"), state__in=BEFORE_ISSUE)
    rules = RewardRule.objects.filter(running | Exists(owed), **mine).exclude(delivery="manual")
    rows = rules.order_by("version__campaign_id", "side", "kind", "delivery").distinct()
    return [Need(*row) for row in rows.values_list("version__campaign_id", "side", "kind", "delivery")]


def route_for(routes: Iterable[PayoutRoute], need: Need) -> PayoutRoute | None:
    """The way of a need: the campaign's own, else the one of all campaigns."""
    fitting = [row for row in routes if (row.side, row.kind) == (need.side, need.kind)]
    own = [row for row in fitting if row.campaign_id == need.campaign]
    return next(iter([*own, *(row for row in fitting if row.campaign_id is None)]), None)


def next_time(calendar: PayoutCalendar, delivery: str, after: datetime) -> datetime | None:
    """The next slot of a delivery, in UTC; None for what is paid at once."""
    return slots.next_slot(delivery, times_of(calendar), after) if delivery in slots.SLOTTED else None


def _told(type_: str, tenant: Tenant, **data: object) -> Happening:
    return Happening(type_, "merchant", tenant.merchant.public_id, data=data)
