"""Batches of payouts: what was issued together, to whom, with what result, and undoing it (UX.md, page "Rewards")."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import BadRequest, ValidationError
from django.db.models import Count, Min
from django.http import HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe

from referrals.accounts.models import Role
from referrals.lib.errors import Refused
from referrals.lib.pages import Page, PageError, keyset, wants_part
from referrals.web.access import MerchantRequest, member, own
from referrals.web.payout_rows import batch_rows, batch_totals, method_text, payout_rows, people_text
from referrals.web.reward_choice import Choice
from referrals.web.reward_state import ListState
from referrals.web.rewards import CONFLICT, done, refused
from referrals.web.templatetags.ui import monies
from rewards.models import Payout, PayoutBatch, PayoutItem
from rewards.payouts import undo

_PAGE_SIZE = 50


@require_safe
@member()
def payouts(request: MerchantRequest) -> HttpResponse:
    """All batches of this side, newest first. Two queries beside the page's own."""
    url = reverse("web:payouts")
    try:
        page: Page[PayoutBatch] = keyset(
            PayoutBatch.objects.for_tenant(request.tenant),
            sort="-pk",
            cursor=request.GET.get("after", "")[:400],
            limit=_PAGE_SIZE,
        )
    except (PageError, TypeError, ValueError, ValidationError) as error:
        raise BadRequest(_("This page marker is damaged; go back to the first page.")) from error
    context = {
        "batches": batch_rows(page.rows),
        "prev_url": f"{url}?after={page.previous}" if page.previous else "",
        "next_url": f"{url}?after={page.next}" if page.next else "",
        "due_url": ListState(stage="due").url(),
    }
    return render(request, "web/payouts/list.html", context)


@require_safe
@member()
def payout_batch(request: MerchantRequest, public_id: str) -> HttpResponse:
    """One batch: totals, note, who did it when, and a line for each recipient with its result."""
    return render(
        request, "web/payouts/batch.html", _batch_context(request, own(PayoutBatch.objects.all(), request, public_id))
    )


def _batch_context(request: MerchantRequest, batch: PayoutBatch) -> dict[str, object]:
    rows = (
        Payout.objects.for_tenant(request.tenant)
        .filter(batch=batch)
        .select_related("participant")
        .annotate(reward_count=Count("items"), first_reward=Min("items__reward__public_id"))
    )
    try:
        page: Page[Payout] = keyset(rows, sort="pk", cursor=request.GET.get("after", "")[:400], limit=_PAGE_SIZE)
    except (PageError, TypeError, ValueError, ValidationError) as error:
        raise BadRequest(_("This page marker is damaged; go back to the first page.")) from error
    people, sums = batch_totals([batch])[batch.pk]
    count = PayoutItem.objects.filter(payout__batch=batch).count()
    url = reverse("web:payout_batch", args=[batch.public_id])
    return {
        "batch": batch,
        "sums": monies(sums),
        "people": people_text(people),
        "rewards": ngettext("%(n)s reward", "%(n)s rewards", count) % {"n": f"{count:,}"},
        "method": method_text(batch.method),
        "rows": payout_rows(page.rows),
        "prev_url": f"{url}?after={page.previous}" if page.previous else "",
        "next_url": f"{url}?after={page.next}" if page.next else "",
        "can_undo": batch.undone_at is None and request.membership.may(Role.MANAGER),
        "undo_url": reverse("web:payout_undo", args=[batch.public_id]),
        "export_url": reverse("web:payout_export", args=[batch.public_id]),
    }


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
        context = _batch_context(request, own(PayoutBatch.objects.all(), request, public_id))
        return render(request, "web/payouts/batch.html", {**context, "problem": refusal.message}, status=CONFLICT)
    count = PayoutItem.objects.filter(payout__batch=batch).count()
    text = ngettext("Undone: %(n)s reward is due again", "Undone: %(n)s rewards are due again", count) % {
        "n": f"{count:,}"
    }
    if back or wants_part(request):
        return done(request, choice, text)
    messages.success(request, text)
    return HttpResponseRedirect(reverse("web:payout_batch", args=[batch.public_id]), status=303)
