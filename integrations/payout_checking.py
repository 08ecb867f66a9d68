"""The books of companies against ours, in both directions (RELIABILITY section 4, "Reconciler").

Every 15 minutes the last hours, each day the last days: what a company lists as paid (Way.recent) is looked for here, and what counts as
sent here is looked for there. A payment whose state differs is asked about, as after a status message. What can't be explained that way
is a PayoutDifference: a page, and a mail to the team. Nothing is paid, taken back or stopped by it.
"""

from __future__ import annotations

import logging
import re
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.core.mail import send_mail
from django.db import transaction
from django.db.models.functions import Now
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from integrations import registry
from integrations.accounts import account_of
from integrations.base import Found, ProviderError
from integrations.models import Connection, PayoutComparison, PayoutDifference
from referrals.accounts import clocks
from referrals.accounts.models import Membership, Role
from referrals.accounts.tenancy import Tenant
from referrals.events import types
from referrals.events.services import Actor, Happening, record
from referrals.lib import clock
from referrals.lib.errors import Refused
from referrals.lib.http import HttpError
from rewards import settling
from rewards.models import Payout

EVERY, FULL_EVERY = timedelta(minutes=15), timedelta(days=1)
SHORT, LONG = timedelta(hours=2), timedelta(days=7)
# What is younger may be on its way into the list.
MARGIN = timedelta(minutes=5)
BACK_OFF = timedelta(minutes=30)
# What our names for payments look like; others in the list are the merchant's own payments.
_OURS = re.compile(r"p[os]_[0-9A-Za-z]{16,28}", re.ASCII)
logger = logging.getLogger(__name__)


def compare_all() -> int:
    """For the schedule: compare the connections whose turn it is, then write about what was found. How many were compared."""
    _plan()
    now = clock.wall()
    due = PayoutComparison.objects.filter(next_at__lte=now).order_by("next_at", "pk")
    done = sum(compare(pk) for pk in due.values_list("pk", flat=True)[:50])
    _write_about()
    return done


def _plan() -> None:
    """Every connection that can be asked has its row."""
    slugs = {provider.slug for provider, way in registry.ways().values() if way.recent}
    rows = Connection.objects.filter(provider__in=slugs, removed_at=None, comparison=None).order_by("pk")[:500]
    PayoutComparison.objects.bulk_create(
        [PayoutComparison(merchant_id=row.merchant_id, is_test=row.is_test, connection=row) for row in rows],
        ignore_conflicts=True,
    )


def compare(comparison_id: int) -> bool:
    """One connection's turn; False when somebody else has it. The company is asked outside of any transaction."""
    now = clock.wall()
    row = PayoutComparison.objects.select_related("connection__merchant").filter(pk=comparison_id).first()
    if row is None or row.connection.removed_at is not None:
        return False
    mine = PayoutComparison.objects.filter(pk=row.pk, next_at=row.next_at)
    if not mine.update(next_at=now + BACK_OFF):
        return False
    is_full = row.full_at <= now
    with clocks.running(row.connection.tenant):
        try:
            looked_at, problem = _compare(row.connection, now - (LONG if is_full else SHORT), now - MARGIN), ""
        except (ProviderError, HttpError) as error:
            looked_at, problem = 0, str(error)[:500]
        except Exception:
            logger.exception("payouts of %s could not be compared", row.connection.public_id)
            looked_at, problem = 0, _("Its list could not be read.")
    changed: dict[str, object] = {"problem": problem}
    if not problem:
        changed |= {"next_at": now + EVERY, "done_at": now, "looked_at": looked_at}
        changed |= {"full_at": now + FULL_EVERY} if is_full else {}
    PayoutComparison.objects.filter(pk=row.pk).update(**changed)
    return True


def _compare(connection: Connection, since: datetime, until: datetime) -> int:
    """Both directions over one span; how many payments the company listed."""
    account = account_of(connection)
    found: dict[str, list[Found]] = defaultdict(list)
    methods = [name for name, (provider, _way) in registry.ways().items() if provider.slug == connection.provider]
    lists = {recent for name in methods if (recent := registry.recent(name))}
    keys = _keys(connection, methods, since)
    for recent in lists:
        for one in recent(account, since, until):
            found[keys.get(one.key, one.key)].append(one)
    known = {row.key: row for row in Payout.objects.filter(key__in=list(found)).order_by("pk")}
    for key, payments in found.items():
        _look_here(connection, key, payments, known.get(key))
    listed = [name for name in methods if registry.recent(name)]
    gone = Payout.objects.for_tenant(connection.tenant).filter(
        account=connection.public_id,
        method__in=listed,
        status__in=Payout.GONE,
        called_at__range=(since + MARGIN, until),
    )
    # The company lists no such payment: it is asked about this one, and what it says then counts.
    gone.exclude(key__in=list(found)).filter(amount_minor__gt=0).update(check_at=Now())
    return sum(map(len, found.values()))


def _keys(connection: Connection, methods: Sequence[str], since: datetime) -> dict[str, str]:
    """Our keys by what the company calls them, where it is told something else (Way.key_name)."""
    renamed = [name for name in methods if registry.ways()[name][1].key_name]
    if not renamed:
        return {}
    mine = Payout.objects.for_tenant(connection.tenant).filter(account=connection.public_id, method__in=renamed)
    rows = mine.filter(called_at__gte=since - settling.PATIENCE).values_list("method", "key")
    return {registry.key_name(method, key): key for method, key in rows}


def _look_here(connection: Connection, key: str, payments: Sequence[Found], payout: Payout | None) -> None:
    """One name in the company's list."""
    first = payments[0]
    if payout is None:
        if _OURS.fullmatch(key):
            report(connection, "stranger", key, first)
        return
    if payout.account != connection.public_id:
        return  # another side or business has it through the same account
    good = [one for one in payments if one.state != "failed"]
    if len(good) > 1:
        report(connection, "twice", key, good[1], payout)
    other = next((one for one in good if one.money != payout.amount), None)
    if other is not None:
        report(connection, "amount", key, other, payout)
    elif _differs(payout, bool(good)):
        Payout.objects.filter(pk=payout.pk).update(check_at=Now())


def _differs(payout: Payout, is_paid_there: bool) -> bool:
    """Whether the company's list and our row say different things about what became of it."""
    if payout.status in Payout.GONE:
        return not is_paid_there
    return is_paid_there


def report(
    connection: Connection, kind: str, key: str, theirs: Found | None = None, payout: Payout | None = None
) -> bool:
    """Keep a difference, once; whether it is new. One that a person has ended stays ended."""
    money = theirs.money if theirs else payout.amount if payout else None
    if money is None:
        raise ValueError("nobody says how much")
    with transaction.atomic():
        row, made = PayoutDifference.objects.get_or_create(
            connection=connection,
            kind=kind,
            key=key[:80],
            defaults={
                "merchant_id": connection.merchant_id,
                "is_test": connection.is_test,
                "payout": payout,
                "reference": theirs.reference[:255] if theirs else payout.reference if payout else "",
                "ours_minor": payout.amount_minor if payout else None,
                "theirs_minor": theirs.money.minor if theirs else None,
                "currency": money.currency,
            },
        )
        if made:
            data = {"kind": kind, "key": row.key, "reference": row.reference}
            told = Happening(types.PAYOUT_DIFFERENCE_FOUND, "payout_difference", row.public_id, data=data)
            record(connection.tenant, Actor("system"), told)
    return made


def missing(payout: Payout) -> None:
    """The company was asked about a payout that counts as sent, and does not know it."""
    connection = Connection.objects.for_tenant(payout.tenant).filter(public_id=payout.account).first()
    if connection is not None:
        report(connection, "missing", payout.key, None, payout)


def found_again(payout: Payout) -> None:
    """It knows it after all: what was said to be missing has gone by itself."""
    rows = PayoutDifference.objects.filter(payout=payout, kind="missing", ended_at=None)
    rows.update(ended_at=clock.wall(), note=_("The company knows it now."))


def open_differences(tenant: Tenant) -> list[PayoutDifference]:
    """What does not agree on this side and nobody has looked at, the oldest first; at most 200."""
    rows = PayoutDifference.objects.for_tenant(tenant).filter(ended_at=None).order_by("pk")
    return list(rows.select_related("connection", "payout__participant")[:200])


def end(*, tenant: Tenant, public_id: str, actor: Actor, note: str) -> PayoutDifference:
    """A person has looked and says what it was. Refused: 404 for another business's, note_required, invalid_state (409)."""
    if not note.strip():
        raise Refused("note_required", _("Say what you found, so that it can be explained later."), field="note")
    with transaction.atomic():
        row = PayoutDifference.objects.for_tenant(tenant).filter(public_id=public_id).first()
        if row is None:
            raise Refused("difference_not_found", _("There is no such difference."), status=404)
        mine = PayoutDifference.objects.filter(pk=row.pk, ended_at=None)
        if not mine.update(ended_at=clock.wall(), ended_by=actor.label, note=note.strip()[:500]):
            raise Refused("invalid_state", _("Somebody has looked at this already."), status=409)
        told = Happening(
            types.PAYOUT_DIFFERENCE_ENDED, "payout_difference", row.public_id, data={"note": note.strip()[:500]}
        )
        record(tenant, actor, told)
    row.refresh_from_db()
    return row


def _write_about() -> None:
    """One mail to owners and admins about what is new on a live side; who tests is looking."""
    fresh = PayoutDifference.objects.filter(told_at=None, ended_at=None, is_test=False).select_related(
        "connection__merchant"
    )
    by_merchant: dict[int, list[PayoutDifference]] = defaultdict(list)
    for row in fresh.order_by("pk")[:500]:
        by_merchant[row.merchant_id].append(row)
    for rows in by_merchant.values():
        keys = [row.pk for row in rows]
        if not PayoutDifference.objects.filter(pk__in=keys, told_at=None).update(told_at=clock.wall()):
            continue
        try:
            _write(rows)
        except OSError:
            logger.exception("the mail about payouts that do not agree could not be sent")
            PayoutDifference.objects.filter(pk__in=keys).update(told_at=None)


def _write(rows: Sequence[PayoutDifference]) -> None:
    merchant = rows[0].connection.merchant
    with translation.override(settings.LANGUAGE_CODE), timezone.override(merchant.zone):
        url = settings.SITE_URL + reverse("web:payouts_attention")
        text = render_to_string(
            "integrations/mail/payout_differences.txt", {"rows": rows, "url": url, "merchant": merchant}
        )
        subject = ngettext(
            "%(n)s payout does not agree with the company", "%(n)s payouts do not agree with the company", len(rows)
        )
        team = Membership.objects.filter(merchant=merchant, role__in=[Role.OWNER, Role.ADMIN], user__is_active=True)
        for address in team.order_by("pk").values_list("user__email", flat=True):
            send_mail(subject % {"n": len(rows)}, text, None, [address])
