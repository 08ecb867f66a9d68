"""Known bugs, switched on one at a time: the state machine has to find each (RELIABILITY section 5, "Seeded-mutant gate")."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from referrals.events.services import record_bulk
from rewards import deciding, lifecycle, payouts, sharing
from rewards.models import Reward, State

Patch = pytest.MonkeyPatch


def _act(patch: Patch, name: str, **changes: Any) -> None:
    patch.setitem(lifecycle.ACTS, name, replace(lifecycle.ACTS[name], **changes))


def pay_pending(patch: Patch) -> None:
    """Rewards in review can be issued."""
    _act(patch, "issue", sources=frozenset({State.DUE, State.REVIEW, State.HELD}))
    patch.setattr(lifecycle, "TRANSITIONS", lifecycle.TRANSITIONS | {("review", "issued"), ("held", "issued")})


def pay_twice(patch: Patch) -> None:
    """What is issued can be issued again."""
    _act(patch, "issue", sources=frozenset({State.DUE, State.ISSUED}))
    patch.setattr(lifecycle, "TRANSITIONS", lifecycle.TRANSITIONS | {("issued", "issued")})


def no_cancel_entry(patch: Patch) -> None:
    """Taking back writes nothing to the ledger."""
    _act(patch, "reverse", ledger="")


def audit_row_dropped(patch: Patch) -> None:
    """A hold is not told."""

    def record_fewer(tenant: Any, actor: Any, happenings: Any) -> Any:
        return record_bulk(tenant, actor, [one for one in happenings if one.type != "reward.held"])

    patch.setattr(lifecycle, "record_bulk", record_fewer)


def refund_after_issue_forgotten(patch: Patch) -> None:
    """A refund voids what is due and leaves what was issued."""
    real = deciding._fall

    def fall(reward: Reward, *args: Any) -> Any:
        return None if reward.state == State.ISSUED else real(reward, *args)

    patch.setattr(deciding, "_fall", fall)


def shrinking_forgotten(patch: Patch) -> None:
    """A part refund does not make a share smaller."""
    patch.setattr(deciding, "_resize", lambda changes, actor: [])


def tally_forgotten(patch: Patch) -> None:
    """Moves are not counted in the pipeline."""
    patch.setattr(lifecycle, "tally", lambda changes: None)


def undo_keeps_the_money(patch: Patch) -> None:
    """Undoing a batch writes no opposite entry."""
    real = payouts.write_ledger
    patch.setattr(
        payouts,
        "write_ledger",
        lambda rows, kind, actor, note: None if kind == "pay_back" else real(rows, kind, actor, note),
    )


def odd_cents_forgotten(patch: Patch) -> None:
    """What several share is rounded down for each."""
    patch.setattr(sharing, "split", lambda minor, shares: {who: int(minor * share) for who, share in shares.items()})


def tail_forgotten(patch: Patch) -> None:
    """What the referrer's other friends did is not looked at again."""
    patch.setattr(deciding, "asked_of_referrer", lambda *args: [])


def history_forgotten(patch: Patch) -> None:
    """Each fold begins as if the referrer had no friends yet."""
    from rewards.fold import Standing

    patch.setattr(
        deciding, "standing_before", lambda referrer, campaign, keys, since, friends: {k: Standing() for k in keys}
    )


def ban_takes_what_was_earned(patch: Patch) -> None:
    """A ban voids rewards from before it when a friend's next event is decided."""
    patch.setattr(deciding, "_unbanned", lambda item: item)


# With the number under which the machine's random lives meet the bug soon; under any other they meet it too, some of them later.
MUTANTS: dict[Callable[[Patch], None], int] = {
    pay_pending: 3,
    pay_twice: 3,
    no_cancel_entry: 16,
    audit_row_dropped: 0,
    refund_after_issue_forgotten: 16,
    shrinking_forgotten: 0,
    tally_forgotten: 0,
    undo_keeps_the_money: 3,
    odd_cents_forgotten: 0,
    tail_forgotten: 0,
    history_forgotten: 0,
    ban_takes_what_was_earned: 3,
}
