"""A rule's campaign budget: how much is used, in rows that are locked while the last unit is given (RELIABILITY INV-16)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from datetime import date, datetime, time, timedelta

from django.db.models import F, Sum
from django.utils.translation import gettext as _

from campaigns.models import Campaign, RewardRule
from participants.models import QualifyingEvent
from referrals.lib.errors import Refused
from referrals.lib.money import Money
from rewards.fold import Budget, period_names
from rewards.models import BudgetUse, Reward, State

# A reward that fell gives its part of the budget back.
FALLEN = frozenset({State.VOID, State.REVERSED})


def lock_budgets(campaign: Campaign, days: Mapping[str, Collection[date]]) -> dict[str, Budget]:
    """The budgets of these rules (by key), with every period that one of the days falls into, locked until the transaction ends.

    Rows are locked in the order of their rule and period. A period's row is made when it is first asked for, from the rewards
    that stand in it.
    """
    wanted = {
        key: sorted({name for day in of_rule for name in period_names(day).values()}) for key, of_rule in days.items()
    }
    rows = _locked(campaign, wanted)
    missing = [(key, name) for key, names in sorted(wanted.items()) for name in names if (key, name) not in rows]
    if missing:
        BudgetUse.objects.bulk_create(
            [
                BudgetUse(
                    merchant_id=campaign.merchant_id,
                    is_test=campaign.is_test,
                    campaign=campaign,
                    rule_key=key,
                    period=name,
                    used_minor=_standing(campaign, key, name),
                )
                for key, name in missing
            ],
            ignore_conflicts=True,
        )
        rows = _locked(campaign, wanted)
    return {key: Budget({name: rows[key, name] for name in names}) for key, names in wanted.items()}


def _locked(campaign: Campaign, wanted: Mapping[str, Collection[str]]) -> dict[tuple[str, str], int]:
    names = {name for of_rule in wanted.values() for name in of_rule}
    rows = BudgetUse.objects.filter(campaign=campaign, rule_key__in=wanted, period__in=names)
    rows = rows.order_by("rule_key", "period").select_for_update(no_key=True)
    return {(row.rule_key, row.period): row.used_minor for row in rows}


def _standing(campaign: Campaign, rule_key: str, period: str) -> int:
    """What the rewards that stand in a period come to, in minor units."""
    rewards = Reward.objects.filter(campaign=campaign, rule_key=rule_key).exclude(state__in=FALLEN)
    span = span_of(period, campaign)
    if span is not None:
        rewards = rewards.filter(event__occurred_at__gte=span[0], event__occurred_at__lt=span[1])
    return rewards.aggregate(total=Sum("amount_minor"))["total"] or 0


def span_of(period: str, campaign: Campaign) -> tuple[datetime, datetime] | None:
    """The moments between which a period lies, in the merchant's time zone; None for all time."""
    if period == "all":
        return None
    if "W" in period:
        first = date.fromisocalendar(int(period[:4]), int(period[6:]), 1)
        last = first + timedelta(days=7)
    elif len(period) == 7:
        first = date(int(period[:4]), int(period[5:]), 1)
        last = (first + timedelta(days=32)).replace(day=1)
    else:
        first = date.fromisoformat(period)
        last = first + timedelta(days=1)
    zone = campaign.merchant.zone
    return datetime.combine(first, time(), zone), datetime.combine(last, time(), zone)


def use(lines: Iterable[tuple[Reward, int]]) -> None:
    """Add signed minor units to the budgets of the rewards' rules. A rule without a budget has no rows, and nothing happens."""
    changes: Counter[tuple[Campaign, str, str]] = Counter()
    counted = [(reward, minor) for reward, minor in lines if reward.campaign.has_budget and minor]
    moments = _moments([reward for reward, _minor in counted])
    for reward, minor in counted:
        day = moments[reward.event_id].astimezone(reward.campaign.merchant.zone).date()
        for name in period_names(day).values():
            changes[reward.campaign, reward.rule_key, name] += minor
    for (campaign, key, name), minor in sorted(changes.items(), key=lambda item: (item[0][0].pk, *item[0][1:])):
        rows = BudgetUse.objects.filter(campaign=campaign, rule_key=key, period=name)
        rows.update(used_minor=F("used_minor") + minor)


def _moments(rewards: Collection[Reward]) -> dict[int, datetime]:
    ids = {reward.event_id for reward in rewards}
    rows = QualifyingEvent.objects.filter(pk__in=ids).values_list("pk", "occurred_at") if ids else ()
    return dict(rows)


def refuse_overdraft(rewards: Collection[Reward]) -> None:
    """Refused `budget_spent` (409) when giving these rewards again would go over a budget of their rules. Locks the budgets."""
    asked = [reward for reward in rewards if reward.campaign.has_budget]
    moments = _moments(asked)
    groups: dict[Campaign, dict[str, list[Reward]]] = {}
    for reward in asked:
        groups.setdefault(reward.campaign, {}).setdefault(reward.rule_key, []).append(reward)
    for campaign, by_key in sorted(groups.items(), key=lambda item: item[0].pk):
        zone = campaign.merchant.zone
        days = {key: {moments[row.event_id].astimezone(zone).date() for row in rows} for key, rows in by_key.items()}
        budgets = lock_budgets(campaign, days)
        for key, rows in by_key.items():
            _refuse(campaign, rows, budgets[key], moments)


def _refuse(campaign: Campaign, rewards: Iterable[Reward], budget: Budget, moments: Mapping[int, datetime]) -> None:
    rewards = list(rewards)
    rules = RewardRule.objects.filter(pk__in={reward.rule_id for reward in rewards}).prefetch_related("tiers")
    limits_of = {rule.pk: rule.terms(campaign.currency).limits for rule in rules}
    for reward in rewards:
        limits = limits_of[reward.rule_id]
        names = period_names(moments[reward.event_id].astimezone(campaign.merchant.zone).date())
        for period, limit in limits.of_campaign:
            name = names[period]
            if budget.used[name] + reward.amount_minor > limit.minor:
                message = _("Giving %(amount)s again would go over the budget of %(limit)s; %(left)s are left of it.")
                left = Money(max(0, limit.minor - budget.used[name]), campaign.currency)
                words = {"amount": reward.amount, "limit": limit, "left": left}
                raise Refused("budget_spent", message % words, status=409, details={"period": name})
        for name in names.values():
            budget.used[name] += reward.amount_minor
