"""One decision with 20 rules, where the referrer's friends have 1,000 earlier events: rule time, without the database."""

from __future__ import annotations

import json
import statistics
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import django

django.setup()

from campaigns.terms import Fixed, Limits, Percent, RuleTerms, Tier  # noqa: E402
from referrals.lib.money import Money  # noqa: E402
from rewards.facts import Bond, EventFacts, PersonFacts  # noqa: E402
from rewards.fold import Item, Standing, decide_all  # noqa: E402

START = datetime(2026, 1, 1, tzinfo=UTC)
EARLIER, RULES, ROUNDS = 1000, 20, 300


def rules() -> list[RuleTerms]:
    """Twenty rules of all kinds that look at purchases, most of them at the referrer as a whole."""
    limits = Limits(per_referrer=Money(10**9, "USD"), per_referrer_year=Money(10**8, "USD"))
    fixed, share = Fixed(Money(1500, "USD")), Percent(Decimal("12.5"), Money(5000, "USD"))
    tiers = (Tier(1, 10, fixed), Tier(11, None, share))
    found = []
    for number in range(RULES // 5):
        key = f"rule-{number}"
        found += [
            RuleTerms(f"{key}-a", "referrer", "first_event", fixed, minimum_purchase=Money(2000, "USD")),
            RuleTerms(f"{key}-b", "referrer", "every_event", share, limits=limits, within_days=365),
            RuleTerms(f"{key}-c", "referrer", "tier", fixed, tiers=tiers),
            RuleTerms(f"{key}-d", "referrer", "milestone", fixed, nth=5, recurring=True),
            RuleTerms(f"{key}-e", "invitee", "from_nth_event", share, nth=2, new_customers_only=True),
        ]
    return found


def items(asked: list[RuleTerms], number: int) -> list[Item]:
    """The n-th purchase under the referrer, by one of 250 friends, under each rule."""
    at, bond = START + timedelta(hours=number), Bond(PersonFacts("referrer@example.com"), START)
    event = EventFacts(number, "purchase", at, "USD", Money(5000, "USD"), Money(0, "USD"), day=at.date())
    friend = PersonFacts(f"f{number % 250}@example.net")
    return [Item(terms, event, friend, bond, number % 250) for terms in asked]


def main() -> None:
    """Fold the earlier events once; then time the newest event under all rules, each round from the same standing."""
    asked = rules()
    before = {terms.key: Standing() for terms in asked}
    for number in range(EARLIER):
        for one in items(asked, number):
            decide_all([one], before[one.terms.key])
    times = []
    for _round in range(ROUNDS):
        newest = [(one, before[one.terms.key].copy()) for one in items(asked, EARLIER)]
        start = time.perf_counter()
        for one, standing in newest:
            decide_all([one], standing)
        times.append((time.perf_counter() - start) * 1000)
    times.sort()
    figures = {
        "rules": RULES,
        "earlier": EARLIER,
        "best_ms": times[0],
        "p50_ms": statistics.median(times),
        "p99_ms": times[int(ROUNDS * 0.99)],
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
