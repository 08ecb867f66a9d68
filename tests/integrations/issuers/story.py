"""A reward on its way through a company's stand-in, told by the payout's states: what every issuer's test begins with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeAlias

from django.db.models.functions import Now

from integrations import payouts as carrier
from integrations import registry, trying
from integrations.methods import find, issue
from integrations.models import Connection
from integrations.sandbox.base import money_of
from integrations.sandbox.state import Rows
from integrations.services import connect
from participants.models import Participant
from referrals.accounts.tenancy import Tenant
from rewards.models import Payout, Reward
from rewards.verify import differences
from tests.factories import ACTOR, buy, fixed_rule, make_campaign, make_friend, make_participant

# What comes of an amount: its name in the stand-in, the payout's states try by try, the reward's state and reason, what was paid beside
# the amount, and words of the payout's message.
Fate: TypeAlias = tuple[str, list[str], tuple[str, str], list[int], str]
# The first call is lost or answered with an error, and the money leaves once all the same.
PAID_ONCE: list[Fate] = [
    (name, ["unknown", "paid"], ("issued", ""), [0], "")
    for name in ("lost_before", "lost_after", "error_before", "error_after", "busy", "garbage")
]


@dataclass
class Story:
    """A merchant's test side with a stand-in, and one person who is owed something."""

    tenant: Tenant
    connection: Connection
    method: str
    asha: Participant
    reward: Reward
    payout: Payout | None = None

    @classmethod
    def begin(cls, tenant: Tenant, slug: str, method: str, minor: int, *, kind: str, currency: str = "USD") -> Story:
        """The connection has made-up secrets; Asha is owed `minor`."""
        begun = connect(tenant=tenant, actor=ACTOR, provider=slug)
        row = trying.make_up_secrets(connection=begun, actor=ACTOR)
        asha = make_participant(make_campaign(tenant, [fixed_rule(minor, currency, kind=kind)]))
        return cls(tenant, row, method, asha, buy(make_friend(asha, "maya@example.net")).rewards[0])

    def issue(self, key: str = "request-1", **chosen: str) -> Payout:
        """Press "Issue": the payout that is made of it."""
        option = find(self.tenant, f"{self.method}:{self.connection.public_id}")
        batch, _made = issue(
            option, tenant=self.tenant, reward_ids=[self.reward.pk], actor=ACTOR, key=key, chosen=chosen
        )
        self.payout = batch.payouts.get()
        return self.payout

    def work(self) -> str:
        """One more try, as if its time had come; the payout's status."""
        assert self.payout is not None
        waiting = Payout.objects.filter(pk=self.payout.pk, next_attempt_at__isnull=False)
        waiting.update(next_attempt_at=Now() - timedelta(seconds=1))
        carrier.work(self.payout.pk)
        return self.now().status

    def ask(self) -> str:
        """Ask the company what became of it; the payout's status."""
        assert self.payout is not None
        Payout.objects.filter(pk=self.payout.pk).update(check_at=Now() - timedelta(seconds=1))
        carrier.ask_about(self.payout.pk)
        return self.now().status

    def now(self) -> Payout:
        """The payout as it is."""
        assert self.payout is not None
        self.payout.refresh_from_db()
        return self.payout

    def reward_now(self) -> tuple[str, str]:
        """The reward's state and its reason."""
        self.reward.refresh_from_db()
        return self.reward.state, self.reward.reason

    def money(self) -> list[tuple[str, int, bool]]:
        """To whom the stand-in paid what, and whether it is back."""
        return [(row.to, row.money.minor, row.is_back) for row in money_of(Rows(self.connection))]

    def live(self, minor: int, statuses: list[str], reward: tuple[str, str], paid: list[int], words: str) -> None:
        """Try by try through a Fate; Asha is paid what it says beside `minor`."""
        assert [self.work() for _ in statuses] == statuses
        assert self.reward_now() == reward
        assert words in self.now().message
        expected = [("asha@example.com", part) for part in paid]
        assert [(to, found - minor) for to, found, _back in self.money()] == expected
        assert list(differences()) == []

    def account(self, **settings: Any) -> Mapping[str, Any]:
        """The settings that the connection has, with changes."""
        return {**self.connection.settings, **settings}


def way_of(method: str) -> Any:
    """The way of that name."""
    return registry.ways()[method][1]
