"""Lists of payouts: batches, what was issued together; and every payout, by status, method and person (UX.md, page "Rewards")."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from django.core.exceptions import BadRequest, ValidationError
from django.db.models import Model, Q, QuerySet
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from integrations.models import PayoutDifference
from participants.models import Participant
from referrals.accounts.tenancy import Tenant
from referrals.lib.emails import EmailError, parse_email
from referrals.lib.pages import Page, PageError, keyset, render_part
from referrals.web.access import MerchantRequest, member
from referrals.web.filters import one_of
from referrals.web.payout_rows import batch_rows, for_rows, method_text, payout_rows
from referrals.web.payout_words import status_text
from referrals.web.reward_state import ListState
from rewards import funding, payout_guards
from rewards.models import Payout, PayoutBatch

M = TypeVar("M", bound=Model)
_PAGE_SIZE = 50
# How many people of a name are looked through; who means one person writes more of it.
_MOST_PEOPLE = 200


@require_safe
@member()
def payouts(request: MerchantRequest) -> HttpResponse:
    """All batches of this side, newest first. Three queries beside the page's own."""
    page = page_of(PayoutBatch.objects.for_tenant(request.tenant), request, sort="-pk", limit=_PAGE_SIZE)
    context = {
        "batches": batch_rows(page.rows),
        **page_urls(page, reverse("web:payouts")),
        "due_url": ListState(stage="due").url(),
        "tabs": tabs(request.tenant, "batches"),
    }
    return render(request, "web/payouts/list.html", context)


def page_of(rows: QuerySet[M] | Sequence[QuerySet[M]], request: MerchantRequest, *, sort: str, limit: int) -> Page[M]:
    """One page by the address's `after`; BadRequest for a marker that is damaged or of another list."""
    try:
        return keyset(rows, sort=sort, cursor=request.GET.get("after", "")[:400], limit=limit)
    except (PageError, TypeError, ValueError, ValidationError) as error:
        raise BadRequest(_("This page marker is damaged; go back to the first page.")) from error


def page_urls(page: Page[Any], url: str) -> dict[str, str]:
    """The neighbours' addresses, as components/_pager.html has them; `url` may have a query."""
    joint = "&" if "?" in url else "?"
    return {
        "prev_url": f"{url}{joint}after={page.previous}" if page.previous else "",
        "next_url": f"{url}{joint}after={page.next}" if page.next else "",
    }


@dataclass(frozen=True, slots=True)
class PageTab:
    """One of the pages about payouts."""

    label: str
    url: str
    current: bool
    count: int = 0


def tabs(tenant: Tenant, current: str) -> list[PageTab]:
    """The pages about payouts, with how many batches and payouts wait for a person. Two queries."""
    return [
        PageTab(_("Batches"), reverse("web:payouts"), current == "batches"),
        PageTab(_("Payouts"), reverse("web:payouts_all"), current == "all"),
        PageTab(_("Waiting"), reverse("web:payouts_waiting"), current == "waiting", waiting_batches(tenant)),
        PageTab(_("Needs attention"), reverse("web:payouts_attention"), current == "attention", open_questions(tenant)),
        PageTab(_("Books"), reverse("web:books"), current == "books"),
        PageTab(_("Yearly totals"), reverse("web:year_totals"), current == "years"),
    ]


def waiting_batches(tenant: Tenant) -> int:
    """How many batches wait for money or for a second person. One query, of open batches only."""
    return funding.waiting(tenant).count()


def open_questions(tenant: Tenant) -> int:
    """How many payouts there are of which nobody knows whether they were paid, and about which the company's books say something
    else. Two queries, by indexes of just those."""
    unknown = Payout.objects.for_tenant(tenant).filter(status="needs_attention").count()
    return unknown + PayoutDifference.objects.for_tenant(tenant).filter(ended_at=None).count()


@dataclass(frozen=True, slots=True)
class PayoutFilter:
    """What narrows the list of payouts; empty fields narrow nothing. `method` is a payout's, `q` a person, an id or a reference."""

    status: str = ""
    method: str = ""
    q: str = ""

    @classmethod
    def read(cls, request: MerchantRequest, methods: Iterable[str]) -> PayoutFilter:
        """From the address; BadFilter names a value that is in no list."""
        return cls(
            status=one_of(request.GET, "status", dict(Payout.STATUSES)),
            method=one_of(request.GET, "method", set(methods)),
            q=" ".join(request.GET.get("q", "").replace("\x00", "").split())[:120],
        )

    def apply(self, tenant: Tenant) -> QuerySet[Payout]:
        """The tenant's payouts that match. At most one more query, for the people of the name."""
        rows: QuerySet[Payout] = Payout.objects.for_tenant(tenant)
        if self.status:
            rows = rows.filter(status=self.status)
        if self.method:
            rows = rows.filter(method=self.method)
        if self.q:
            wanted = Q(public_id=self.q) | Q(reference=self.q) | Q(participant__in=_people(tenant, self.q))
            rows = rows.filter(wanted)
        return rows

    @property
    def query(self) -> str:
        """The query string of this list."""
        pairs = {"status": self.status, "method": self.method, "q": self.q}
        return urlencode({name: value for name, value in pairs.items() if value})


def _people(tenant: Tenant, text: str) -> list[int]:
    """Whom somebody who types this may mean: an address exactly, a code, the beginning of a name."""
    rows = Participant.objects.for_tenant(tenant)
    try:
        rows = rows.filter(email_key=parse_email(text).key)
    except EmailError:
        first, _space, last = text.partition(" ")
        named = Q(first_name__istartswith=text) | Q(last_name__istartswith=text)
        if last:
            named = Q(first_name__istartswith=first, last_name__istartswith=last)
        rows = rows.filter(named | Q(referral_code=text) | Q(public_id=text))
    return list(rows.order_by("-pk").values_list("pk", flat=True)[:_MOST_PEOPLE])


@require_safe
@member()
def payouts_all(request: MerchantRequest) -> HttpResponse:
    """Every payout of this side, newest first."""
    tenant = request.tenant
    methods = sorted(set(PayoutBatch.objects.for_tenant(tenant).values_list("method", flat=True).order_by().distinct()))
    chosen = PayoutFilter.read(request, methods)
    page = page_of(for_rows(chosen.apply(tenant)), request, sort="-pk", limit=_PAGE_SIZE)
    url = reverse("web:payouts_all")
    context = {
        "rows": payout_rows(page.rows, tenant, stopped=payout_guards.is_stopped(tenant)),
        "filter": chosen,
        "statuses": [(name, status_text(name)) for name, _words in Payout.STATUSES],
        "methods": [(name, method_text(name)) for name in methods],
        "all_url": url,
        **page_urls(page, f"{url}?{chosen.query}" if chosen.query else url),
        "tabs": tabs(tenant, "all"),
    }
    return render_part(request, "web/payouts/all.html", "web/payouts/_all.html", context)
