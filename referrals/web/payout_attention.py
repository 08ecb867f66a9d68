""" "Needs attention": payouts of which nobody knows whether they were paid, and rewards that the machine gave back to a person."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from integrations import registry
from integrations.payout_checking import open_differences
from referrals.accounts.models import Role
from referrals.web.access import MerchantRequest, member
from referrals.web.payout_rows import Tag, companies, method_text
from referrals.web.payout_words import STATUS_TONES, words_of
from referrals.web.payouts import page_of, page_urls, tabs
from referrals.web.reward_state import ListState
from referrals.web.templatetags.ui import ago, avatar, money
from rewards.models import Payout, PayoutAttempt, PayoutItem, Reward, State
from rewards.reasons import REASONS, reason_sentence

_OPEN_AT_ONCE = 20
_PAGE_SIZE = 50


@dataclass(frozen=True, slots=True)
class Stuck:
    """A reward that was given back, and why."""

    id: str
    url: str
    revision: int
    name: str
    email: str
    avatar: SafeString
    amount: str
    reason: str
    said: str
    payout_url: str
    tag: Tag
    at: SafeString


@require_safe
@member()
def payouts_attention(request: MerchantRequest) -> HttpResponse:
    """Open questions first, the oldest first; then the rewards that wait, newest first."""
    tenant = request.tenant
    open_rows = Payout.objects.for_tenant(tenant).filter(status="needs_attention")
    open_rows = open_rows.select_related("batch", "participant", "shipment").order_by("pk")
    found = list(open_rows[: _OPEN_AT_ONCE + 1])
    page = page_of(_stuck(request), request, sort="-stage_at", limit=_PAGE_SIZE)
    context = {
        "differences": open_differences(tenant),
        "questions": _questions(request, found[:_OPEN_AT_ONCE]),
        "more_questions": len(found) > _OPEN_AT_ONCE,
        "all_url": f"{reverse('web:payouts_all')}?status=needs_attention",
        "rows": [_row(reward) for reward in page.rows],
        "back": ListState(stage="attention").query(),
        **page_urls(page, reverse("web:payouts_attention")),
        "can_change": request.membership.may(Role.MANAGER),
        "tabs": tabs(tenant, "attention"),
    }
    return render(request, "web/payouts/attention.html", context)


def _questions(request: MerchantRequest, rows: Iterable[Payout]) -> list[dict[str, Any]]:
    rows = list(rows)
    named = companies(request.tenant, (row.account for row in rows))
    tries: dict[int, list[PayoutAttempt]] = {}
    for one in PayoutAttempt.objects.filter(payout__in=rows).order_by("payout", "number") if rows else ():
        tries.setdefault(one.payout_id, []).append(one)
    return [
        {
            "payout": row,
            "name": row.participant.name or row.participant.email,
            "email": row.participant.email if row.participant.name else "",
            "avatar": avatar(row.participant.name or row.participant.email, row.participant.email),
            "amount": money(row.amount),
            "method": method_text(row.method),
            "company": named.get(row.account, "") or _("the company"),
            "words": words_of(row, named.get(row.account, "")),
            "can_ask": registry.issuer(row.method) is not None,
            "tone": STATUS_TONES[row.status],
            "tries": tries.get(row.pk, []),
            # One that was read from an archive has no tries.
            "said": row.message or "".join(one.message for one in tries.get(row.pk, [])[-1:]),
        }
        for row in rows
    ]


def _stuck(request: MerchantRequest) -> list[QuerySet[Reward]]:
    """Rewards in the two states into which the payout machine gives them back, with the payout that failed last."""
    failed = PayoutItem.objects.filter(reward=OuterRef("pk"), payout__status="failed").order_by("-pk")
    rows: QuerySet[Reward] = (
        Reward.objects.for_tenant(request.tenant)
        .select_related("participant")
        .annotate(
            failed_id=Subquery(failed.values("payout__public_id")[:1]),
            failed_said=Subquery(failed.values("payout__message")[:1]),
        )
    )
    # State by state, each in the order of its index.
    return [rows.filter(state=state) for state in (State.ATTENTION, State.WAITING)]


def _row(reward: Any) -> Stuck:
    person = reward.participant
    name = person.name or person.email
    facts = {"message": reward.failed_said} if reward.failed_said else {}
    reason = reason_sentence(reward.reason, facts) if reward.reason in REASONS else str(reward.get_state_display())
    waits = reward.state == State.WAITING
    return Stuck(
        id=reward.public_id,
        url=reverse("web:reward", args=[reward.public_id]),
        revision=reward.revision,
        name=name,
        email=person.email if person.name else "",
        avatar=avatar(name, person.email),
        amount=money(reward.worth),
        reason=reason,
        said=reward.note if reward.note not in reason else "",
        payout_url=reverse("web:payout", args=[reward.failed_id]) if reward.failed_id else "",
        tag=Tag("due", _("Waits")) if waits else Tag("problem", _("Needs attention")),
        at=ago(reward.stage_at),
    )
