"""One batch of payouts: how far it is, a line for each recipient with what came of it, and what can still be done about it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.core.exceptions import BadRequest
from django.db.models import Count
from django.http import HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe

from referrals.accounts.models import Role
from referrals.lib import clock
from referrals.lib.errors import Refused
from referrals.lib.pages import wants_part
from referrals.web.access import MerchantRequest, member, own
from referrals.web.access import refused as refused_here
from referrals.web.filters import one_of
from referrals.web.payout_files import files_context
from referrals.web.payout_rows import batch_tag, batch_totals, for_rows, method_text, payout_rows, people_text
from referrals.web.payout_words import STATUS_TONES, status_text
from referrals.web.payouts import page_of, page_urls
from referrals.web.reward_choice import Choice
from referrals.web.reward_pipeline import Segment, segments_of
from referrals.web.reward_state import ListState
from referrals.web.rewards import CONFLICT, done, refused
from referrals.web.worths import NOTHING, units_of_batches, worths
from rewards import payout_guards, queueing
from rewards.models import Payout, PayoutBatch, PayoutItem
from rewards.payouts import MANUAL, undo

_PAGE_SIZE = 50
# What goes on by itself. While it does the page asks again: at first every two seconds, then less often.
_MOVING = ("queued", "sending", "unknown")
_YOUNG = timedelta(minutes=3)
# In the order of the drawing: what is over, what goes on, what somebody has to look at.
_ORDER = ("paid", "sent", "sending", "queued", "unknown", "needs_attention", "failed", "undone")


@dataclass(frozen=True, slots=True)
class StatusTab:
    """One status of a batch with the number of its payouts; the filter of the lines."""

    status: str
    label: str
    count: int
    tone: str
    url: str
    current: bool


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a batch is. `every` is when the page asks again, in seconds; 0: nothing goes on."""

    text: str
    live: str
    tabs: list[StatusTab]
    segments: list[Segment]
    every: int


@require_safe
@member()
def payout_batch(request: MerchantRequest, public_id: str) -> HttpResponse:
    """One batch: totals, note, who did it when, and a line for each recipient with its result; for htmx what moves of it."""
    batch = own(PayoutBatch.objects.all(), request, public_id)
    context = _context(request, batch)
    moving = wants_part(request) and request.htmx.target == "progress"
    return render(request, "web/payouts/_moving.html" if moving else "web/payouts/batch.html", context)


def _context(request: MerchantRequest, batch: PayoutBatch) -> dict[str, Any]:
    chosen = one_of(request.GET, "status", dict(Payout.STATUSES))
    lines = Payout.objects.for_tenant(request.tenant).filter(batch=batch)
    rows = for_rows(lines.filter(status=chosen) if chosen else lines)
    page = page_of(rows, request, sort="pk", limit=_PAGE_SIZE)
    can_go = Count("pk", filter=queueing.WITHDRAWABLE)
    found = list(lines.values_list("status").annotate(n=Count("pk"), free=can_go).order_by())
    counts = Counter({status: count for status, count, _free in found})
    people, sums = batch_totals([batch])[batch.pk]
    count = PayoutItem.objects.filter(payout__batch=batch).count()
    url = reverse("web:payout_batch", args=[batch.public_id])
    stopped = bool(counts["queued"]) and payout_guards.is_stopped(request.tenant)
    can_change = request.membership.may(Role.MANAGER)
    by_file = files_context(request, batch)
    not_left = bool(counts["queued"] or (by_file["files"] and counts["sending"]))
    can_withdraw = can_change and any(free for _status, _count, free in found)
    # The page that asks again has the boxes that it was made with, and the lines of its own page.
    with_ticks = "ticks" in request.GET if wants_part(request) else can_withdraw
    here = {"status": chosen, "after": request.GET.get("after", "")[:400], "ticks": "1" if with_ticks else ""}
    return {
        **by_file,
        "batch": batch,
        "tag": batch_tag(batch, counts),
        "sums": worths(sums, units_of_batches([batch]).get(batch.pk, NOTHING)),
        "people": people_text(people),
        "rewards": ngettext("%(n)s reward", "%(n)s rewards", count) % {"n": f"{count:,}"},
        "method": method_text(batch.method),
        "rows": payout_rows(page.rows, request.tenant, stopped=stopped),
        "progress": _progress(batch, counts, url, chosen, stopped=stopped or bool(by_file["files"])),
        "here_url": f"{url}?status={chosen}" if chosen else url,
        "again_url": f"{url}?{urlencode({name: value for name, value in here.items() if value})}",
        **page_urls(page, f"{url}?status={chosen}" if chosen else url),
        "by_hand": batch.method == MANUAL,
        "waits_for_approval": batch.needs_approval and batch.approved_at is None and not_left,
        "waits_for_money": batch.needs_funding and batch.funded_at is None and bool(counts["queued"]),
        "is_own": batch.created_by_id in payout_guards.identities(request.tenant, request.actor),
        "can_change": can_change,
        "can_undo": batch.method == MANUAL and batch.undone_at is None and can_change,
        "can_withdraw": can_withdraw,
        "with_ticks": with_ticks,
        "undo_url": reverse("web:payout_undo", args=[batch.public_id]),
        "export_url": reverse("web:payout_export", args=[batch.public_id]),
    }


def _progress(batch: PayoutBatch, counts: Counter[str], url: str, chosen: str, *, stopped: bool) -> Progress:
    total = counts.total()
    shown = [(status, counts[status]) for status in _ORDER if counts[status]]
    tabs = [StatusTab("", _("All"), total, "neutral", url, not chosen)] + [
        StatusTab(status, status_text(status), count, STATUS_TONES[status], f"{url}?status={status}", status == chosen)
        for status, count in shown
    ]
    moving = any(counts[status] for status in _MOVING) and not payout_guards.waits(batch) and not stopped
    every = 0
    if moving:
        every = 2 if clock.now() - batch.created_at < _YOUNG else 15
    gone = counts["paid"] + counts["sent"]
    given = {"gone": f"{gone:,}", "all": f"{total:,}"}
    return Progress(
        text=ngettext("%(gone)s of %(all)s payout is out", "%(gone)s of %(all)s payouts are out", total) % given,
        live="" if moving else _("Nothing of this batch is on its way any more."),
        tabs=tabs,
        segments=segments_of([(STATUS_TONES[status], count) for status, count in shown]),
        every=every,
    )


@require_POST
@member()
def payout_undo(request: MerchantRequest, public_id: str) -> HttpResponse:
    """Undo a batch: the rewards are due again, the payments are taken out by opposite entries. From a toast or the batch's page."""
    batch = own(PayoutBatch.objects.all(), request, public_id)
    # In the address from a toast on a freshly loaded page, in the form from one that htmx put there.
    back = request.POST.get("back") or request.GET.get("back", "")
    state = ListState.read(QueryDict(back or "stage=due"), request.tenant)
    choice = Choice(state, "", "list")
    try:
        undo(batch=batch, actor=request.actor, note=request.POST.get("note", "").strip()[:500])
    except Refused as refusal:
        if wants_part(request) or back:
            return refused(request, choice, refusal)
        return _conflict(request, public_id, refusal)
    count = PayoutItem.objects.filter(payout__batch=batch).count()
    text = ngettext("Undone: %(n)s reward is due again", "Undone: %(n)s rewards are due again", count) % {
        "n": f"{count:,}"
    }
    if back or wants_part(request):
        return done(request, choice, text)
    messages.success(request, text)
    return _to(batch)


@require_POST
@member()
def payout_withdraw(request: MerchantRequest, public_id: str) -> HttpResponse:
    """Take back what has not left: the ticked lines, or all of the batch. What is on its way is left alone."""
    batch = own(PayoutBatch.objects.all(), request, public_id)
    rows = Payout.objects.for_tenant(request.tenant).filter(batch=batch)
    if request.POST.get("what") == "all":
        wanted = rows.filter(queueing.WITHDRAWABLE)
    elif request.POST.get("what") == "ticked":
        wanted = rows.filter(public_id__in=request.POST.getlist("payout"))
    else:
        raise BadRequest("what")
    keys = list(wanted.order_by("pk").values_list("pk", flat=True))
    count = queueing.withdraw(payouts=keys, tenant=request.tenant, actor=request.actor)
    left = len(keys) - count
    if count:
        words = ngettext(
            "%(n)s payout withdrawn; its rewards are due again",
            "%(n)s payouts withdrawn; their rewards are due again",
            count,
        )
        messages.success(request, words % {"n": f"{count:,}"})
    if left:
        words = ngettext(
            "%(n)s payout could not be withdrawn: it has left, or it is over.",
            "%(n)s payouts could not be withdrawn: they have left, or they are over.",
            left,
        )
        messages.warning(request, words % {"n": f"{left:,}"})
    if not keys:
        messages.info(request, _("Nothing was withdrawn: tick lines that have not left yet."))
    return _to(batch)


@require_POST
@member()
def payout_approve(request: MerchantRequest, public_id: str) -> HttpResponse:
    """The second person agrees: the batch leaves."""
    batch = own(PayoutBatch.objects.all(), request, public_id)
    try:
        payout_guards.approve_batch(batch=batch, actor=request.actor)
    except Refused as refusal:
        return refused_here(request, refusal, back=_url(batch))
    messages.success(request, _("Approved; the batch leaves now"))
    return _to(batch)


def _conflict(request: MerchantRequest, public_id: str, refusal: Refused) -> HttpResponse:
    context = _context(request, own(PayoutBatch.objects.all(), request, public_id))
    return render(request, "web/payouts/batch.html", {**context, "problem": refusal.message}, status=CONFLICT)


def _url(batch: PayoutBatch) -> str:
    return reverse("web:payout_batch", args=[batch.public_id])


def _to(batch: PayoutBatch) -> HttpResponseRedirect:
    return HttpResponseRedirect(_url(batch), status=303)
