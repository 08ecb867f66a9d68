"""What an amount makes happen at a stand-in, as the numbers of test cards do (docs/test-mode.md has the same table).

The amounts are minor units, whatever the currency: 66.10 dollars and 6,610 yen are both 6610. Every other amount just works.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from referrals.lib.money import Money

# How long what is slow takes, what is not claimed waits, and what is returned or reversed stays.
SLOW, UNCLAIMED, BACK = timedelta(days=3), timedelta(days=30), timedelta(days=2)
# Why a company says no. Each stand-in says it in its company's own words; one that has no words for it says the nearest.
Reason = Literal[
    "", "insufficient_funds", "bad_recipient", "account_closed", "wrong_currency", "limit_exceeded", "declined"
]


@dataclass(frozen=True, slots=True)
class Script:
    """`before`: instead of an effect, at the first try only unless `always`. `after`: to the answer, when the effect is there."""

    name: str
    reason: Reason = ""
    before: Literal["", "lost", "busy", "down", "denied"] = ""
    always: bool = False
    after: Literal["", "lost", "error", "garbage"] = ""
    # The company pays this much less than it was asked to, and says so.
    short_by: int = 0
    pace: Literal["", "slow"] = ""
    ending: Literal["", "unclaimed", "returned", "reversed"] = ""
    webhook: Literal["", "late", "twice", "early", "never"] = ""

    def paid(self, money: Money) -> Money:
        """What the company pays when it is asked for this much."""
        return Money(money.minor - self.short_by, money.currency)


PLAIN = Script("plain")
SCRIPTS: dict[int, Script] = {
    6601: Script("slow", pace="slow"),
    6602: Script("unclaimed", ending="unclaimed"),
    6603: Script("returned", ending="returned"),
    6604: Script("reversed", ending="reversed"),
    6610: Script("insufficient_funds", reason="insufficient_funds"),
    6611: Script("bad_recipient", reason="bad_recipient"),
    6612: Script("account_closed", reason="account_closed"),
    6613: Script("wrong_currency", reason="wrong_currency"),
    6614: Script("limit_exceeded", reason="limit_exceeded"),
    6615: Script("declined", reason="declined"),
    6616: Script("key_revoked", before="denied", always=True),
    6620: Script("lost_before", before="lost"),
    6621: Script("lost_after", after="lost"),
    6622: Script("error_before", before="down"),
    6623: Script("error_after", after="error"),
    6624: Script("down", before="down", always=True),
    6625: Script("busy", before="busy"),
    6630: Script("garbage", after="garbage"),
    6631: Script("other_amount", short_by=100),
    6640: Script("webhook_late", webhook="late"),
    6641: Script("webhook_twice", webhook="twice"),
    6642: Script("webhook_early", webhook="early"),
    6643: Script("webhook_never", webhook="never"),
}


def of(minor: int) -> Script:
    """The script of an amount in minor units."""
    return SCRIPTS.get(minor, PLAIN)
