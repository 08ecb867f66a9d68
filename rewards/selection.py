"""Which rewards a list shows, and which a bulk action means: explicit ids, or "all that match" as filter, exclusions, expected count
and snapshot time, so that an action never reaches a reward that appeared after the person looked (UX.md, "Select all N matching")."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import Q
from django.utils.translation import gettext as _

from referrals.accounts.tenancy import Tenant
from referrals.lib.emails import EmailError, parse_email
from referrals.lib.errors import Refused
from rewards.models import Reward, RewardQuerySet
from rewards.pipeline import STAGES

MAX_AT_ONCE = 20_000
# The orders a list may have; the newest first where a sign stands before the column.
SORTS: dict[str, str] = {
    "since": "-stage_at",
    "oldest": "stage_at",
    "amount": "-amount_minor",
    "smallest": "amount_minor",
}


@dataclass(frozen=True, slots=True)
class RewardFilter:
    """What a list of rewards is narrowed to; empty fields narrow nothing. `campaign` is a public id, `stage` a key of STAGES."""

    stage: str = ""
    campaign: str = ""
    kind: str = ""
    side: str = ""
    currency: str = ""
    q: str = ""

    def apply(self, rows: RewardQuerySet) -> RewardQuerySet:
        """The rows that match; an unknown stage matches nothing."""
        if self.stage:
            states = STAGES.get(self.stage, ())
            rows = rows.filter(state=states[0]) if len(states) == 1 else rows.filter(state__in=states)
        if self.campaign:
            rows = rows.filter(campaign__public_id=self.campaign)
        for name in ("kind", "side", "currency"):
            if value := getattr(self, name):
                rows = rows.filter(**{name: value})
        return rows.filter(_search(self.q)) if self.q.strip() else rows


def _search(text: str) -> Q:
    """By address, name, code, order number or the reward's own id. An address or an id is looked up exactly."""
    text = text.strip()[:120]
    try:
        return Q(participant__email_key=parse_email(text).key) | Q(event__participant__email_key=parse_email(text).key)
    except EmailError:
        pass
    query = Q(event__external_id=text) | Q(public_id=text) | Q(participant__referral_code=text)
    folded = text.casefold()
    query |= Q(participant__email_key__contains=folded) | Q(event__participant__email_key__contains=folded)
    first, _space, last = text.partition(" ")
    if last:
        return query | Q(participant__first_name__istartswith=first, participant__last_name__istartswith=last.strip())
    return query | Q(participant__first_name__istartswith=text) | Q(participant__last_name__istartswith=text)


@dataclass(frozen=True, slots=True)
class Selection:
    """Either `ids` (public ids), or everything under `filter` but `excluded`, as many as `expected`, as they were at `snapshot`."""

    ids: Collection[str] = ()
    filter: RewardFilter | None = None
    excluded: Collection[str] = field(default=())
    expected: int = 0
    snapshot: datetime | None = None


def resolve(tenant: Tenant, selection: Selection) -> list[int]:
    """The primary keys that a selection means. Raises Refused: reward_not_found (404), nothing_selected, selection_changed (409,
    with the present count), too_many."""
    rows = Reward.objects.for_tenant(tenant)
    if selection.filter is None:
        wanted = set(selection.ids)
        if not wanted:
            raise Refused("nothing_selected", _("Select at least one reward."), field="rewards")
        found = list(rows.filter(public_id__in=wanted).order_by("pk").values_list("pk", flat=True)[: MAX_AT_ONCE + 1])
        if len(found) != len(wanted):
            raise Refused(
                "reward_not_found",
                _("One of these rewards does not exist. Reload the list."),
                field="rewards",
                status=404,
            )
    else:
        matching = selection.filter.apply(rows).exclude(public_id__in=list(selection.excluded))
        if selection.snapshot is not None:
            matching = matching.filter(stage_at__lte=selection.snapshot)
        found = list(matching.order_by("pk").values_list("pk", flat=True)[: MAX_AT_ONCE + 1])
        if len(found) != selection.expected:
            message = _(
                "%(expected)d rewards matched when you looked, %(now)d match now. Check the list and choose again."
            )
            words = {"expected": selection.expected, "now": len(found)}
            raise Refused("selection_changed", message % words, status=409, details=words)
        if not found:
            raise Refused("nothing_selected", _("Nothing matches; there is nothing to do."), field="rewards")
    if len(found) > MAX_AT_ONCE:
        raise Refused("too_many", _("At most %(most)d rewards go at once; narrow the filter.") % {"most": MAX_AT_ONCE})
    return found
