"""The books, to be looked at: what was earned, taken back and paid in a span, and what each person was paid in a year (seed 003,
"Maintain audit trails"). Everything is read from the ledger, which only grows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from django.db import transaction
from django.db.models import Count, Max, Sum
from django.db.models.functions import ExtractYear
from django.utils.translation import gettext as _

from referrals.accounts.tenancy import Tenant
from referrals.events import types
from referrals.events.services import Actor, Happening, record
from referrals.lib.errors import Refused
from referrals.lib.money import Money
from rewards.models import LedgerEntry, YearlyNotice

# What a year's total is looked at from where nobody said otherwise: in the US, 600 dollars have to be told to the tax office (issue 6).
DEFAULTS = {"USD": 59_900}
KINDS = ("earn", "reverse", "pay", "pay_back", "adjust")
_PAID = ("pay", "pay_back")


@dataclass(frozen=True, slots=True)
class Sums:
    """The signed sums of one currency by kind of line, in minor units, and what the lines add up to."""

    currency: str
    kinds: dict[str, int]

    @property
    def total(self) -> Money:
        """What is owed more at the end of the span than at its beginning."""
        return Money(sum(self.kinds.values()), self.currency)

    def money(self, kind: str) -> Money:
        """One kind's sum."""
        return Money(self.kinds.get(kind, 0), self.currency)


@dataclass(frozen=True, slots=True)
class YearTotal:
    """What one person was paid in one year and currency, over all campaigns of the business."""

    email: str
    participant: str
    total: Money
    payouts: int
    # Above the business's notice.
    is_above: bool


def span(tenant: Tenant, since: date | None, until: date | None) -> tuple[datetime | None, datetime | None]:
    """Days of the business's calendar as moments: from the first one's midnight to the last one's end. None is open."""
    zone = tenant.merchant.zone
    begin = datetime.combine(since, time.min, zone).astimezone(UTC) if since else None
    end = datetime.combine(until + timedelta(days=1), time.min, zone).astimezone(UTC) if until else None
    return begin, end


def sums(tenant: Tenant, since: date | None = None, until: date | None = None) -> list[Sums]:
    """The ledger's sums over a span of days, by currency. One query."""
    begin, end = span(tenant, since, until)
    rows = LedgerEntry.objects.for_tenant(tenant)
    rows = rows.filter(created_at__gte=begin) if begin else rows
    rows = rows.filter(created_at__lt=end) if end else rows
    found: dict[str, dict[str, int]] = {}
    for currency, kind, minor in (
        rows.values_list("currency", "kind").annotate(minor=Sum("amount_minor")).order_by("currency")
    ):
        found.setdefault(currency, {})[kind] = minor
    return [Sums(currency, kinds) for currency, kinds in found.items()]


def years(tenant: Tenant) -> list[int]:
    """The years in which something was paid, the newest first, by the business's calendar."""
    rows = LedgerEntry.objects.for_tenant(tenant).filter(kind__in=_PAID)
    found = rows.annotate(year=ExtractYear("created_at", tzinfo=tenant.merchant.zone)).values_list("year", flat=True)
    return sorted(set(found.order_by("year").distinct()), reverse=True)


def year_totals(tenant: Tenant, year: int, *, only_above: bool = False) -> Iterator[YearTotal]:
    """What each person was paid in a year, the largest first within a currency. A payment that came back is taken off.

    A person is who has one address; those who were erased stand under the address that nobody has.
    """
    begin, end = span(tenant, date(year, 1, 1), date(year, 12, 31))
    rows = LedgerEntry.objects.for_tenant(tenant).filter(kind__in=_PAID, created_at__gte=begin, created_at__lt=end)
    notices = notices_of(tenant)
    grouped = (
        rows.values("currency", "participant__email_key")
        .annotate(
            minor=Sum("amount_minor"),
            participant=Max("participant__public_id"),
            payouts=Count("payout", distinct=True),
        )
        .order_by("currency", "minor", "participant__email_key")
    )
    for row in grouped.iterator():
        paid, notice = -row["minor"], notices.get(row["currency"])
        is_above = notice is not None and paid > notice
        if paid > 0 and (is_above or not only_above):
            money = Money(paid, row["currency"])
            yield YearTotal(row["participant__email_key"], row["participant"], money, row["payouts"], is_above)


def notices_of(tenant: Tenant) -> dict[str, int]:
    """By currency, above which yearly total a person is marked, in minor units."""
    rows = YearlyNotice.objects.for_tenant(tenant).values_list("currency", "above_minor")
    found = DEFAULTS | dict(rows)
    return {currency: minor for currency, minor in found.items() if minor is not None}


def set_notice(*, tenant: Tenant, actor: Actor, currency: str, above_minor: int | None) -> None:
    """Mark people above this yearly total, in minor units; None marks nobody. Raises Refused: amount_not_positive."""
    if above_minor is not None and above_minor <= 0:
        message = _("%(amount)s is not above zero. Leave the field empty to mark nobody.")
        raise Refused("amount_not_positive", message % {"amount": Money(above_minor, currency)}, field="above_minor")
    with transaction.atomic():
        YearlyNotice.objects.update_or_create(
            merchant=tenant.merchant, is_test=tenant.is_test, currency=currency, defaults={"above_minor": above_minor}
        )
        data = {"currency": currency, "above_minor": above_minor}
        record(tenant, actor, Happening(types.YEARLY_NOTICE_CHANGED, "merchant", tenant.merchant.public_id, data=data))
