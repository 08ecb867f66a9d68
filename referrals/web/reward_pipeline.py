"""The reward pipeline as pages show it: five tabs with counts, money and a hint, and the scale drawing above them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from babel.dates import format_timedelta
from django.db.models import QuerySet
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _

from campaigns.models import Campaign
from referrals.accounts.tenancy import Tenant
from referrals.lib import clock
from referrals.lib.money import Money
from referrals.web.templatetags.ui import money, monies_more
from rewards.models import Reward, State
from rewards.pipeline import StageTotals, pipeline

# The stages that are tabs, in order: the stage's name, the colour's name, the words.
TABS = (
    ("review", "review", gettext_lazy("In review")),
    ("due", "due", gettext_lazy("Due")),
    ("sending", "sending", gettext_lazy("Sending")),
    ("issued", "issued", gettext_lazy("Issued")),
    ("attention", "problem", gettext_lazy("Needs attention")),
)
STAGE_NAMES = {**{name: words for name, _colour, words in TABS}, "closed": gettext_lazy("Declined and taken back")}
HINTS = {
    "review": gettext_lazy("nothing is waiting"),
    "due": gettext_lazy("ready to issue"),
    "sending": gettext_lazy("on the way"),
    "issued": gettext_lazy("in all"),
    "attention": gettext_lazy("held or rejected"),
}
# The bar is 1000 wide; a stage with anything in it stays visible.
_WIDTH, _THINNEST, _GAP = 1000, 14, 3


@dataclass(frozen=True, slots=True)
class Tab:
    """One stage as templates/components/_pipeline.html prints it."""

    key: str
    label: str
    count: int
    amount: str
    hint: str
    url: str
    current: bool
    id: str


@dataclass(frozen=True, slots=True)
class Segment:
    """One piece of the scale drawing, in thousandths of its width."""

    key: str
    x: int
    width: int


def pipeline_context(
    tenant: Tenant, *, campaign: Campaign | None = None, current: str = "", totals: Sequence[StageTotals] | None = None
) -> dict[str, Any]:
    """Context for the pipeline include: `stages`, `segments`, and `closed_count`, `due_count` beside them. Two queries.

    Each tab leads to its list, narrowed to `campaign` if there is one.
    """
    by_stage = {total.stage: total for total in (pipeline(tenant, campaign) if totals is None else totals)}
    tabs = []
    for name, colour, label in TABS:
        total = by_stage.get(name)
        amounts = total.amounts if total else ()
        count = total.count if total else 0
        query = {"stage": name, **({"campaign": campaign.public_id} if campaign else {})}
        tabs.append(
            Tab(
                key=colour,
                label=str(label),
                count=count,
                amount=money(amounts[0]) if amounts else _nothing(tenant, campaign),
                hint=monies_more(amounts) or _hint(name, count, tenant, campaign),
                url=f"{reverse('web:rewards')}?{urlencode(query)}",
                current=name == current,
                id=f"stage-{name}",
            )
        )
    return {
        "stages": tabs,
        "segments": segments_of(_weights(by_stage)),
        "closed_count": by_stage["closed"].count if "closed" in by_stage else 0,
        "due_count": by_stage["due"].count if "due" in by_stage else 0,
    }


def _nothing(tenant: Tenant, campaign: Campaign | None) -> str:
    return money(Money.zero(campaign.currency if campaign else tenant.merchant.currency))


def _hint(stage: str, count: int, tenant: Tenant, campaign: Campaign | None) -> str:
    if stage == "review" and count:
        waiting: QuerySet[Reward] = Reward.objects.for_tenant(tenant).filter(state=State.REVIEW)
        if campaign:
            waiting = waiting.filter(campaign=campaign)
        ends = waiting.order_by("review_ends_at").values_list("review_ends_at", flat=True).first()
        left = ends - clock.now() if ends else None
        if left is None or left.total_seconds() <= 0:
            return _("clearing now")
        locale = (get_language() or "en").replace("-", "_")
        return _("next clears in %(time)s") % {"time": format_timedelta(left, locale=locale, format="short")}
    return str(HINTS[stage])


def _weights(by_stage: dict[str, StageTotals]) -> list[tuple[str, int]]:
    """What the drawing is to scale with: the money, or the number of rewards where several currencies have no common scale."""
    totals = [(colour, by_stage[name]) for name, colour, _label in TABS if name in by_stage]
    if len({amount.currency for _colour, total in totals for amount in total.amounts}) == 1:
        return [(colour, sum(amount.minor for amount in total.amounts)) for colour, total in totals]
    return [(colour, total.count) for colour, total in totals]


def segments_of(counts: Sequence[tuple[str, int]]) -> list[Segment]:
    """A scale drawing of (colour, how much): what is there at all can be seen, and the gaps are drawn."""
    shown = [(key, count) for key, count in counts if count]
    if not shown:
        return []
    room = _WIDTH - _GAP * (len(shown) - 1)
    total = sum(count for _key, count in shown)
    widths = [max(_THINNEST, room * count // total) for _key, count in shown]
    # What the thin ones took, and what rounding left, is the widest one's.
    widths[widths.index(max(widths))] += room - sum(widths)
    segments, x = [], 0
    for (key, _count), width in zip(shown, widths, strict=True):
        segments.append(Segment(key, x, width))
        x += width + _GAP
    return segments
