"""Batches that wait: for the merchant's money at the company, and for a second person (docs/payouts.md)."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.core.exceptions import BadRequest
from django.http import HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_safe

from integrations import registry
from integrations.base import Text, Way
from integrations.models import Connection
from referrals.accounts.models import Role
from referrals.accounts.tenancy import Tenant
from referrals.lib.errors import Refused
from referrals.lib.money import Money
from referrals.web.access import MerchantRequest, fresh_login, member
from referrals.web.payout_rows import batch_totals, method_text, people_text
from referrals.web.payouts import tabs
from referrals.web.rewards import CONFLICT
from referrals.web.templatetags.ui import monies
from rewards import funding, payout_guards
from rewards.models import Payout, PayoutBatch

# Nobody has more of them open; the oldest come first, so that none is forgotten.
_MOST = 200


@dataclass(frozen=True, slots=True)
class WaitingRow:
    """One batch that waits: how much it needs, at which company and account, and what to do there."""

    batch: PayoutBatch
    sums: list[Money]
    people: str
    method: str
    account: str
    steps: Text
    is_own: bool = False

    @property
    def amount(self) -> str:
        """ "$1,204.00 and €15.00"."""
        return str(monies(self.sums))


def waiting_rows(tenant: Tenant, batches: Sequence[PayoutBatch], mine: Collection[str] = ()) -> list[WaitingRow]:
    """Rows ready to print; at most four queries."""
    if not batches:
        return []
    sums, totals = funding.needed(batches), batch_totals(batches)
    pairs = Payout.objects.filter(batch__in=batches).order_by("batch_id").values_list("batch_id", "account").distinct()
    accounts = dict(pairs)
    connections = Connection.objects.for_tenant(tenant).filter(public_id__in=set(accounts.values()))
    names = {row.public_id: row.label for row in connections}
    ways, rows = registry.ways(), []
    for batch in batches:
        provider, way = ways.get(batch.method, (None, None))
        label = names.get(accounts.get(batch.pk, ""), "")
        rows.append(
            WaitingRow(
                batch=batch,
                sums=sums[batch.pk],
                people=people_text(totals[batch.pk][0]),
                method=method_text(batch.method),
                account=" · ".join(str(part) for part in (provider.label if provider else "", label) if part),
                steps=_steps(sums[batch.pk], way),
                is_own=batch.created_by_id in mine,
            )
        )
    return rows


def _steps(sums: Collection[Money], way: Way | None) -> Text:
    if any(money.minor for money in sums):
        return way.funding if way else ""
    return _(
        "It needs no money any more: what it held was set off, held or taken back. Let it go on, and it ends; or withdraw it."
    )


@require_safe
@member()
def payouts_waiting(request: MerchantRequest) -> HttpResponseBase:
    """What waits for money and what for a second person, the oldest first."""
    tenant, mine = request.tenant, payout_guards.identities(request.tenant, request.actor)
    unfunded = list(funding.waiting_for_money(tenant).order_by("pk")[:_MOST])
    unapproved = list(funding.waiting_for_somebody(tenant).order_by("pk")[:_MOST])
    money = waiting_rows(tenant, unfunded)
    context = {
        "tabs": tabs(tenant, "waiting"),
        "money": money,
        "total": monies([Money(minor, name) for name, minor in funding.total([row.sums for row in money]).items()]),
        "people": waiting_rows(tenant, unapproved, mine),
        "may_fund": request.membership.may(Role.ADMIN),
        "may_approve": request.membership.may(Role.MANAGER),
    }
    return render(request, "web/payouts/waiting.html", context)


@member(role=Role.ADMIN)
def payouts_fund(request: MerchantRequest) -> HttpResponseBase:
    """ "The money is there": says what leaves, and asks once."""
    if request.method == "POST":
        return _funded(request)
    return _ask(request, request.GET.getlist("batch"))


def _ask(request: MerchantRequest, ids: Sequence[str], problem: str = "", status: int = 200) -> HttpResponse:
    waiting = funding.waiting_for_money(request.tenant).filter(public_id__in=ids[: funding.MOST])
    rows = waiting_rows(request.tenant, list(waiting.order_by("pk")))
    if not rows:
        messages.info(request, _("None of these batches waits for money."))
        return HttpResponseRedirect(reverse("web:payouts_waiting"))
    sums = funding.total([row.sums for row in rows])
    context: dict[str, Any] = {
        "rows": rows,
        "sums": json.dumps(sums),
        "amount": monies([Money(minor, name) for name, minor in sums.items()]),
        "stopped": payout_guards.is_stopped(request.tenant),
        "unapproved": [row for row in rows if row.batch.needs_approval and row.batch.approved_at is None],
        "problem": problem,
    }
    return render(request, "web/payouts/fund.html", context, status=status)


@fresh_login
def _funded(request: MerchantRequest) -> HttpResponseBase:
    ids = request.POST.getlist("batch")
    try:
        shown = {str(name): int(minor) for name, minor in json.loads(request.POST.get("sums", "")).items()}
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise BadRequest("sums") from error
    try:
        done = funding.fund(tenant=request.tenant, public_ids=ids, actor=request.actor, sums=shown)
    except Refused as refusal:
        return _ask(request, ids, refusal.message, CONFLICT)
    text = ngettext("The money is there: %(n)d batch leaves", "The money is there: %(n)d batches leave", len(done))
    messages.success(request, text % {"n": len(done)})
    if len(done) == 1:
        return HttpResponseRedirect(reverse("web:payout_batch", args=[done[0].public_id]), status=303)
    return HttpResponseRedirect(reverse("web:payouts_waiting"), status=303)
