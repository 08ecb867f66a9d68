"""What is known of one referral, as plain values: the only thing that signals see. Loaded by `gather`, drawn by the bench's generator."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import datetime

RULES_VERSION = 1


@dataclass(frozen=True, slots=True)
class Person:
    """One side of a referral. `email` is folded, `identity` reduced to the mailbox behind it (referrals.lib.emails)."""

    email: str
    identity: str
    first_name: str = ""
    last_name: str = ""

    @property
    def local(self) -> str:
        """What stands before the @."""
        return self.email.rpartition("@")[0]

    @property
    def domain(self) -> str:
        """What stands behind the @, in punycode."""
        return self.email.rpartition("@")[2]


@dataclass(frozen=True, slots=True)
class Facts:
    """One referral, and one event of the friend if there is one. Amounts are minor units of the campaign's currency.

    `siblings` are the folded addresses of the referrer's other friends up to this one, newest first, at most 50.
    """

    referrer: Person
    friend: Person
    siblings: tuple[str, ...] = ()
    # S03: where money is paid to.
    same_payout: bool = False
    payout_sharers: int = 0
    # S04, S05 and S11: the browser and the network. `network` is shortened; `crowd` counts the accounts of the last 24 hours at
    # the same address that this referrer did not bring.
    same_browser: bool = False
    same_address: bool = False
    network: str = ""
    crowd: int = 0
    hosting: bool = False
    agent: str = ""
    # S09: how fast.
    address_signups: int = 0
    referrals_hour: int = 0
    referrals_day: int = 0
    # S10: when. `shared_at` is when the referrer got their link.
    shared_at: datetime | None = None
    clicked_at: datetime | None = None
    joined_at: datetime | None = None
    ordered_at: datetime | None = None
    # S12: where from.
    blocked: str = ""
    source_host: str = ""
    banned_host: bool = False
    paid_click: str = ""
    unclicked_hour: int = 0
    # S13: who invited whom. 0 is no circle, else its length in people.
    cycle: int = 0
    mutual: bool = False
    # S14 and S15: what became of it.
    sales: int = 0
    sales_refunded: int = 0
    amount: int | None = None
    minimum: int | None = None
    average: int | None = None
    same_recipient: bool = False


def inputs_hash(facts: Facts, preset: str) -> str:
    """64 hex digits that are the same exactly when the same rules look at the same facts."""
    text = json.dumps([RULES_VERSION, preset, asdict(facts)], sort_keys=True, default=str, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
