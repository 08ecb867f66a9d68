"""Payouts that leave together: one call for a whole shipment, and one question about it (rewards.shipping holds the rows; ADR 17)."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Protocol, cast

from integrations import registry
from integrations.base import Account, ProviderError
from integrations.payout_ways import (
    DAY,
    GONE,
    OTHER_KEY,
    TOO_OLD,
    ask_in,
    has_other_key,
    learnt,
    next_check,
    ready,
    words,
)
from referrals.accounts import clocks
from referrals.accounts.tenancy import Tenant
from referrals.lib.http import HttpError
from rewards import settling, shipping
from rewards.models import Payout, PayoutShipment
from rewards.orders import Order, Outcome, Shipment, Shipped
from rewards.shipping import Load

logger = logging.getLogger(__name__)


class Shipper(Protocol):
    """An Issuer that takes several payouts in one call: at most Way.together, of one batch, one connection and one currency.

    All orders of a shipment are given each time, in the same order, those that are settled already among them: a repeat has to be the
    same call. Outcomes are named by Order.public_id; `shipment.key` is the key of the whole, and has the issuer's `key_life`.
    """

    key_life: timedelta | None

    def send_many(self, orders: Sequence[Order], account: Account, shipment: Shipment) -> Shipped:
        """One call, made once, with the shipment's key. What it raises is the outcome of every payout, as of Issuer.send()."""

    def check_many(self, orders: Sequence[Order], account: Account, shipment: Shipment) -> Shipped | None:
        """What the company knows of this shipment; None when it does not know it. Raises when it can't be asked."""


def shipper(method: str) -> Shipper | None:
    """Who takes several payouts of this method in one call; None where each leaves by itself."""
    return cast(Shipper, registry.issuer(method)) if together(method) > 1 else None


def together(method: str) -> int:
    """How many payouts of this method one call may carry."""
    found = registry.ways().get(method)
    return found[1].together if found else 1


def methods() -> list[str]:
    """The methods whose payouts leave together."""
    return [name for name in registry.ways() if together(name) > 1]


def begin(payout: Payout, *, lease: timedelta = shipping.LEASE) -> bool:
    """Pack a queued payout with others of its batch, and send them; False when nothing of it may leave now."""
    found = shipper(payout.method)
    if found is None:
        return False
    with clocks.running(payout.tenant):
        load = shipping.pack(payout.pk, together(payout.method), lease=lease)
        if load is not None:
            _carry(load, payout)
    return load is not None


def again(shipment_id: int, *, lease: timedelta = shipping.LEASE) -> bool:
    """One more try at a shipment; False when somebody else has it, or when all of it is settled."""
    row = PayoutShipment.objects.select_related("merchant").filter(pk=shipment_id).first()
    if row is None:
        return False
    with clocks.running(row.tenant):
        if row.called_at is None:
            shipping.drop_changed(shipment_id)
        load = shipping.claim(shipment_id, lease=lease)
        if load is not None:
            _carry(load, row)
    return load is not None


def _carry(load: Load, whose: Payout | PayoutShipment) -> None:
    method = whose.method
    found, (account, orders) = shipper(method), ready(load.orders, whose.tenant)
    if found is None or account is None:
        outcome = Outcome("failed" if load.shipment.first_call else "unknown", "", GONE, "")
        shipping.settle(load, _all(load, outcome), key_life=None)
        return
    outcomes, reference = _try(load, orders, found, account)
    shipping.settle(load, outcomes, reference=reference, key_life=found.key_life, ask_in=ask_in(method))


def _try(load: Load, orders: Sequence[Order], found: Shipper, account: Account) -> tuple[Mapping[str, Outcome], str]:
    """Ask first when an earlier call may have reached the company; send when it knows nothing, and the same may be sent again."""
    if not load.shipment.first_call:
        try:
            known = found.check_many(orders, account, load.shipment)
        except Exception as error:
            # Who can't be asked is sent nothing, either.
            return _all(load, Outcome("unknown", "", words(error))), ""
        if known is not None:
            return known.outcomes, known.reference
        if not shipping.may_send_again(load, found.key_life):
            return _all(load, Outcome("ask", "", TOO_OLD)), ""
        if has_other_key(load.orders[0]):
            return _all(load, Outcome("ask", "", OTHER_KEY)), ""
    try:
        sent = found.send_many(orders, account, load.shipment)
    except HttpError as error:
        return _all(load, Outcome("unknown" if error.sent else "unsent", "", str(error))), ""
    except Exception as error:
        return _all(load, Outcome("unknown", "", words(error))), ""
    return sent.outcomes, sent.reference


def _all(load: Load, outcome: Outcome) -> dict[str, Outcome]:
    return {order.public_id: outcome for order in load.orders}


def ask(payout: Payout) -> bool:
    """Ask about a shipped payout along with all others of its shipment that are due for it; False when it is asked about by itself:
    the only one that is due, and the company has named it."""
    found = shipper(payout.method)
    if found is None or payout.shipment_id is None:
        return False
    with clocks.running(payout.tenant):
        alone = bool(payout.reference) and shipping.due_checks(payout.shipment_id) < 2
        rows = [] if alone else shipping.take_checks(payout.shipment_id)
        if rows:
            _ask(found, payout.shipment_id, rows)
    return not alone


def _ask(found: Shipper, shipment_id: int, rows: Sequence[Payout]) -> None:
    try:
        outcomes = _known(found, shipping.look(shipment_id), rows[0].tenant)
    except ProviderError as error:
        for row in rows if not error.retry else ():
            settling.plan_check(row, DAY)
        return
    except Exception:
        logger.exception("could not ask about shipment %s", shipment_id)
        return  # once more when the lease ends
    for row in rows:
        try:
            status = learnt(row, outcomes.get(row.public_id))
        except Exception:
            logger.exception("could not take what was said about payout %s", row.public_id)
            continue
        settling.plan_check(row, next_check(row, status))


def asked(row: Payout) -> Outcome | None:
    """What the company says of one payout of a shipment that it has not named by itself. Raises ProviderError, HttpError."""
    found = shipper(row.method)
    if found is None or row.shipment_id is None:
        raise ProviderError(GONE, retry=False)
    return _known(found, shipping.look(row.shipment_id), row.tenant).get(row.public_id)


def _known(found: Shipper, load: Load, tenant: Tenant) -> Mapping[str, Outcome]:
    account, orders = ready(load.orders, tenant)
    if account is None:
        raise ProviderError(GONE, retry=False)
    known = found.check_many(orders, account, load.shipment)
    return known.outcomes if known else {}
