"""Mails to a merchant's owners and admins about what only they can do, each once: a custom reward to hand over, a batch that waits for
money (again after three and seven days), a file to pay, runs that fail (seed 004; docs/payouts.md). Live only: nobody is mailed from tests.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from datetime import timedelta
from itertools import groupby

from django.conf import settings
from django.core.mail import send_mail
from django.db.models import Exists, F, OuterRef, QuerySet
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from integrations import methods, registry
from referrals.accounts.models import Membership, Merchant, Role
from referrals.accounts.tenancy import TenantQuerySet
from referrals.lib import clock
from rewards import funding
from rewards.models import PayoutBatch, PayoutFile, PayoutRoute, PayoutRun, Reward, State, TeamAlert

# What is older was known before there were these mails, or was lost with its mail server.
NEWS = timedelta(days=7)
# A way that fails for less than this may be well again by itself.
PATIENCE = timedelta(minutes=10)
# A batch that still waits for money is mailed about again so long after the first mail.
AGAIN = {1: timedelta(days=3), 2: timedelta(days=4)}
AT_ONCE, LISTED = 500, 20
log = logging.getLogger(__name__)


def sweep() -> int:
    """For the schedule: note what there is to tell, and tell it. Returns how many mails' worth of things were told."""
    for kind, found in (
        ("custom_due", _custom()),
        ("funding", _unfunded()),
        ("todo", _to_do()),
        ("route", _failing()),
    ):
        _note(kind, found)
    return _tell()


def _live(rows: QuerySet[Reward]) -> QuerySet[Reward]:
    return rows.filter(is_test__in=[False])


def _custom() -> QuerySet[Reward]:
    """Custom rewards that became due and that nothing pays by itself."""
    paid = PayoutRoute.objects.filter(
        merchant=OuterRef("merchant"), is_test=False, kind="custom", side=OuterRef("side")
    )
    rows = _live(Reward.objects.filter(kind="custom", state=State.DUE, stage_at__gt=clock.wall() - NEWS))
    return rows.exclude(Exists(paid), rule__delivery__in=["immediate", "weekly", "day_15", "month_end"])


def _unfunded() -> TenantQuerySet[PayoutBatch]:
    return funding.waiting_for_money().filter(is_test__in=[False])


def _to_do() -> TenantQuerySet[PayoutBatch]:
    """Batches that a run has made and that somebody has to pay: files."""
    names = [own.name for own in methods.OWN if own.then]
    runs = PayoutRun.objects.filter(batch=OuterRef("pk"), made_at__gt=clock.wall() - NEWS)
    made = PayoutFile.objects.filter(batch=OuterRef("pk"))
    return PayoutBatch.objects.filter(Exists(runs), Exists(made), method__in=names, is_test__in=[False], undone_at=None)


def _failing() -> QuerySet[PayoutRoute]:
    return PayoutRoute.objects.filter(is_test__in=[False], problem_since__lte=clock.now() - PATIENCE)


def _note(kind: str, found: QuerySet[Reward] | QuerySet[PayoutBatch] | QuerySet[PayoutRoute]) -> None:
    """A row for each thing that has none; what somebody else noted meanwhile is left alone."""
    known = TeamAlert.objects.filter(
        merchant=OuterRef("merchant"), is_test=False, kind=kind, subject_id=OuterRef("public_id")
    )
    fresh = found.exclude(Exists(known)).order_by("pk").values_list("merchant_id", "public_id")[:AT_ONCE]
    rows = [TeamAlert(merchant_id=merchant, is_test=False, kind=kind, subject_id=name) for merchant, name in fresh]
    TeamAlert.objects.bulk_create(rows, ignore_conflicts=True)


def _tell() -> int:
    due = (
        TeamAlert.objects.filter(next_at__lte=clock.wall())
        .select_related("merchant")
        .order_by("merchant_id", "kind", "pk")
    )
    told = 0
    for (merchant, kind), group in groupby(due[:AT_ONCE], key=lambda row: (row.merchant, row.kind)):
        mine = [row for row in group if _take(row)]
        try:
            told += _write(merchant, kind, [row.subject_id for row in mine], later=any(row.told for row in mine))
        except OSError:
            log.exception("the mail about %s to %s could not be sent", kind, merchant.public_id)
            for row in mine:
                TeamAlert.objects.filter(pk=row.pk).update(told=row.told, next_at=clock.wall() + PATIENCE)
    # A way that is well again is told of anew when it fails anew.
    well = PayoutRoute.objects.filter(problem="").values("public_id")
    TeamAlert.objects.filter(kind="route", next_at=None, subject_id__in=well).delete()
    return told


def _take(row: TeamAlert) -> bool:
    """Whether this worker tells of it: it counts as told, until the next reminder if there is one."""
    after = AGAIN.get(row.told + 1) if row.kind == "funding" else None
    following = clock.wall() + after if after else None
    mine = TeamAlert.objects.filter(pk=row.pk, told=row.told, next_at=row.next_at)
    return bool(mine.update(told=F("told") + 1, next_at=following))


def _write(merchant: Merchant, kind: str, subjects: Sequence[str], *, later: bool) -> int:
    """One mail about all of a kind; none about what is over meanwhile. Returns of how many things it tells."""
    with translation.override(settings.LANGUAGE_CODE), timezone.override(merchant.zone):
        subject, context = {"custom_due": _hand_over, "funding": _bring, "todo": _pay, "route": _mend}[kind](subjects)
        lines = context["lines"]
        if not isinstance(lines, list) or not lines:
            _over(merchant, kind, subjects)
            return 0
        context |= {"kind": kind, "business": merchant.name, "later": later}
        context |= {"lines": lines[:LISTED], "more": len(lines) - LISTED}
        text = render_to_string("integrations/mail/team_alert.txt", context)
        team = Membership.objects.filter(merchant=merchant, role__in=[Role.OWNER, Role.ADMIN], user__is_active=True)
        for address in team.order_by("pk").values_list("user__email", flat=True):
            send_mail(subject, text, None, [address])
    return len(lines)


def _over(merchant: Merchant, kind: str, subjects: Iterable[str]) -> None:
    TeamAlert.objects.filter(merchant=merchant, kind=kind, subject_id__in=list(subjects)).update(next_at=None)


Mail = tuple[str, dict[str, object]]


def _hand_over(subjects: Sequence[str]) -> Mail:
    rows = Reward.objects.filter(public_id__in=subjects, state=State.DUE).select_related("participant", "campaign")
    found = list(rows.order_by("pk"))
    words = ngettext(
        "%(n)d reward waits for you to hand it over", "%(n)d rewards wait for you to hand them over", len(found)
    )
    lines = [f"{row.worth}: {row.participant.name or row.participant.email} ({row.campaign.name})" for row in found]
    return words % {"n": len(found)}, {"lines": lines, "url": _address("rewards") + "?stage=due&kind=custom"}


def _bring(subjects: Sequence[str]) -> Mail:
    waiting = list(funding.waiting_for_money().filter(public_id__in=subjects).order_by("pk"))
    sums = funding.needed(waiting)
    batches = [batch for batch in waiting if any(money.minor for money in sums[batch.pk])]
    ways = registry.ways()
    lines = []
    for batch in batches:
        way = ways[batch.method][1] if batch.method in ways else None
        amount = ", ".join(str(money) for money in sums[batch.pk])
        lines.append(f"{amount}: {way.label if way else batch.method}. {way.funding if way else ''}".strip())
    words = ngettext("A payout run waits for money", "%(n)d payout runs wait for money", len(batches))
    return words % {"n": len(batches)}, {"lines": lines, "url": _address("payouts_waiting")}


def _pay(subjects: Sequence[str]) -> Mail:
    open_ones = PayoutBatch.objects.filter(public_id__in=subjects, undone_at=None, completed_at=None)
    batches = list(open_ones.order_by("pk"))
    own = {way.name: way for way in methods.OWN}
    lines = [
        f"{own[batch.method].label}: {own[batch.method].then} {_address('payout_batch', batch.public_id)}"
        for batch in batches
    ]
    words = ngettext("A batch is ready for you to pay", "%(n)d batches are ready for you to pay", len(batches))
    return words % {"n": len(batches)}, {"lines": lines, "url": _address("payouts")}


def _mend(subjects: Sequence[str]) -> Mail:
    rows = list(PayoutRoute.objects.filter(public_id__in=subjects).exclude(problem="").order_by("pk"))
    lines = [f"{row.get_kind_display()}: {row.problem}" for row in rows]
    return str(_("Rewards can't be paid by themselves")), {"lines": lines, "url": _address("payout_routes")}


def _address(name: str, *args: str) -> str:
    return f"{settings.SITE_URL}{reverse(f'web:{name}', args=args)}"
