"""Several payouts in one batch group at Wise: filled, closed, and paid from the balance at once (PROVIDERS.md, section 7; ADR 17).

A group is paid as a whole, so nothing is paid before it is certain that exactly the transfers are in it that we have seen. What can't be
paid is cancelled at Wise before its rewards are due again. Wise lists no groups: one whose id was lost with a crash is taken apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from django.utils.translation import gettext as _

from integrations.answers import Ended, fill
from integrations.providers.wise import transfers
from integrations.providers.wise.client import Client, NotAllowed
from integrations.providers.wise.making import cancel, made, no_funds, not_cancelled, source_of
from referrals.lib.http import HttpError
from rewards.orders import Order, Outcome, Shipment, Shipped

# How many payouts one group has here: each takes three calls, all of them within the lease of a shipment.
MOST = 20
PATIENCE = 100.0
# From this try on a payout that can't be put in keeps the others no longer waiting.
GO_ON_FROM = 3
_GONE = frozenset({"CANCELLED", "MARKED_FOR_CANCELLATION", "PROCESSING_CANCEL"})
Transfers = dict[str, dict[str, Any]]


class Filling:
    """One try at one shipment. `outcomes` are by public id, of those about which something is certain."""

    def __init__(self, client: Client, orders: Sequence[Order], shipment: Shipment) -> None:
        self.client, self.shipment = client, shipment
        self.orders = [order for order in orders if order.public_id in shipment.left]
        self.group = shipment.reference
        self.outcomes: dict[str, Outcome] = {}
        self.made: Transfers = {}

    def go(self) -> Shipped:
        """Everything from opening the group to paying it, or from where the last try got to."""
        try:
            self._steps()
        except Ended as ended:
            self._rest(replace(ended.outcome, state="unknown") if self.made else ended.outcome)
        except HttpError as error:
            if not self.client.reached and not error.sent:
                raise
            self._rest(Outcome("unknown", "", str(error)))
        return Shipped(self.outcomes, self.group)

    def _steps(self) -> None:
        if not self.shipment.first_call:
            self.made = found(self.client, self.orders, self.shipment)
        if self.made and not self.group:
            return self._take_apart()
        if not self.group:
            self.group = self._opened()
        self._fill()
        if self._fits() and self._is_all_there():
            self._pay()
        return None

    def _opened(self) -> str:
        first = self.orders[0]
        body = {"sourceCurrency": source_of(self.client, first), "name": self.shipment.key}
        opened = self.client.step("POST", self._path(), body, refused=_not_opened)
        if not isinstance(opened.get("id"), str):
            raise Ended(Outcome("unknown", "", _("Wise answered something that can't be read.")))
        return str(opened["id"])

    def _fill(self) -> None:
        """A transfer for each payout. One that Wise refuses keeps the others not waiting; where it can't be told, all are tried again."""
        for order in self.orders:
            if order.public_id in self.made:
                continue
            try:
                self.made[order.public_id] = made(self.client, order, f"{self._path(self.group)}/transfers")
                # From here on "not allowed" does not say that nothing is there.
                self.client.first_call = False
            except Ended as ended:
                if ended.outcome.state == "unknown" and (ended.outcome.wait or self.shipment.number < GO_ON_FROM):
                    raise
                self.outcomes[order.public_id] = ended.outcome

    def _fits(self) -> bool:
        """Whether every transfer is about its payout's sum; else the group is given up."""
        wrong = {}
        for order in self.orders:
            transfer = self.made.get(order.public_id)
            outcome = transfers.read(transfer, order) if transfer else None
            if outcome is not None and outcome.state in {"ask", "unknown"}:
                wrong[order.public_id] = outcome
        if wrong:
            self._give_up(
                Outcome("failed", "", _("Another payout of its batch was wrong at Wise. Nothing was paid."), "")
            )
            self.outcomes |= wrong
        return not wrong

    def _is_all_there(self) -> bool:
        """Whether the group has exactly the transfers that we have seen; closes it then."""
        group = self._group()
        ours = {int(transfers.id_of(row)) for row in self.made.values()}
        if set(group.get("transferIds") or ()) != ours:
            self._rest(
                Outcome("unknown", "", _("Wise has other transfers in the batch than we do. It is looked at again."))
            )
            return False
        if not ours:
            if all(outcome.state != "unknown" for outcome in self.outcomes.values()):
                self._close(group, "CANCELLED")
            return False
        if group.get("status") == "NEW":
            self._close(group, "COMPLETED")
        # What could not be put in is not there: it is due again.
        for name, outcome in self.outcomes.items():
            if outcome.state == "unknown":
                self.outcomes[name] = replace(outcome, state="failed", reason="")
        return True

    def _pay(self) -> None:
        client = self.client
        path = f"/v3/profiles/{client.profile}/batch-payments/{self.group}/payments"
        try:
            client.step("POST", path, {"type": "BALANCE"}, refused=_not_paid)
        except NotAllowed as no:
            return self._give_up(replace(no.outcome, state="failed"))
        except Ended as ended:
            if "insufficient" in client.code.lower():
                return self._give_up(no_funds(client.code.lower()))
            raise ended
        for order in self.orders:
            if order.public_id in self.made:
                self.outcomes[order.public_id] = Outcome("sent", transfers.id_of(self.made[order.public_id]))
        return None

    def _give_up(self, outcome: Outcome) -> None:
        """Cancel the group with all of its transfers; the outcome is theirs once that is done."""
        done = self._close(self._group(), "CANCELLED")
        self._rest(outcome if done.get("status") in _GONE else not_cancelled(""))

    def _take_apart(self) -> None:
        """Nobody knows the group any more, so nobody can pay it: its transfers are cancelled, and everything is due again."""
        again = Outcome("failed", "", _("It was interrupted before anything was paid."), "")
        for order in self.orders:
            transfer = self.made.get(order.public_id)
            if transfer is None or transfer.get("status") == "cancelled":
                self.outcomes[order.public_id] = again
            else:
                self.outcomes[order.public_id] = cancel(self.client, transfers.id_of(transfer), again)

    def _group(self) -> dict[str, Any]:
        found = self.client.look(self._path(self.group))
        if not isinstance(found, dict):
            raise Ended(Outcome("unknown", "", _("Wise does not know the batch any more.")))
        return found

    def _close(self, group: Mapping[str, Any], status: str) -> dict[str, Any]:
        body = {"status": status, "version": group.get("version")}
        return dict(self.client.step("PATCH", self._path(self.group), body, refused=not_cancelled))

    def _rest(self, outcome: Outcome) -> None:
        for order in self.orders:
            self.outcomes.setdefault(order.public_id, outcome)

    def _path(self, group: str = "") -> str:
        return f"/v3/profiles/{self.client.profile}/batch-groups" + (f"/{group}" if group else "")


def found(client: Client, orders: Sequence[Order], shipment: Shipment) -> Transfers:
    """The transfers that Wise has of these payouts, by public id: by their own ids where we know them all, else from its list."""
    if orders and all(order.reference.isdigit() for order in orders):
        rows = [(order.public_id, transfers.find(client, order)) for order in orders]
        return {name: row for name, row in rows if row is not None}
    names = {transfers.name_of(order.key): order.public_id for order in orders}
    listed = transfers.each(client, shipment.called_at - transfers.AROUND, None)
    mine = ((names.get(str(row.get("customerTransactionId"))), row) for row in listed)
    return {name: row for name, row in mine if name is not None}


def known(client: Client, orders: Sequence[Order], shipment: Shipment) -> Shipped | None:
    """What became of a group; None as long as nobody has paid it, so that it goes on from there."""
    rows = found(client, orders, shipment)
    states = {str(row.get("status")) for row in rows.values()}
    if not states - {transfers.WAITING}:
        return None
    is_paid = bool(states - {transfers.WAITING, "cancelled"})
    outcomes = {}
    for order in orders:
        row = rows.get(order.public_id)
        if row is None:
            # The group was paid or cancelled without it, and nobody puts anything in any more.
            outcomes[order.public_id] = Outcome("failed", "", _("Wise has no transfer for it. Nothing was paid."), "")
        elif row.get("status") == transfers.WAITING and not is_paid:
            outcomes[order.public_id] = not_cancelled("")
        else:
            outcomes[order.public_id] = transfers.read(row, order)
    return Shipped(outcomes, shipment.reference)


def _not_opened(words: str) -> Outcome:
    return Outcome(
        "failed", "", fill(_("Wise does not take a batch from this balance. %(words)s Nothing was paid."), words=words)
    )


def _not_paid(words: str) -> Outcome:
    return Outcome("unknown", "", fill(_("Wise did not take the money yet. %(words)s It is tried again."), words=words))
