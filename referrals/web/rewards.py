"""Rewards: the overview, the list of a stage, and what can be done with them (UX.md; STYLE.md, "The Reward Due page")."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django.contrib import messages
from django.core.exceptions import BadRequest
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from campaigns.models import Campaign
from referrals.lib.errors import Refused
from referrals.lib.pages import render_part, wants_part
from referrals.web.access import MerchantRequest, member, own
from referrals.web.issue_rewards import ask, issue
from referrals.web.payout_rows import batch_rows
from referrals.web.reward_choice import (
    Choice,
    NoteForm,
    carry_out,
    everything,
    refuse_other_side,
    world_of,
)
from referrals.web.reward_list import Empty, list_context
from referrals.web.reward_panel import inspector_context
from referrals.web.reward_pipeline import pipeline_context
from referrals.web.reward_question import ask_context
from referrals.web.reward_state import ListState
from referrals.web.templatetags.ui import monies
from rewards.models import PayoutBatch, Reward
from rewards.pipeline import due_by_campaign
from rewards.selection import resolve

CONFLICT = 409
_LATEST_BATCHES = 5
# What is asked about before it is done, even for a single reward.
ASKED = frozenset({"issue", "hold", "void", "reverse"})


@require_http_methods(["GET", "HEAD", "POST"])
@member()
def rewards(request: MerchantRequest) -> HttpResponse:
    """The overview, or with `stage` the list of that stage. A POST shows a list with a selection kept; it changes nothing."""
    if "stage" not in request.GET and "campaign" not in request.GET:
        return _overview(request)
    state = ListState.read(request.GET, request.tenant)
    chosen = None
    if request.method == "POST":
        chosen = _kept(request, state)
    context = list_context(request, state, chosen=chosen)
    response = render_part(request, "web/rewards/list.html", "web/rewards/_part.html", context)
    if request.htmx and request.method != "POST":
        response["HX-Push-Url"] = context["here_url"]
    return response


def _kept(request: MerchantRequest, state: ListState) -> Choice:
    if request.POST.get("select") == "all":
        return everything(state)
    if request.POST.get("all") != "1":
        raise BadRequest("select")
    return replace(Choice.read(request.POST, request.tenant), state=state)


def _overview(request: MerchantRequest) -> HttpResponse:
    tenant = request.tenant
    due = due_by_campaign(tenant)
    rows = []
    for campaign in Campaign.objects.for_tenant(tenant).filter(pk__in=due).order_by("name", "pk"):
        total = due[campaign.pk]
        count = ngettext("%(n)s reward", "%(n)s rewards", total.count) % {"n": f"{total.count:,}"}
        rows.append(
            {
                "name": campaign.name,
                "status": campaign.status,
                "amount": monies(total.amounts),
                "count_text": count,
                "url": ListState(stage="due", campaign=campaign).url(),
                "label": _("Open: %(campaign)s, %(count)s due") % {"campaign": campaign.name, "count": count},
            }
        )
    batches = list(PayoutBatch.objects.for_tenant(tenant).order_by("-pk")[:_LATEST_BATCHES])
    context = {
        "campaigns": rows,
        "due_url": ListState(stage="due").url(),
        "batches": batch_rows(batches),
        "empty": Empty(
            "gift",
            _("Nothing is due"),
            _("Rewards become due when their review period ends, or when you approve them."),
            ListState(stage="review").url(),
            _("See what is in review"),
        ),
        **pipeline_context(tenant),
    }
    return render(request, "web/rewards/overview.html", context)


@require_safe
@member()
def reward(request: MerchantRequest, public_id: str) -> HttpResponse:
    """One reward with its reasons and history: in the pane beside the list, or as a page of its own."""
    found = _own_reward(request, public_id)
    context = inspector_context(request, found)
    return render_part(request, "web/rewards/show.html", "web/rewards/_opened.html", context)


def _own_reward(request: MerchantRequest, public_id: str) -> Reward:
    related = ("campaign", "participant", "rule", "event__participant__referral__referrer", "payout__batch")
    return own(Reward.objects.select_related(*related), request, public_id)


@require_POST
@member()
def act(request: MerchantRequest) -> HttpResponse:
    """Do something with the chosen rewards, or ask first: with a reason, or a confirmation of how many and how much."""
    if "undo" in request.GET:
        choice = Choice.undoing(request.GET, request.POST, request.tenant)
    else:
        choice = Choice.read(request.POST, request.tenant)
    if not choice.action:
        raise BadRequest("action")
    confirmed = request.POST.get("confirmed") == "1"
    try:
        refuse_other_side(request.POST, request.tenant)
        if not confirmed and (choice.action in ASKED or choice.everything):
            if not choice.everything:
                resolve(request.tenant, choice.selection)
            return _ask(request, choice)
        if choice.action == "issue":
            return issue(request, choice, done)
        form = NoteForm(request.POST, action=choice.action if choice.action in ASKED else "")
        if not form.is_valid():
            return _ask(request, choice, form, status=422)
        moved = carry_out(choice, tenant=request.tenant, actor=request.actor, note=form.cleaned_data["note"])
    except Refused as refusal:
        return refused(request, choice, refusal)
    query = choice.undo_query
    undo = f"{reverse('web:rewards_act')}?{query}" if query else ""
    return done(request, choice, _done_text(choice.action, moved), undo=undo)


def _done_text(action: str, moved: int) -> str:
    texts = {
        "approve": ngettext("%(n)s reward approved; it is due now", "%(n)s rewards approved; they are due now", moved),
        "hold": ngettext("%(n)s reward on hold", "%(n)s rewards on hold", moved),
        "release": ngettext("%(n)s reward released", "%(n)s rewards released", moved),
        "void": ngettext("%(n)s reward declined", "%(n)s rewards declined", moved),
        "reverse": ngettext("%(n)s reward taken back", "%(n)s rewards taken back", moved),
        "restore": ngettext("%(n)s reward restored", "%(n)s rewards restored", moved),
        "retry": ngettext("%(n)s reward is due again", "%(n)s rewards are due again", moved),
    }
    return texts[action] % {"n": f"{moved:,}"}


def _ask(
    request: MerchantRequest, choice: Choice, form: NoteForm | None = None, *, status: int = 200, warning: str = ""
) -> HttpResponse:
    if choice.action == "issue":
        return ask(request, choice, status=status, warning=warning)
    form = form or NoteForm(action=choice.action)
    context = ask_context(choice, choice.totals(request.tenant), form, world_of(request.tenant), warning)
    in_dialog = wants_part(request)
    page = "web/rewards/_ask.html" if in_dialog else "web/rewards/ask.html"
    response = render(request, page, {"ask": context, "in_dialog": in_dialog}, status=status)
    if in_dialog:
        response["HX-Retarget"] = "#ask"
        response["HX-Reswap"] = "innerHTML"
        response["HX-Push-Url"] = "false"
    return response


def refused(request: MerchantRequest, choice: Choice, refusal: Refused) -> HttpResponse:
    """A refusal with the list (or the reward) as it stands now; nothing was changed.

    When "all that match" are no longer as many, the question is asked again with the present number.
    """
    if refusal.status == 404:
        raise Http404
    if refusal.code == "selection_changed" and choice.action:
        return _ask(request, choice, status=CONFLICT, warning=refusal.message)
    if choice.origin in {"event", "attention"}:
        messages.error(request, refusal.message)
        return HttpResponseRedirect(_back(request, choice), status=303)
    return _after(request, choice, refusal.message, level="error", status=refusal.status)


def done(request: MerchantRequest, choice: Choice, text: str, *, undo: str = "") -> HttpResponse:
    """The answer after an action: the same list, filter and page with a toast; without htmx a redirect there."""
    if wants_part(request):
        return _after(request, choice, text, undo=undo)
    back = urlencode({"back": choice.state.query(after=choice.state.after)})
    joint = "&" if "?" in undo else "?"
    messages.success(request, text, extra_tags=f"undo:{undo}{joint}{back}" if undo else "")
    return HttpResponseRedirect(_back(request, choice), status=303)


def _back(request: MerchantRequest, choice: Choice) -> str:
    if choice.origin == "attention":
        return reverse("web:payouts_attention")
    if choice.origin == "page" and choice.ids:
        return reverse("web:reward", args=[choice.ids[0]])
    if choice.origin == "event" and choice.ids:
        event = own(Reward.objects.select_related("event"), request, choice.ids[0]).event
        return reverse("web:purchase", args=[event.public_id])
    return choice.state.url(after=choice.state.after)


def _after(
    request: MerchantRequest, choice: Choice, text: str, *, undo: str = "", level: str = "success", status: int = 200
) -> HttpResponse:
    """The part with the list, the pipeline, the badge, the pane, the toast and the sentence for screen readers."""
    if choice.origin == "page" and choice.ids and not wants_part(request):
        context = inspector_context(request, _own_reward(request, choice.ids[0]))
        return render(request, "web/rewards/show.html", {**context, "problem": text}, status=status)
    failed = level == "error"
    ticked = choice.ids if failed and len(choice.ids) > 1 else ()
    context = list_context(request, choice.state, ticked=ticked)
    if choice.origin == "pane" and len(choice.ids) == 1:
        context |= {**inspector_context(request, _own_reward(request, choice.ids[0])), "inspector": True}
    context |= {
        "acted": True,
        "problem": text if failed else "",
        "nav_due": nav_due(request),
        "toast": {"text": text, "level": level, "undo": undo},
        "live": text,
    }
    page = "web/rewards/_part.html" if wants_part(request) else "web/rewards/list.html"
    response = render(request, page, context, status=status)
    response["HX-Retarget"] = "#list"
    response["HX-Reswap"] = "innerHTML"
    return response


def nav_due(request: HttpRequest) -> int:
    """How many rewards are due on the tenant's side: the number beside "Rewards" in the navigation."""
    tenant: Any = request.tenant  # type: ignore[attr-defined]  # set by @member()
    return sum(total.count for total in due_by_campaign(tenant).values())
