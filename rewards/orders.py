"""What an issuer is told of a payout, and what it answers (RELIABILITY section 4). No database here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from django.utils.translation import gettext as _

from referrals.lib.money import Money

_MAILBOX = re.compile(r"[^\s@<>()\[\]{}\"',;:“”]+@[^\s@<>()\[\]{}\"',;:“”]*[^\s@<>()\[\]{}\"',;:“”.]")
# Neither database keeps them; a company that answers so has answered all the same.
_UNKEEPABLE = re.compile("[\x00\ud800-\udfff]")
Result = Literal["paid", "sent", "failed", "unknown", "unsent", "ask"]


@dataclass(frozen=True, slots=True)
class Gift:
    """What the recipient is given to use. Whoever has it has the money: it is stored sealed, and stands in no history and no log."""

    code: str = ""
    url: str = ""
    pin: str = ""
    expires_at: datetime | None = None

    @property
    def hint(self) -> str:
        """Its last four characters, to recognise it by; "" for one that is too short to show any of it."""
        return self.code[-4:] if len(self.code) >= 8 else ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a company said of a payout. `unknown`: nobody can tell whether it was done; `unsent`: it was not reached; `ask`: what it said
    does not fit what was sent, or it can't be asked again, so that a person has to look.

    `reason` of a failure is a key of settling.AFTER, and of "sent" it is "waiting_for_recipient" where they have yet to claim the money;
    `reference` is the company's own id, `message` its words. `wait`: seconds that the company wants us to wait before the next try
    (Retry-After).
    """

    state: Result
    reference: str = ""
    message: str = ""
    reason: str = "provider_rejected"
    gift: Gift | None = None
    wait: int = 0

    def unnamed(self) -> Outcome:
        """The same without e-mail addresses in its words: companies like to say whom they mean, and history names nobody. And without
        characters that can't be kept: the money has left, whatever else is in the answer."""
        message = _MAILBOX.sub(_("(address)"), kept(self.message)[:500])
        given = self.gift and replace(
            self.gift, code=kept(self.gift.code), url=kept(self.gift.url), pin=kept(self.gift.pin)
        )
        return replace(self, message=message, reference=kept(self.reference), gift=given)


def kept(text: str) -> str:
    """A text of somebody else's without NUL and halves of surrogate pairs."""
    return _UNKEEPABLE.sub("\ufffd", text)


@dataclass(frozen=True, slots=True)
class Order:
    """Everything that an issuer may know of a payout that it is to send. `number` is this try's; `key` is the same in all of them.

    `address` and `details` are of the payout address, where the method needs one; else `address` is the person's own. `customer` is the
    company's own id of the person, "" when it is not known. `options` were chosen with the method (integrations.base.Way).
    """

    payout_id: int
    public_id: str
    key: str
    number: int
    method: str
    account: str
    amount: Money
    email: str
    name: str
    address: str
    note: str
    reference: str
    rewards: tuple[str, ...]
    is_test: bool
    called_at: datetime
    # Whether no earlier try can have reached the company.
    first_call: bool
    side: str = ""
    person: str = ""
    merchant: str = ""
    campaign: str = ""
    language: str = ""
    customer: str = ""
    details: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    # Whether what the recipient is given is kept already.
    has_gift: bool = False


@dataclass(frozen=True, slots=True)
class Shipment:
    """Several payouts that one call carries: `key` is the same in all tries, `reference` the company's own id, "" until it is known.

    `left` are the public ids of those that are not settled yet. A company that is asked for each by itself is asked for these only.
    """

    shipment_id: int
    key: str
    number: int
    reference: str
    called_at: datetime
    # Whether no earlier try can have reached the company.
    first_call: bool
    left: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Shipped:
    """What a company said of a shipment: an outcome for each payout by its public id, and its own id of the whole."""

    outcomes: Mapping[str, Outcome]
    reference: str = ""
