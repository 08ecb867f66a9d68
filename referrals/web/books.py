"""The books: every line of the ledger with what made it, and what each person was paid in a year. Both are files, too."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import BadRequest, ValidationError
from django.db.models import Q, QuerySet
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy
from django.views.decorators.http import require_POST, require_safe

from referrals.accounts.models import Role
from referrals.accounts.tenancy import Tenant
from referrals.lib.errors import Refused
from referrals.lib.money import CURRENCIES, Money
from referrals.lib.pages import PageError, keyset
from referrals.web.access import MerchantRequest, member
from referrals.web.exports import utc
from referrals.web.filters import bad_value, one_day, one_of
from referrals.web.money_fields import MoneyField
from referrals.web.payouts import tabs
from rewards import books as ledger
from rewards.models import LedgerEntry

_PAGE_SIZE = 50
_SHOWN = 200
Rows = Iterable[Sequence[object]]


@dataclass(frozen=True, slots=True)
class BooksFilter:
    """What narrows the books: days of the business's calendar, a kind of line, and a person, payout or reward."""

    since: date | None = None
    until: date | None = None
    kind: str = ""
    q: str = ""

    @classmethod
    def read(cls, query: QueryDict) -> BooksFilter:
        """From an address; BadFilter names a value that is in no list."""
        return cls(
            since=one_day(query, "since"),
            until=one_day(query, "until"),
            kind=one_of(query, "kind", dict(LedgerEntry.KINDS)),
            q=" ".join(query.get("q", "").replace("\x00", "").split())[:120],
        )

    def rows(self, tenant: Tenant) -> QuerySet[LedgerEntry]:
        """The lines, in no order yet."""
        begin, end = ledger.span(tenant, self.since, self.until)
        rows = LedgerEntry.objects.for_tenant(tenant)
        rows = rows.filter(created_at__gte=begin) if begin else rows
        rows = rows.filter(created_at__lt=end) if end else rows
        rows = rows.filter(kind=self.kind) if self.kind else rows
        if self.q:
            named = Q(participant__email_key=self.q.casefold()) | Q(participant__public_id=self.q)
            rows = rows.filter(
                named | Q(payout__public_id=self.q) | Q(reward__public_id=self.q) | Q(payout__reference=self.q)
            )
        return rows.select_related("participant__campaign", "reward__event", "payout")

    @property
    def query(self) -> str:
        """As an address has it."""
        pairs = {"since": self.since or "", "until": self.until or "", "kind": self.kind, "q": self.q}
        return urlencode({name: str(value) for name, value in pairs.items() if value})


@require_safe
@member()
def books(request: MerchantRequest) -> HttpResponse:
    """Every line of the ledger, newest first, and what the lines of the span add up to."""
    chosen = BooksFilter.read(request.GET)
    try:
        page = keyset(
            chosen.rows(request.tenant), sort="-pk", cursor=request.GET.get("after", "")[:400], limit=_PAGE_SIZE
        )
    except (PageError, TypeError, ValueError, ValidationError) as error:
        raise BadRequest(_("This page marker is damaged; go back to the first page.")) from error
    url = f"{reverse('web:books')}?{chosen.query}"
    joint = "&" if chosen.query else ""
    context = {
        "rows": page.rows,
        "filter": chosen,
        "kinds": LedgerEntry.KINDS,
        # A person's or one kind's lines have no sums of their own here: they stand on the person's page.
        **_sums([] if chosen.kind or chosen.q else ledger.sums(request.tenant, chosen.since, chosen.until)),
        "prev_url": f"{url}{joint}after={page.previous}" if page.previous else "",
        "next_url": f"{url}{joint}after={page.next}" if page.next else "",
        "file_url": f"{reverse('web:list_export')}?{urlencode({'list': 'ledger'})}&{chosen.query}",
        "tabs": tabs(request.tenant, "books"),
    }
    return render(request, "web/payouts/books.html", context)


def _sums(found: Sequence[ledger.Sums]) -> dict[str, Any]:
    """A row for each currency, with a cell for every kind of line that there is in any of them."""
    names = dict(LedgerEntry.KINDS)
    kinds = [kind for kind in ledger.KINDS if any(kind in one.kinds for one in found)]
    rows = [
        {
            "currency": one.currency,
            "cells": [(names[kind], one.money(kind) if kind in one.kinds else "") for kind in kinds],
            "total": one.total,
        }
        for one in found
    ]
    return {"sums": rows, "sum_kinds": [names[kind] for kind in kinds]}


LEDGER_COLUMNS = (
    "at", "kind", "amount", "currency", "participant", "participant_email", "side", "campaign", "campaign_id", "reward", "event_source",
    "event_id", "payout", "method", "reference", "by", "note", "key",
)  # fmt: skip


def ledger_list(tenant: Tenant, query: QueryDict) -> tuple[Sequence[str], Rows]:
    """The books as a file, in the order in which they were written."""
    rows = BooksFilter.read(query).rows(tenant).order_by("pk")
    return LEDGER_COLUMNS, (_line(row) for row in rows.iterator(chunk_size=1000))


def _line(row: LedgerEntry) -> Sequence[object]:
    person, event, payout = row.participant, row.reward.event if row.reward else None, row.payout
    return (
        utc(row.created_at), row.kind, row.amount.plain(), row.currency, person.public_id, person.email, row.side,
        person.campaign.name, person.campaign.public_id, row.reward.public_id if row.reward else "", event.source if event else "",
        event.external_id if event else "", payout.public_id if payout else "", payout.method if payout else "",
        payout.reference if payout else "", row.actor, row.note, row.key,
    )  # fmt: skip


# --- what each person was paid in a year ---


class NoticeForm(forms.Form):
    """From which yearly total on people are marked."""

    above_minor = MoneyField(
        label=lazy("Mark people who were paid more than"),
        required=False,
        help_text=lazy("In a year, in this currency. Leave it empty to mark nobody."),
    )

    def __init__(self, data: Any = None, *, currency: str, initial: Any = None) -> None:
        super().__init__(data, auto_id=f"{currency}-%s", initial=initial)
        self.currency = currency
        field = self.fields["above_minor"]
        if isinstance(field, MoneyField):
            field.use(currency)


@require_safe
@member()
def year_totals(request: MerchantRequest) -> HttpResponse:
    """Who was paid how much in a year, the largest first, and who is above the business's notice."""
    return _years_page(request)


def _year(query: QueryDict, known: list[int]) -> int:
    text = query.get("year", "")
    if not text:
        return known[0] if known else timezone.localdate().year
    if not (text.isascii() and text.isdigit() and len(text) == 4 and int(text) >= 1970):
        raise bad_value("year", text)
    return int(text)


def _years_page(request: MerchantRequest, *, form: NoticeForm | None = None, status: int = 200) -> HttpResponse:
    tenant = request.tenant
    known = ledger.years(tenant)
    year = _year(request.GET, known)
    rows: list[ledger.YearTotal] = []
    count = 0
    people: set[str] = set()
    above: set[str] = set()
    for row in ledger.year_totals(tenant, year):
        count += 1
        people.add(row.email)
        if row.is_above:
            above.add(row.email)
        if len(rows) < _SHOWN:
            rows.append(row)
    notices = ledger.notices_of(tenant)
    currencies = list(
        dict.fromkeys([tenant.merchant.currency, *sorted(notices), *(row.total.currency for row in rows)])
    )
    may_change = request.membership.may(Role.ADMIN)
    forms_ = [form if form and form.currency == name else _notice_form(name, notices) for name in currencies]
    for one in forms_:
        one.fields["above_minor"].disabled = not may_change
    context = {
        "year": year,
        "years": sorted({year, *known}, reverse=True),
        "rows": rows,
        "count": len(people),
        "above": len(above),
        "is_cut": count > len(rows),
        "forms": forms_,
        "may_change": may_change,
        "file_url": f"{reverse('web:list_export')}?{urlencode({'list': 'year_totals', 'year': str(year)})}",
        "tabs": tabs(tenant, "years"),
    }
    return render(request, "web/payouts/years.html", context, status=status)


def _notice_form(currency: str, notices: dict[str, int]) -> NoticeForm:
    minor = notices.get(currency)
    return NoticeForm(currency=currency, initial={"above_minor": Money(minor, currency)} if minor is not None else {})


@require_POST
@member(role=Role.ADMIN)
def year_notice(request: MerchantRequest) -> HttpResponse:
    """Set from which yearly total on people are marked, in one currency."""
    currency = request.POST.get("currency", "")
    if currency not in CURRENCIES:
        raise bad_value("currency", currency)
    form = NoticeForm(request.POST, currency=currency)
    if not form.is_valid():
        return _years_page(request, form=form, status=422)
    money = form.cleaned_data["above_minor"]
    minor = money.minor if money is not None else None
    try:
        ledger.set_notice(tenant=request.tenant, actor=request.actor, currency=currency, above_minor=minor)
    except Refused as error:
        form.add_error("above_minor", error.message)
        return _years_page(request, form=form, status=422)
    messages.success(request, _("Saved who is marked in %(currency)s") % {"currency": currency})
    return redirect("web:year_totals")


YEAR_COLUMNS = ("year", "email", "participant", "currency", "paid", "payouts", "above_notice")


def year_list(tenant: Tenant, query: QueryDict) -> tuple[Sequence[str], Rows]:
    """The yearly totals as a file; the newest year with payments unless one is named."""
    year = _year(query, ledger.years(tenant))
    return YEAR_COLUMNS, (
        (
            year,
            row.email,
            row.participant,
            row.total.currency,
            row.total.plain(),
            row.payouts,
            "yes" if row.is_above else "no",
        )
        for row in ledger.year_totals(tenant, year)
    )
