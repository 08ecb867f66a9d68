"""Import of 100,000 participants: dry run and apply, against bulk_create() of the same rows in the same run (PERFORMANCE.md).

`python -m bench.imports` on SQLite; `python -m scripts.postgres python -m bench.imports` on PostgreSQL. BENCH_ROWS changes the
size. Prints one JSON object. The rows are counted in the database afterwards: a benchmark whose rows are missing fails.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import django

django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connection, transaction  # noqa: E402

from bench.data import ACTOR  # noqa: E402
from campaigns import services as campaigns  # noqa: E402
from campaigns.models import Campaign  # noqa: E402
from campaigns.terms import Fixed, RuleTerms  # noqa: E402
from participants.models import Participant, Referral  # noqa: E402
from referrals.accounts.models import Merchant  # noqa: E402
from referrals.accounts.tenancy import Tenant  # noqa: E402
from referrals.lib import clock  # noqa: E402
from referrals.lib.emails import parse_email  # noqa: E402
from referrals.lib.money import Money  # noqa: E402
from rewards.imports import jobs  # noqa: E402
from rewards.models import Import  # noqa: E402

ROWS = int(os.environ.get("BENCH_ROWS", "100000"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
_LETTERS = "abcdefghijkmnop"


def code(number: int, tag: str) -> str:
    """A code as programs make them: small and capital letters."""
    text, rest = "", number
    for _ in range(6):
        rest, last = divmod(rest, len(_LETTERS))
        text += _LETTERS[last]
    return f"Z{tag}{text}"


def file_of(tag: str) -> bytes:
    """People of whom nine in ten were invited, half by a code that stands further down."""
    lines = ["email,first_name,last_name,referral_code,referred_by_code,joined_at"]
    for n in range(ROWS):
        by = code((n * 7 + 3) % ROWS, tag) if n % 10 and (n * 7 + 3) % ROWS != n else ""
        lines.append(
            f"p{n}@shop{n % 500}.example.com,Person,Number{n},{code(n, tag)},{by},2025-{1 + n % 12:02d}-01T10:00:00Z"
        )
    return "\n".join(lines).encode()


def campaign_of(tenant: Tenant) -> Campaign:
    """An empty campaign."""
    rule = RuleTerms("", "referrer", "first_event", Fixed(Money(1500, "USD")))
    made = campaigns.create_campaign(tenant=tenant, actor=ACTOR, name="Bench", currency="USD", rules=[rule])
    return campaigns.launch(campaign=made, actor=ACTOR)


@dataclass
class Took:
    """Seconds of the clock, and of this process's own work: the steadier figure on a noisy machine (on SQLite it is all there is)."""

    wall: float
    cpu: float


def timed(act: Callable[[], object]) -> Took:
    """How long it took."""
    wall, cpu = time.perf_counter(), time.process_time()
    act()
    return Took(time.perf_counter() - wall, time.process_time() - cpu)


def baseline(tenant: Tenant, tag: str) -> Took:
    """The usual way: a model instance for each row, bulk_create() by the thousand, the referrers by a dictionary. No checks, no history."""
    campaign, data = campaign_of(tenant), file_of(tag).decode().splitlines()[1:]

    def act() -> None:
        rows = [line.split(",") for line in data]
        people = []
        for email, first, last, own, _by, _at in rows:
            found = parse_email(email)
            people.append(Participant(
                merchant=tenant.merchant, campaign=campaign, email=found.address, email_key=found.key, identity_key=found.identity,
                first_name=first, last_name=last, referral_code=own, source="bench", joined_at=clock.now(),
            ))  # fmt: skip
        with transaction.atomic():
            Participant.objects.bulk_create(people, batch_size=2000)
            by_code = {person.referral_code: person for person in people}
            Referral.objects.bulk_create(
                (
                    Referral(merchant=tenant.merchant, campaign=campaign, referrer=by_code[row[4]], invitee=person,
                             standing_for=person, how="code")
                    for row, person in zip(rows, people, strict=True) if row[4]
                ),
                batch_size=2000,
            )  # fmt: skip

    return timed(act)


def imported(tenant: Tenant, tag: str) -> tuple[Took, Took]:
    """Seconds of the dry run, and of applying."""
    campaign, data = campaign_of(tenant), file_of(tag)
    upload = jobs.start(tenant=tenant, kind="participants", campaign=campaign, name="bench.csv", data=data, actor=ACTOR)
    checked = timed(lambda: _until(upload, "checked"))
    jobs.apply(upload=upload)
    applied = timed(lambda: _until(upload, "done"))
    found = Import.objects.get(pk=upload.pk)
    bonds = sum(1 for line in data.decode().splitlines()[1:] if line.split(",")[4])
    have = (Participant.objects.filter(campaign=campaign).count(), Referral.objects.filter(campaign=campaign).count())
    if (found.wrong, have) != (0, (ROWS, bonds)):
        raise RuntimeError(f"{found.wrong} wrong, {have} of {(ROWS, bonds)} found")
    return checked, applied


def _until(upload: Import, state: str) -> None:
    while not jobs.work(upload.pk):
        pass
    if Import.objects.get(pk=upload.pk).state != state:
        raise RuntimeError(f"not {state}")


def main() -> None:
    """Baseline and import in turn; medians."""
    call_command("migrate", verbosity=0, interactive=False)
    tenant = Tenant(Merchant.objects.create(name="Bench", currency="USD"))
    took: dict[str, list[Took]] = {"check": [], "apply": [], "bulk_create": []}
    memory = 0.0
    for round_ in range(ROUNDS):
        checked, applied = imported(tenant, f"{round_}w")
        # The baseline's own peak would hide the import's.
        memory = memory or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        for name, one in (("check", checked), ("apply", applied), ("bulk_create", baseline(tenant, f"{round_}q"))):
            took[name].append(one)
    wall = {name: round(statistics.median(one.wall for one in values), 2) for name, values in took.items()}
    cpu = {name: round(statistics.median(one.cpu for one in values), 2) for name, values in took.items()}
    ratios = {"wall": round(wall["bulk_create"] / wall["apply"], 2), "cpu": round(cpu["bulk_create"] / cpu["apply"], 2)}
    told = {"database": connection.vendor, "rows": ROWS, "wall": wall, "cpu": cpu, "apply_to_bulk_create": ratios}
    print(json.dumps({**told, "peak_mb": round(memory)}))


if __name__ == "__main__":
    main()
