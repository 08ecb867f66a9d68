"""What payouts alone and payouts together need of a company: the way there, its names of the people, when it is asked again, and words
for what went wrong."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from django.db.models import Max, Q

from integrations import payout_checking, registry
from integrations.base import Account, ProviderError
from integrations.key_health import watched
from integrations.models import Connection
from integrations.sandbox.sending import send_for
from participants.models import CustomerReference
from referrals.accounts.tenancy import Tenant
from referrals.events import types
from referrals.events.models import Event
from referrals.lib import clock
from referrals.lib.http import HttpError
from referrals.lib.prepared import Prepared, PreparedRows, Slot
from referrals.lib.queries import Among
from referrals.lib.sealed import SealError
from rewards import settling
from rewards.models import Payout
from rewards.orders import Order, Outcome

# When a company is asked what became of a payout that it took, by how often it was; then each day.
CHECKS = tuple(timedelta(minutes=minutes) for minutes in (5, 30, 120, 360))
DAY = timedelta(days=1)
GONE = "Its connection is gone or can't be opened. Connect anew."
TOO_OLD = "The company does not know it, and its key is too old to be used again."
OTHER_KEY = (
    "The company does not know it, and the connection has been given another key since it was sent. If that is of another account, look"
    " in the former one."
)
ERASED = "The company does not know it, and its recipient's data was erased, so that it can't be sent again."
logger = logging.getLogger(__name__)

# Asked for each payout: their text is made once (ADR 13).
_CONNECTION = Prepared(
    lambda: Connection.objects.filter(
        merchant=Slot("merchant"), is_test=Slot("is_test"), removed_at=None, public_id=Slot("account")
    )
)
_NAMES = PreparedRows(
    lambda: (
        CustomerReference.objects.filter(Among("participant__public_id", Slot("people")), source=Slot("source"))
        .order_by("pk")
        .values_list("participant__public_id", "customer_id", "pk")
    )
)


def ready(orders: Sequence[Order], tenant: Tenant) -> tuple[Account | None, list[Order]]:
    """The way to the company of these orders, all of one connection, and the orders with the company's own names of the people.

    Of the payout's own side's connections only: one that an archive names may be somebody else's here.
    """
    first = orders[0]
    row = _CONNECTION.first(merchant=tenant.merchant.pk, is_test=tenant.is_test, account=first.account)
    found = registry.ways().get(first.method)
    if row is None or (found and found[0].slug != row.provider):
        return None, list(orders)
    people = list({order.person for order in orders})
    names = {person: name for person, name, _pk in _NAMES(source=row.provider, people=people)}
    named = [replace(order, customer=names.get(order.person, "")) for order in orders]
    try:
        return Account(row.secrets, row.settings, watched(row, send_for(row)), row.is_test), named
    except SealError:
        logger.exception("the secrets of %s can't be opened", row.public_id)
        return None, named


def has_other_key(order: Order) -> bool:
    """Whether the connection was given other secrets since the first call: who says that they do not know the payout may be somebody else
    than who was asked to pay it. Secrets that prove messages do not count. History is asked for what came after what, and no clock."""
    row = Connection.objects.filter(public_id=order.account).first()
    if row is None:
        return False
    names = {
        field.name for field in registry.get(row.provider).secrets if not field.made and "webhook" not in field.name
    }
    made = Q(subject_id=order.public_id, type=types.PAYOUT_CREATED)
    left = Q(subject_id__in=order.rewards, type=types.REWARD_SENDING)
    since = Event.objects.filter(made | left).aggregate(last=Max("pk"))["last"] or 0
    changes = Event.objects.filter(subject_id=order.account, type=types.CONNECTION_CHANGED, pk__gt=since)
    return any(names & set(data["changed"]) for data in changes.order_by("pk").values_list("data", flat=True))


def ask_in(method: str) -> dict[str, timedelta]:
    """By status: when the company is first asked what became of a payout."""
    return {"sent": CHECKS[0]} | ({"paid": DAY} if watch(method) else {})


def watch(method: str) -> timedelta:
    """For how long after a payment the company is asked each day."""
    found = registry.ways().get(method)
    return found[1].watch if found else timedelta(0)


def learnt(row: Payout, outcome: Outcome | None) -> str:
    """Take what the company said when it was asked, None when it does not know it; the payout's status."""
    if outcome is None:
        if row.status in Payout.GONE:
            payout_checking.missing(row)
        return row.status
    payout_checking.found_again(row)
    return settling.learn(row.pk, outcome)


def next_check(row: Payout, status: str) -> timedelta | None:
    """When it is asked again; None: not any more."""
    if status == "sent":
        return CHECKS[row.checks] if row.checks < len(CHECKS) else DAY
    long = watch(row.method)
    if status == "paid" and long and (row.paid_at is None or row.paid_at + long > clock.now()):
        return DAY
    return None


def words(error: Exception) -> str:
    """What went wrong, for the merchant: a company's or our client's own words, else only that it did."""
    if isinstance(error, HttpError | ProviderError):
        return str(error)
    logger.error("an issuer raised %s", type(error).__name__, exc_info=error)
    return f"The call ended with an error of ours ({type(error).__name__})."
