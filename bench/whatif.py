"""What-if over a million events (BENCH_EVENTS): both rules of a campaign changed, on the database that DATABASE_URL names."""

from __future__ import annotations

import cProfile
import io
import json
import os
import pstats
import resource
import sys
import time
from dataclasses import replace
from decimal import Decimal

import django

django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402

from bench.data import ACTOR, _copy_rows  # noqa: E402
from campaigns import services as campaigns  # noqa: E402
from campaigns.models import Campaign  # noqa: E402
from campaigns.rules import current_terms  # noqa: E402
from campaigns.terms import Fixed, Percent, RuleTerms  # noqa: E402
from participants.models import QualifyingEvent, Referral  # noqa: E402
from referrals.accounts.models import Merchant  # noqa: E402
from referrals.accounts.tenancy import Tenant  # noqa: E402
from referrals.lib.money import Money  # noqa: E402
from rewards import services  # noqa: E402
from rewards.models import Reward  # noqa: E402
from rewards.whatif.plan import plan_for  # noqa: E402
from rewards.whatif.replay import Replay  # noqa: E402
from rewards.whatif.report import report_of  # noqa: E402

EVENTS = int(os.environ.get("BENCH_EVENTS", "1000000"))
PER_FRIEND, PER_REFERRER = 5, 4


def _first(table: str, column: str, prefix: str) -> int:
    """The first key of the copied rows; nothing else writes meanwhile."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT MIN(id) FROM {table} WHERE {column} LIKE '{prefix}%'")
        return int(cursor.fetchone()[0])


def make_history() -> Campaign:
    """Four friends to a referrer, five purchases each; a fixed reward for the first, 10 per cent of every one. Made by SQL."""
    tenant = Tenant(Merchant.objects.create(name="Bench", currency="USD"))
    rules = [
        RuleTerms("", "referrer", "first_event", Fixed(Money(1500, "USD"))),
        RuleTerms("", "referrer", "every_event", Percent(Decimal(10))),
    ]
    campaign = campaigns.create_campaign(tenant=tenant, actor=ACTOR, name="Bench", currency="USD", rules=rules)
    campaign = campaigns.launch(campaign=campaign, actor=ACTOR)
    referrer = services.join(campaign=campaign, email="r@example.com", actor=ACTOR, source="manual").participant
    friend = services.join(
        campaign=campaign, email="f@example.com", actor=ACTOR, source="manual", referred_by_code=referrer.referral_code
    ).participant
    paid = Money(5000, "USD")
    services.qualify(participant=friend, actor=ACTOR, source="manual", amount=paid, external_id="seed")
    friends = EVENTS // PER_FRIEND
    referrers = friends // PER_REFERRER
    for tag, count in (("br", referrers), ("bf", friends)):
        _copy_rows("participants_participant", friend.pk, count, {
            "public_id": f"'{tag}' || i", "email": f"'{tag}' || i || '@example.com'", "email_key": f"'{tag}' || i || '@example.com'",
            "identity_key": f"'{tag}' || i || '@example.com'", "referral_code": f"'{tag}' || i",
        })  # fmt: skip
    first_referrer = _first("participants_participant", "public_id", "br")
    first_friend = _first("participants_participant", "public_id", "bf")
    bond = Referral.objects.get()
    _copy_rows("participants_referral", bond.pk, friends, {
        "referrer_id": f"{first_referrer} + i % {referrers}", "invitee_id": f"{first_friend} + i - 1",
        "standing_for_id": f"{first_friend} + i - 1",
    })  # fmt: skip
    event = QualifyingEvent.objects.get()
    later = "+ i * INTERVAL '1 second'" if connection.vendor == "postgresql" else ""
    _copy_rows("participants_qualifyingevent", event.pk, EVENTS, {
        "public_id": "'be' || i", "external_id": "'order-' || i", "participant_id": f"{first_friend} + i % {friends}",
        "amount_minor": "1000 + (i * 37) % 9000", "occurred_at": f"occurred_at {later}",
    })  # fmt: skip
    first_event = _first("participants_qualifyingevent", "public_id", "be")
    fixed, share = Reward.objects.order_by("rule_id")
    # The first purchase of each friend is among the first `friends` rows.
    for tag, reward, count, minor in (
        ("b1", fixed, friends, "1500"),
        ("b2", share, EVENTS, "(1000 + (i * 37) % 9000) / 10"),
    ):
        _copy_rows("rewards_reward", reward.pk, count, {
            "public_id": f"'{tag}' || i", "event_id": f"{first_event} + i - 1", "amount_minor": minor,
            "participant_id": f"{first_referrer} + (i % {friends} + 1) % {referrers}",
        })  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    return Campaign.objects.select_related("merchant", "version").get(pk=campaign.pk)


def main() -> None:
    """Make the data, replay once, and once more for a tenth of it under the profiler if BENCH_PROFILE is set."""
    call_command("migrate", verbosity=0, interactive=False)
    campaign = make_history()
    first, share = current_terms(campaign)
    rules = [
        replace(first, minimum_purchase=Money(3000, "USD")),
        replace(share, amount=Percent(share.amount.rate, Money(800, "USD")), within_days=365),  # type: ignore[union-attr]  # it is a share
    ]
    print("  data made", file=sys.stderr, flush=True)
    base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    plan = plan_for(campaign, rules)
    profile = cProfile.Profile() if os.environ.get("BENCH_PROFILE") else None
    start, cpu = time.perf_counter(), time.process_time()
    if profile:
        profile.enable()
    replay = Replay(campaign, plan)
    done = replay.go_on()
    result = report_of(campaign, plan, replay.progress.differences)
    if profile:
        profile.disable()
        text = io.StringIO()
        pstats.Stats(profile, stream=text).sort_stats("tottime").print_stats(25)
        print(text.getvalue(), file=sys.stderr)
    figures = {
        "database": connection.vendor,
        "events": replay.progress.events,
        "done": done,
        "seconds": round(time.perf_counter() - start, 1),
        "cpu_seconds": round(time.process_time() - cpu, 1),
        "megabytes_before": base,
        "megabytes_most": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "rules": [
            {name: rule[name]["rewards"] for name in ("now", "then", "gone", "smaller")} for rule in result["rules"]
        ],
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
