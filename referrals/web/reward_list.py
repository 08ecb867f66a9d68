"""Everything that the list of rewards shows, as template context: one page of rows, the pipeline, filters, counts, what to do next."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.urls import reverse
from django.utils import formats, timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from campaigns.models import Campaign, RewardRule
from referrals.accounts.models import Role
from referrals.accounts.tenancy import Tenant
from referrals.lib import clock
from referrals.web.access import MerchantRequest
from referrals.web.counts import CAP, capped, words
from referrals.web.reward_choice import STAGE_ACTIONS, Choice, Totals
from referrals.web.reward_pipeline import STAGE_NAMES, pipeline_context
from referrals.web.reward_rows import for_rows, make_rows
from referrals.web.reward_state import ListState
from referrals.web.templatetags.ui import monies
from rewards.models import SIDES
from rewards.pipeline import StageTotals, pipeline
from rewards.runs import next_moments

# How many campaigns the filter offers; the rest is reached from the campaign's own page.
_CAMPAIGNS = 200
ACTION_WORDS = {
    "issue": gettext_lazy("Issue…"),
    "approve": gettext_lazy("Approve"),
    "hold": gettext_lazy("Hold…"),
    "release": gettext_lazy("Release"),
    "void": gettext_lazy("Decline…"),
    "reverse": gettext_lazy("Take back…"),
    "restore": gettext_lazy("Restore"),
    "retry": gettext_lazy("Try again"),
}
# The key I does the usual thing; what refuses or takes back has no key.
_KEYED = frozenset({"issue", "approve", "release"})
_SINCE = {
    "review": gettext_lazy("In review since"),
    "due": gettext_lazy("Due since"),
    "issued": gettext_lazy("Issued"),
}


@dataclass(frozen=True, slots=True)
class Column:
    """A column's head: where a press leads ("" is not sortable), and how the rows are sorted by it ("" is not)."""

    name: str
    label: str
    url: str = ""
    direction: str = ""


@dataclass(frozen=True, slots=True)
class ActionButton:
    """A button of the bulk bar."""

    name: str
    label: str
    key: str


@dataclass(frozen=True, slots=True)
class Everything:
    """ "All that match" is chosen: what the form has to carry, and what the bar says."""

    count: int
    expected: int
    snapshot: str
    excluded: str
    shown: str
    sums: str
    sums_json: str


@dataclass(frozen=True, slots=True)
class Empty:
    """What an empty list says, and the next thing to do."""

    icon: str
    title: str
    text: str
    url: str = ""
    label: str = ""
    second_url: str = ""
    second_label: str = ""


def list_context(
    request: MerchantRequest, state: ListState, *, ticked: Iterable[str] = (), chosen: Choice | None = None
) -> dict[str, Any]:
    """Context of web/rewards/list.html and its parts. `chosen` is a choice of all that match; `ticked` are public ids.

    Seven queries whatever the size of the tables: campaigns, pipeline, its hint, a page, its count, and for `chosen` the sums.
    """
    tenant = request.tenant
    totals = pipeline(tenant, state.campaign)
    found = state.rows(tenant)
    page = state.page(for_rows(found))
    if not page.rows and state.after:
        # The page was emptied by an action: the first page is the nearest that has something.
        state = ListState(**{**_fields(state), "after": ""})
        page = state.page(for_rows(found))
    all_but = set(chosen.excluded) if chosen else None
    can_change = request.membership.may(Role.MANAGER)
    rows = make_rows(
        page.rows,
        ticked=ticked,
        all_but=all_but,
        with_ticks=can_change and bool(STAGE_ACTIONS[state.stage]),
        with_buttons=can_change,
    )
    count = _count(state, totals, found, len(rows), last=page.next is None)
    here = state.query(after=state.after)
    every = _everything(chosen, [row["id"] for row in rows], request) if chosen else None
    return {
        "state": state,
        "here": here,
        "here_url": f"{reverse('web:rewards')}?{here}",
        "stage_name": str(STAGE_NAMES[state.stage]),
        "rows": rows,
        "columns": _columns(state),
        "prev_url": state.url(after=page.previous) if page.previous else "",
        "next_url": state.url(after=page.next) if page.next else "",
        "count_text": _count_text(len(rows), count),
        "caption": _("Rewards: %(stage)s") % {"stage": STAGE_NAMES[state.stage]},
        "live": _live(count, every),
        "can_change": can_change,
        "by_itself": _by_itself(tenant) if state.stage == "due" else "",
        "actions": [
            ActionButton(name, str(ACTION_WORDS[name]), "i" if name in _KEYED else "")
            for name in STAGE_ACTIONS[state.stage]
        ],
        "select_all_text": _select_all(state, count) if count > len(rows) else "",
        "everything": every,
        "empty": None if rows else _empty(state, totals),
        "export_url": f"{reverse('web:rewards_export')}?{state.query(after='')}",
        "closed_url": _closed_url(state),
        "kinds": RewardRule.KINDS,
        "sides": SIDES,
        "currencies": sorted({money.currency for total in totals for money in total.amounts}),
        "campaigns": Campaign.objects.for_tenant(tenant).only("public_id", "name").order_by("-pk")[:_CAMPAIGNS],
        **pipeline_context(tenant, campaign=state.campaign, current=state.stage, totals=totals),
    }


def _by_itself(tenant: Tenant) -> str:
    """When the next run of automatic issuing is that takes some of these; empty when none does. One query without any way chosen."""
    found = next_moments(tenant, clock.now())
    if not found:
        return ""
    day = formats.date_format(timezone.localtime(found[0][0]), "DATETIME_FORMAT")
    return _("The next run that pays some of these by itself is on %(day)s.") % {"day": day}


def _fields(state: ListState) -> dict[str, Any]:
    return {name: getattr(state, name) for name in ListState.__dataclass_fields__}


def _count(state: ListState, totals: Iterable[StageTotals], found: Any, shown: int, *, last: bool) -> int:
    """How many match: from the tallies while nothing else narrows the list, else counted up to the cap."""
    if not state.after and last:
        return shown
    if state.is_narrowed:
        return capped(found)
    return next(total.count for total in totals if total.stage == state.stage)


def _live(count: int, every: Everything | None) -> str:
    if every is not None:
        return _("%(n)s selected, %(sums)s") % {"n": f"{every.count:,}", "sums": every.sums}
    return ngettext("%(n)s reward found", "%(n)s rewards found", count) % {"n": words(count)}


def _count_text(shown: int, count: int) -> str:
    return _("%(shown)s of %(count)s") % {
        "shown": words(shown),
        "count": words(count) if count <= CAP else f"{count:,}",
    }


def _select_all(state: ListState, count: int) -> str:
    shown = words(count) if state.is_narrowed else f"{count:,}"
    if state.is_narrowed or state.campaign:
        return _("Select all %(count)s that match") % {"count": shown}
    return _("Select all %(count)s") % {"count": shown}


def _columns(state: ListState) -> list[Column]:
    def sortable(name: str, label: str) -> Column:
        current = state.sort.removeprefix("-") == name
        descending = state.sort.startswith("-")
        url = state.url(sort=name if current and descending else f"-{name}")
        return Column(name, label, url, ("descending" if descending else "ascending") if current else "")

    return [
        sortable("amount", _("Reward")),
        Column("earned", _("Earned for")),
        sortable("date", str(_SINCE.get(state.stage, _("Since")))),
    ]


def _everything(chosen: Choice, shown: list[str], request: MerchantRequest) -> Everything:
    totals: Totals = chosen.totals(request.tenant)
    return Everything(
        count=totals.count,
        expected=(chosen.expected or totals.count) + len(chosen.excluded),
        snapshot=chosen.snapshot.isoformat() if chosen.snapshot else "",
        excluded=" ".join(chosen.excluded),
        shown=" ".join(shown),
        sums=monies(totals.amounts),
        sums_json=totals.sums_json,
    )


def _closed_url(state: ListState) -> str:
    return ListState(stage="closed", campaign=state.campaign).url()


def _empty(state: ListState, totals: Iterable[StageTotals]) -> Empty:
    plain = ListState(stage=state.stage, campaign=state.campaign)
    if state.is_narrowed:
        return Empty(
            "search-x",
            _("Nothing matches"),
            _(
                "No reward in this stage fits the filter. Look for a name, an e-mail address, a code or an order number."
            ),
            plain.url(),
            _("Clear the filter"),
        )
    counts = {total.stage: total.count for total in totals}
    review = ListState(stage="review", campaign=state.campaign).url()
    due = ListState(stage="due", campaign=state.campaign).url()
    if state.stage == "due" and counts["review"]:
        text = ngettext(
            "%(n)s reward is in review. It comes here when its review period ends, or when you approve it.",
            "%(n)s rewards are in review. They come here when their review period ends, or when you approve them.",
            counts["review"],
        )
        return Empty(
            "circle-check",
            _("Nothing is due"),
            text % {"n": f"{counts['review']:,}"},
            review,
            _("See what is in review"),
        )
    if not any(counts.values()):
        return Empty(
            "gift",
            _("No rewards yet"),
            _(
                "A reward appears here when an invited friend does what a campaign rewards. Launch a campaign and share a link."
            ),
            reverse("web:campaigns"),
            _("Go to campaigns"),
        )
    titles = {
        "review": _("Nothing is in review"),
        "due": _("Nothing is due"),
        "sending": _("Nothing is on its way"),
        "issued": _("Nothing was issued yet"),
        "attention": _("Nothing needs you"),
        "closed": _("Nothing was declined or taken back"),
    }
    text = _("Rewards move through the stages above; this one is empty now.")
    if state.stage == "due":
        return Empty("circle-check", titles["due"], text, reverse("web:payouts"), _("See what was issued"))
    return Empty("circle-check", titles[state.stage], text, due, _("See what is due"))
