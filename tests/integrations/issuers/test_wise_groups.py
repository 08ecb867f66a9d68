"""Several payouts in one batch group at Wise: paid together and once, whatever is lost, refused or interrupted (issue 6, part 2)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from integrations.providers.wise.issuer import ISSUER
from referrals.lib import clock
from referrals.lib.http import HttpError
from referrals.lib.money import Money
from rewards.orders import Outcome, Shipment, Shipped
from tests.integrations.issuers.test_wise import Wire, order_of
from tests.integrations.sandbox.talking import NOON, minor_of

TO = "DE89370400440532013000"


class Ship:
    """One shipment, carried as integrations.shipping carries it: asked about first, and only what is not settled is left."""

    def __init__(self, wire: Wire, *minors: int) -> None:
        self.wire = wire
        self.orders = [
            order_of(minor, key=f"po_{number}", public_id=f"po_{number}") for number, minor in enumerate(minors)
        ]
        self.left = {order.public_id for order in self.orders}
        self.outcomes: dict[str, Outcome] = {}
        self.reference, self.number = "", 0

    def shipment(self) -> Shipment:
        left, first = frozenset(self.left), self.number == 1
        return Shipment(1, "ps_1", self.number, self.reference, NOON, first, left)

    def go(self) -> list[str]:
        """One try; the states by payout."""
        self.number += 1
        first = self.number == 1
        self.orders = [replace(order, first_call=first) for order in self.orders]
        with clock.at(NOON):
            self._take(self._try())
        return [self.outcomes[order.public_id].state for order in self.orders]

    def _try(self) -> Shipped:
        known = None if self.number == 1 else ISSUER.check_many(self.orders, self.wire.account, self.shipment())
        if known is not None:
            return known
        try:
            return ISSUER.send_many(self.orders, self.wire.account, self.shipment())
        except HttpError as error:
            state: Any = "unknown" if error.sent else "unsent"
            return Shipped({order.public_id: Outcome(state) for order in self.orders})

    def _take(self, shipped: Shipped) -> None:
        self.reference = shipped.reference or self.reference
        for name in sorted(self.left):
            outcome = shipped.outcomes.get(name, Outcome("unknown"))
            self.outcomes[name] = outcome
            if outcome.state in {"paid", "sent", "failed", "ask"}:
                self.left.discard(name)

    def crash(self) -> None:
        """The try is made, and nobody hears of it."""
        kept = self.reference, dict(self.outcomes), set(self.left)
        self.go()
        self.reference, self.outcomes, self.left = kept

    def statuses(self) -> list[str]:
        return [row["status"] for _name, row in self.wire.stand_in.state.each("transfer")]


@pytest.fixture
def wire() -> Wire:
    return Wire()


def test_a_group_is_paid_at_once_and_read_together(wire: Wire) -> None:
    ship = Ship(wire, 1500, 2500, 3500)
    assert ship.go() == ["sent", "sent", "sent"]
    steps = [path.rpartition("/")[2] for _method, path in wire.asked]
    assert steps.count("payments") == steps.count("batch-groups") == 1
    assert steps[1:7] == ["accounts", "quotes", "transfers"] * 2
    assert wire.paid() == [(TO, 1500, False), (TO, 2500, False), (TO, 3500, False)]
    with clock.at(NOON):
        known = ISSUER.check_many(ship.orders, wire.account, ship.shipment())
        named = [replace(order, reference=ship.outcomes[order.public_id].reference) for order in ship.orders]
        wire.asked.clear()
        assert ISSUER.check_many(named, wire.account, ship.shipment()) == known
    assert known is not None
    assert {name: row.state for name, row in known.outcomes.items()} == dict.fromkeys(("po_0", "po_1", "po_2"), "paid")
    assert {path for _method, path in wire.asked} == {f"/v1/transfers/{order.reference}" for order in named}


@pytest.mark.parametrize("end", ["/batch-groups", "/accounts", "/quotes", "/transfers", "PATCH", "/payments"])
@pytest.mark.parametrize("sent", [True, False])
def test_a_lost_answer_at_any_step_pays_each_once(wire: Wire, end: str, sent: bool) -> None:
    ship = Ship(wire, 1500, 2500)
    left = [HttpError("No answer: ReadTimeout.", retry=True, sent=sent)]

    def change(method: str, path: str) -> Exception | None:
        hit = method == end or (method == "POST" and path.endswith(end))
        return left.pop() if left and hit else None

    wire.change = change
    first = ship.go()
    assert first == (["unsent", "unsent"] if end == "/batch-groups" and not sent else ["unknown", "unknown"])
    assert ship.go() in (["sent", "sent"], ["paid", "paid"])
    assert sorted(wire.paid()) == [(TO, 1500, False), (TO, 2500, False)]


def test_who_can_not_be_paid_keeps_nobody_waiting(wire: Wire) -> None:
    ship = Ship(wire, 1500, minor_of("bad_recipient"), 2500)
    ship.orders.append(order_of(3500, key="po_3", public_id="po_3", amount=Money(3500, "EUR"), details={}))
    ship.left.add("po_3")
    assert ship.go() == ["sent", "failed", "sent", "failed"]
    assert [ship.outcomes[name].reason for name in ("po_1", "po_3")] == ["waiting_for_recipient"] * 2
    assert [row[1] for row in wire.paid()] == [1500, 2500]


def test_a_balance_that_is_too_small_pays_nobody_and_leaves_nothing_behind(wire: Wire) -> None:
    ship = Ship(wire, 1500, minor_of("insufficient_funds"))
    assert ship.go() == ["failed", "failed"]
    assert {outcome.reason for outcome in ship.outcomes.values()} == {"waiting_for_funds"}
    assert (ship.statuses(), wire.paid()) == (["cancelled", "cancelled"], [])


def test_where_a_person_has_to_approve_it_everything_is_cancelled(wire: Wire) -> None:
    wire.say("/payments", 403, {}, x_2fa_approval="token")
    ship = Ship(wire, 1500, 2500)
    assert ship.go() == ["failed", "failed"]
    assert "strong customer authentication" in ship.outcomes["po_0"].message
    assert (ship.statuses(), wire.paid()) == (["cancelled", "cancelled"], [])


def test_a_group_whose_name_is_lost_with_a_crash_is_taken_apart(wire: Wire) -> None:
    ship = Ship(wire, 1500, 2500)
    wire.say("/payments", 500, {})
    ship.crash()
    wire.change = lambda method, path: None
    assert (ship.statuses(), ship.reference) == (["incoming_payment_waiting"] * 2, "")
    assert ship.go() == ["failed", "failed"]
    assert {outcome.reason for outcome in ship.outcomes.values()} == {""}  # due again
    assert (ship.statuses(), wire.paid()) == (["cancelled", "cancelled"], [])


def test_a_crash_after_the_payment_is_found_out_by_asking(wire: Wire) -> None:
    ship = Ship(wire, 1500, 2500)
    ship.crash()
    assert ship.go() == ["paid", "paid"]
    assert [row[1] for row in wire.paid()] == [1500, 2500]


def test_one_that_never_gets_in_keeps_the_others_waiting_for_two_tries_only(wire: Wire) -> None:
    ship = Ship(wire, minor_of("down"), 2500)
    assert [ship.go(), ship.go()] == [["unknown", "unknown"]] * 2
    assert ship.go() == ["failed", "sent"]
    assert (ship.outcomes["po_0"].reason, ship.outcomes["po_0"].message) == (
        "",
        "Wise could not do it: it answered 500. An internal error.",
    )
    assert [row[1] for row in wire.paid()] == [2500]


def test_too_many_calls_end_the_try_and_the_next_one_goes_on(wire: Wire) -> None:
    ship = Ship(wire, 1500, minor_of("busy"), 2500)
    assert ship.go() == ["unknown"] * 3
    assert {outcome.wait for outcome in ship.outcomes.values()} == {30}
    assert ship.go() == ["sent"] * 3
    assert sorted(row[1] for row in wire.paid()) == [1500, 2500, 6625]


def test_what_is_settled_is_not_made_again(wire: Wire) -> None:
    ship = Ship(wire, minor_of("bad_recipient"), 1500, minor_of("lost_after"))
    assert ship.go() == ["failed", "unknown", "unknown"]
    asked = len([path for _method, path in wire.asked if path == "/v1/accounts"])
    assert ship.go() == ["failed", "sent", "sent"]
    assert len([path for _method, path in wire.asked if path == "/v1/accounts"]) == asked
    assert [row[1] for row in wire.paid()] == [1500, minor_of("lost_after")]


def test_a_transfer_that_is_none_of_ours_stops_the_group(wire: Wire) -> None:
    ship = Ship(wire, 1500, 2500)
    wire.say("/payments", 500, {})
    assert ship.go() == ["unknown", "unknown"]
    wire.change = lambda method, path: None
    state = wire.stand_in.state
    group = state.get("group", ship.reference)
    assert group is not None
    state.put("group", ship.reference, {**group, "transferIds": [*group["transferIds"], 59]})
    assert ship.go() == ["unknown", "unknown"]
    assert "other transfers" in ship.outcomes["po_0"].message
    assert wire.paid() == []


def test_another_amount_stops_the_group_and_a_person_looks(wire: Wire) -> None:
    ship = Ship(wire, 1500, minor_of("other_amount"))
    assert ship.go() == ["failed", "ask"]
    assert ship.outcomes["po_0"].reason == ""
    assert (ship.statuses(), wire.paid()) == (["cancelled", "cancelled"], [])


def test_a_revoked_token_opens_no_group(wire: Wire) -> None:
    wire.say("/batch-groups", 401, {})
    assert Ship(wire, 1500, 2500).go() == ["failed", "failed"]
    later = Ship(wire, 1500, 2500)
    wire.change = lambda method, path: None
    wire.say("/quotes", 401, {})
    assert later.go() == ["failed", "failed"]  # nothing is in it yet
    assert wire.paid() == []


def test_one_payout_alone_is_a_transfer_by_itself(wire: Wire) -> None:
    ship = Ship(wire, 1500)
    assert ship.go() == ["sent"]
    assert "/v1/transfers" in {path for _method, path in wire.asked}
    known = ISSUER.check_many(ship.orders, wire.account, ship.shipment())
    assert known is not None
    assert known.outcomes["po_0"].state == "paid"
    other = [order_of(key="po_9", public_id="po_9")]
    assert ISSUER.check_many(other, wire.account, ship.shipment()) is None
