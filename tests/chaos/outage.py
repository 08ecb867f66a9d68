"""What the outage tests run in processes of their own, on a database of their own: `python -m tests.chaos.outage STEP`.

`prepare` makes payouts, `work` carries them out whatever the database does, until none is open, `cluster` is the real worker of the
Procfile, `look` says how many were begun, and `judge` prints what is there.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from referrals.accounts.tenancy import Tenant

PAYOUTS = 40


def prepare() -> None:
    """A database with payouts on their way."""
    from django.core.management import call_command

    call_command("migrate", verbosity=0, interactive=False)
    call_command("createcachetable", verbosity=0)
    from referrals.accounts.tenancy import Tenant
    from tests.factories import make_merchant

    make_payouts(Tenant(make_merchant("Halden Coffee")))


def make_payouts(tenant: Tenant) -> None:
    """So many payouts on their way, one for each person."""
    from integrations.models import Connection
    from rewards.queueing import Method, queue
    from tests.factories import ACTOR, buy, fixed_rule, make_campaign, make_friend, make_participant

    row = Connection(merchant=tenant.merchant, is_test=False, provider="stripe")
    row.secrets = {}
    row.save()
    campaign = make_campaign(tenant, [fixed_rule(1500, kind="cash")])
    keys = []
    for number in range(PAYOUTS):
        person = make_participant(campaign, f"r{number}@example.com")
        keys.append(buy(make_friend(person, f"f{number}@example.net")).rewards[0].pk)
    method = Method("stripe", frozenset({"cash"}), account=row.public_id)
    queue(tenant=tenant, reward_ids=keys, method=method, actor=ACTOR, key="before-the-outage")


def work() -> None:
    """As a worker does: sweep, and begin anew when the database is gone. Leases are cut short, so that nobody waits a minute."""
    from django.db import DatabaseError, connection
    from django.db.models.functions import Now

    from integrations import payouts
    from rewards.models import Payout

    _pay_by_the_company_of_this_test()
    end = time.monotonic() + 90
    while time.monotonic() < end:
        try:
            if payouts.sweep() == 0:
                open_rows = Payout.objects.filter(status__in=Payout.OPEN)
                if not open_rows.exists():
                    return
                open_rows.filter(next_attempt_at__isnull=False).update(next_attempt_at=Now())
        except DatabaseError:
            connection.close()
            time.sleep(0.1)
    sys.exit("not all of it ended")


def cluster() -> None:
    """`manage.py worker`: django-q2's cluster with all its processes, until a signal ends it. Its patience is short."""
    from django.core.management import call_command

    from referrals.lib import pulse

    pulse.PATIENCE = float(os.environ["PATIENCE"])
    _pay_by_the_company_of_this_test()
    call_command("worker")


def _pay_by_the_company_of_this_test() -> None:
    from integrations import payouts, registry
    from tests.chaos.company import Issuer
    from tests.chaos.wire import call

    issuer = Issuer(call(Path(os.environ["COMPANY"]), lambda: time.sleep(0.05)), None)
    registry.issuer = lambda method: issuer  # type: ignore[assignment]  # there is no other
    payouts.AT_ONCE = 4


def judge() -> None:
    """What the books say, as JSON."""
    from django.db.models import Sum

    from rewards.models import LedgerEntry, Payout, Reward
    from rewards.verify import differences

    found: dict[str, Any] = {
        "payouts": dict(Payout.objects.order_by("pk").values_list("key", "amount_minor")),
        "statuses": sorted(set(Payout.objects.values_list("status", flat=True))),
        "rewards": sorted(set(Reward.objects.values_list("state", flat=True))),
        "ledger": LedgerEntry.objects.filter(kind="pay").aggregate(total=Sum("amount_minor"))["total"],
        "differences": [str(one) for one in differences()],
    }
    sys.stdout.write(json.dumps(found))


def look() -> None:
    """How many payouts were begun, while nothing can be written."""
    from rewards.models import Payout

    sys.stdout.write(json.dumps({"began": Payout.objects.filter(called_at__isnull=False).count()}))


if __name__ == "__main__":
    import django

    django.setup()
    {"prepare": prepare, "work": work, "cluster": cluster, "judge": judge, "look": look}[sys.argv[1]]()
