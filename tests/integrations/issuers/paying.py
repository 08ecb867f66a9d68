"""A reward on its way through a company's stand-in: everything from the payout address to the ledger, for the stories of the banks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from django.db.models.functions import Now

from integrations import inbox, methods, registry, shipping
from integrations import payouts as carrier
from integrations.models import Connection, InboundEvent
from integrations.sandbox.base import money_of
from integrations.sandbox.sending import stand_in
from integrations.sandbox.state import Rows
from participants import destination_kinds
from participants.models import PayoutDestination
from referrals.accounts.tenancy import Tenant
from referrals.lib import clock
from rewards.models import Payout, PayoutShipment, Reward
from tests.factories import ACTOR, Cast, buy, fixed_rule, make_campaign, make_friend, make_participant
from tests.integrations.speaking import account, connect


@dataclass
class Story:
    """One connection on Alice's test side, and the payouts that leave through it."""

    cast: Cast
    slug: str
    connection: Connection = field(init=False)

    def __post_init__(self) -> None:
        provider = registry.get(self.slug)
        self.side = Tenant(self.cast.merchant, is_test=True)
        self.connection = connect(provider, self.side, account(provider))

    def due(
        self, minor: int, kind: str, typed: Mapping[str, str], currency: str = "EUR", email: str = "asha@example.com"
    ) -> Reward:
        """A reward of this amount that is due to Asha, or somebody else, who has a payout address that can be used."""
        campaign = make_campaign(self.side, [fixed_rule(minor, currency, kind="cash")], currency=currency)
        asha = make_participant(campaign, email)
        read, now = destination_kinds.read(kind, typed), clock.now()
        row = PayoutDestination(
            merchant=self.cast.merchant, is_test=True, participant=asha, method=kind, hint=read.hint, fingerprint="f",
            asked_at=now, confirmed_at=now, usable_from=now,
        )  # fmt: skip
        row.secrets = {"address": read.address, **read.details}
        row.save()
        return buy(make_friend(asha)).rewards[0]

    def issue(self, method: str, *rewards: Reward) -> Payout:
        """Chosen on the page."""
        option = methods.find(self.side, f"{method}:{self.connection.public_id}")
        ids = [reward.pk for reward in rewards]
        batch, _made = methods.issue(option, tenant=self.side, reward_ids=ids, actor=ACTOR, key=f"request-{ids}")
        return batch.payouts.order_by("pk")[0]

    def work(self, payout: Payout) -> str:
        """One more try, now."""
        now = Now() - timedelta(seconds=1)
        if payout.shipment_id is not None:
            PayoutShipment.objects.filter(pk=payout.shipment_id).update(next_attempt_at=now)
            shipping.again(payout.shipment_id)
        else:
            Payout.objects.filter(pk=payout.pk).update(next_attempt_at=now)
            carrier.work(payout.pk)
        payout.refresh_from_db()
        return payout.status

    def ask(self, payout: Payout) -> str:
        """The company is asked what became of it."""
        Payout.objects.filter(pk=payout.pk).update(check_at=Now() - timedelta(seconds=1))
        carrier.ask_about(payout.pk)
        payout.refresh_from_db()
        return payout.status

    def listen(self) -> list[str]:
        """Everything that the stand-in has to tell is told, and worked on; the outcomes of the messages that are new."""
        before = set(InboundEvent.objects.values_list("pk", flat=True))
        stand_in(self.connection).advance()
        new = InboundEvent.objects.exclude(pk__in=before).order_by("pk").values_list("pk", flat=True)
        for pk in list(new):
            inbox.process(pk)
        return list(InboundEvent.objects.exclude(pk__in=before).order_by("pk").values_list("outcome", flat=True))

    def money(self) -> list[tuple[int, bool]]:
        """Minor units, and whether it is back, of all that left at the stand-in."""
        return [(row.money.minor, row.is_back) for row in money_of(Rows(self.connection))]
