"""Seed 004, step 2, "What happens after that, by reward type": each row with nobody pressing anything, to the company's stand-in.

Custom rewards: tests/web/rewards/test_payout_waiting.py.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest
from django.core import mail
from django.db.models.functions import Now

from integrations import issuing, team_mails, trying
from integrations import payouts as carrier
from integrations.models import Connection
from integrations.sandbox.base import money_of
from integrations.sandbox.sending import stand_in
from integrations.sandbox.state import Rows
from integrations.services import connect
from participants import destination_kinds
from participants.models import Participant, PayoutDestination
from referrals.accounts.tenancy import Tenant
from referrals.lib import clock
from rewards import lifecycle, payout_guards
from rewards.models import Payout, PayoutBatch, Reward
from rewards.verify import differences
from tests.factories import ACTOR, Cast, buy, fixed_rule, make_campaign, make_friend, make_participant

pytestmark = pytest.mark.django_db
TOKEN = {"X-Shopify-Access-Token": "shpat_" + "a" * 32}


@dataclass(frozen=True)
class Row:
    """A row of the seed's table: its words, the kind of reward, the company and its way, and whether it waits for the merchant's money."""

    words: str
    kind: str
    slug: str
    way: str
    waits: bool = False
    funding: str = ""


ROWS = [
    Row("Coupon: issued immediately.", "coupon", "shopify", "shopify_discount"),
    Row(
        "Store credit: issued immediately. Shopify applies the credit directly to the advocate's customer account.",
        "store_credit",
        "shopify",
        "shopify_store_credit",
    ),
    Row(
        "PayPal: the reward is queued. It's paid out after you pay the invoice; PayPal then processes the payout.",
        "cash",
        "paypal",
        "paypal",
        waits=True,
    ),
    Row(
        "Tremendous (Invoice funded): the reward is queued. Tremendous issues the reward after you pay the invoice.",
        "cash",
        "tremendous",
        "tremendous",
        waits=True,
        funding="invoice",
    ),
    Row(
        "Tremendous (Balance funded): the reward is issued immediately, provided your Tremendous balance is funded.",
        "cash",
        "tremendous",
        "tremendous",
        funding="balance",
    ),
]


def connected(side: Tenant, row: Row) -> Connection:
    """The company's stand-in, in whose shop Asha has bought once."""
    found = trying.make_up_secrets(connection=connect(tenant=side, actor=ACTOR, provider=row.slug), actor=ACTOR)
    if row.funding:
        Connection.objects.filter(pk=found.pk).update(settings={**found.settings, "funding": row.funding})
        found.refresh_from_db()
    if row.slug == "shopify":
        body = json.dumps({"amount_minor": 100, "currency": "USD", "email": "asha@example.com"})
        stand_in(found).send("POST", "https://shop/play/order", headers=TOKEN, body=body)
    return found


def address(asha: Participant) -> None:
    """Where PayPal pays her."""
    read, now = destination_kinds.read("paypal", {"email": "asha@example.com"}), clock.now()
    row = PayoutDestination(
        merchant=asha.merchant, is_test=True, participant=asha, method="paypal", hint=read.hint, fingerprint="f",
        asked_at=now, confirmed_at=now, usable_from=now,
    )  # fmt: skip
    row.secrets = {"address": read.address, **read.details}
    row.save()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.words.partition(":")[0])
def test_after_the_review_it_goes_the_way_of_its_kind(alice: Cast, row: Row) -> None:
    side = Tenant(alice.merchant, is_test=True)
    connection = connected(side, row)
    method = f"{row.way}:{connection.public_id}"
    options = {"tenant": side, "actor": ACTOR, "side": "referrer", "kind": row.kind, "method": method}
    issuing.set_route(**options, options={})  # type: ignore[arg-type]  # the same for each row
    terms = fixed_rule(1500, kind=row.kind, delivery="immediate", review_days=9)
    asha = make_participant(make_campaign(side, [terms]))
    address(asha)
    reward = buy(make_friend(asha)).rewards[0]
    assert (issuing.run_due(side, clock.now()), Payout.objects.count()) == (0, 0)  # the review has not ended
    lifecycle.approve(tenant=side, reward_ids=[reward.pk], actor=ACTOR)
    assert [issuing.run_due(side, clock.now()), issuing.run_due(side, clock.now())] == [1, 0]
    if row.waits:
        assert (carrier.sweep(), Reward.objects.get(pk=reward.pk).state) == (0, "queued")
        assert list(money_of(Rows(connection))) == []
        payout_guards.fund_batch(batch=PayoutBatch.objects.get(), actor=ACTOR)
        Payout.objects.update(next_attempt_at=Now())
    assert (carrier.sweep(), Reward.objects.get(pk=reward.pk).state) == (1, "issued")
    assert [found.money.minor for found in money_of(Rows(connection))] == [1500]
    assert list(differences()) == []


def test_self_managed_payouts_are_a_file_that_the_run_makes_and_the_team_is_told_of(alice: Cast) -> None:
    """ "Self-managed payouts: fulfilment is on you. Export the payout CSV, pay the affiliate outside, then upload the updated CSV." """
    tenant = alice.tenant
    issuing.set_route(tenant=tenant, actor=ACTOR, side="referrer", kind="cash", method="csv_file", options={})
    asha = make_participant(make_campaign(tenant, [fixed_rule(1500, kind="cash", delivery="immediate")]))
    reward = buy(make_friend(asha)).rewards[0]
    assert (issuing.sweep(), carrier.sweep()) == (1, 0)
    batch = PayoutBatch.objects.get()
    assert (batch.method, Reward.objects.get(pk=reward.pk).state) == ("csv_file", "sending")
    assert [team_mails.sweep(), team_mails.sweep()] == [1, 0]
    (message,) = mail.outbox
    assert (message.subject, message.to) == ("A batch is ready for you to pay", ["alice@example.com"])
    assert f"/app/payouts/{batch.public_id}/" in str(message.body)
