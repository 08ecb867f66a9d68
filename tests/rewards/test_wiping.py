"""Delete all test data: every table of the test side is empty, every row of the live side is as it was (ADR 8)."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import pytest
from django.apps import apps
from django.db import DatabaseError, connection, models, transaction

from participants.models import Participant, PortalLink
from referrals.accounts.models import ApiKey, MerchantClock, Wipe
from referrals.accounts.tenancy import Tenant
from referrals.api.models import IdempotencyRecord
from referrals.events.models import AppendOnlyError, Event
from referrals.hosted import mail
from referrals.lib.errors import Refused
from rewards import advancing, payouts, refunds, wiping
from rewards.models import LedgerEntry, Reward, RewardTally, State
from tests.factories import ACTOR, Cast, buy, fixed_rule, make_campaign, make_friend, make_participant
from tests.integrations.sending import connect, deliver, sample

Snapshot = dict[str, list[dict[str, Any]]]


def _fill(tenant: Tenant, name: str) -> None:
    """Something in every table that people and providers fill: two campaigns' worth, with issued, reversed and waiting things."""
    campaign = make_campaign(tenant, [fixed_rule(), fixed_rule(500, side="invitee", review_days=14)], name=name)
    asha = make_participant(campaign, f"asha-{name}@example.com")
    maya = make_friend(asha, f"maya-{name}@example.net")
    done = buy(maya, 5000, f"order-{name}")
    PortalLink.objects.create(participant=maya)
    due = [reward.pk for reward in done.rewards if reward.state == State.DUE]
    payouts.issue_by_hand(tenant=tenant, reward_ids=due, actor=ACTOR, key=f"batch-{name}")
    refunds.refund(tenant=tenant, actor=ACTOR, source="manual", external_id=f"refund-{name}", event=done.event)
    refunds.refund(tenant=tenant, actor=ACTOR, source="stripe", external_id=f"early-{name}", references=[f"ch-{name}"])
    deliver(connect(tenant), sample("customer.created", event_id=f"evt-{name}", livemode=not tenant.is_test))
    deliver(
        connect(tenant),
        sample(
            "checkout.session.completed", event_id=f"evt2-{name}", id=f"cs-{name}", livemode=not tenant.is_test,
            customer_details={"email": f"maya-{name}@example.net"}, client_reference_id=None, payment_intent=f"pi-{name}",
            invoice=None,
        ),
    )  # fmt: skip
    mail.note_history()
    IdempotencyRecord.objects.create(
        merchant=tenant.merchant, is_test=tenant.is_test, key=f"k-{name}", method="POST", path="/", request_hash="x"
    )


def _rows(model: type[models.Model], way: str, tenant: Tenant) -> list[dict[str, Any]]:
    rows: models.QuerySet[Any] = models.QuerySet(model).filter(
        **{f"{way}merchant": tenant.merchant, f"{way}is_test": tenant.is_test}
    )
    return list(rows.order_by("pk").values())


def _snapshot(tenant: Tenant) -> Snapshot:
    return {table.model._meta.label: _rows(table.model, table.way, tenant) for table in wiping.plan()}


@pytest.fixture
def test_side(alice: Cast) -> Tenant:
    """Alice's test side."""
    return Tenant(alice.merchant, True)


@pytest.fixture
def world(alice: Cast, charlie: Cast, test_side: Tenant) -> Tenant:
    """Both sides of Alice and of Charlie are full; gives Alice's test side."""
    mail.note_history()
    for tenant, name in (
        (alice.tenant, "al"),
        (test_side, "at"),
        (charlie.tenant, "cl"),
        (Tenant(charlie.merchant, True), "ct"),
    ):
        _fill(tenant, name)
    return test_side


def test_every_model_of_ours_is_a_sides_data_or_said_not_to_be() -> None:
    """A new table can't be forgotten: it is emptied, or somebody has written down why not."""
    emptied = {table.model._meta.label for table in wiping.plan()}
    ours = {
        model._meta.label
        for model in apps.get_models(include_auto_created=True)
        if model.__module__.partition(".")[0] in wiping.PACKAGES
    }
    assert emptied | wiping.EVERYBODYS | wiping.KEPT == ours
    assert not emptied & (wiping.EVERYBODYS | wiping.KEPT)
    assert {
        "rewards.LedgerEntry",
        "events.Event",
        "hosted.Mail",
        "campaigns.RewardRule",
        "rewards.PayoutItem",
    } <= emptied


def test_a_table_comes_before_those_it_points_at() -> None:
    order = [table.model for table in wiping.plan()]
    for place, model in enumerate(order):
        for key in wiping._keys(model):
            if key.related_model in order and key.name not in wiping.LOOSENED.get(model._meta.label, {}):
                assert key.related_model is model or order.index(key.related_model) > place, (model, key.name)


@pytest.mark.parametrize("chunk", [1000, 2])
def test_the_test_side_is_empty_and_everything_else_is_as_it_was(
    alice: Cast, charlie: Cast, world: Tenant, chunk: int
) -> None:
    others = [alice.tenant, charlie.tenant, Tenant(charlie.merchant, True)]
    before = [_snapshot(tenant) for tenant in others]
    full = _snapshot(world)
    filled = {label for label, rows in full.items() if rows}
    assert {
        "rewards.LedgerEntry",
        "events.Event",
        "rewards.PayoutItem",
        "hosted.Mail",
        "api.IdempotencyRecord",
    } <= filled
    assert {"participants.RefundReference", "integrations.InboundEvent", "participants.EventReference"} <= filled
    advancing.advance_days(tenant=world, days=3, actor=ACTOR)
    with patch.object(wiping, "CHUNK", chunk):
        wipe = wiping.ask(tenant=world, actor=ACTOR)
        assert wiping.carry_on(wipe.pk) is True
    left = {label: rows for label, rows in _snapshot(world).items() if rows}
    assert {label: len(rows) for label, rows in left.items()} == {"events.Event": 1}
    (line,) = Event.objects.for_tenant(world)
    assert (line.type, line.actor_label) == ("test_data.deleted", "alice@example.com")
    assert [_snapshot(tenant) for tenant in others] == before
    assert MerchantClock.objects.count() == 0
    wipe.refresh_from_db()
    assert wipe.finished_at is not None
    assert (wipe.deleted, line.data["rows"]) == (wipe.total, wipe.deleted)


def test_keys_and_connections_stay_and_forget_what_is_gone(world: Tenant) -> None:
    from integrations.models import Connection

    keys = ApiKey.objects.for_tenant(world).count()
    wipe = wiping.ask(tenant=world, actor=ACTOR)
    wiping.carry_on(wipe.pk)
    assert ApiKey.objects.for_tenant(world).count() == keys
    assert set(Connection.objects.for_tenant(world).values_list("last_event_at", "refused")) == {(None, 0)}


def test_the_side_can_be_used_again_at_once(world: Tenant) -> None:
    before = Reward.objects.for_tenant(world).count()
    wiping.carry_on(wiping.ask(tenant=world, actor=ACTOR).pk)
    _fill(world, "at")
    assert Reward.objects.for_tenant(world).count() == before > 0


def test_live_data_is_refused(alice: Cast, world: Tenant) -> None:
    before = _snapshot(alice.tenant)
    with pytest.raises(Refused) as refused:
        wiping.ask(tenant=alice.tenant, actor=ACTOR)
    assert (refused.value.code, refused.value.status) == ("live_side", 403)
    assert Wipe.objects.count() == 0
    assert _snapshot(alice.tenant) == before


def test_asked_twice_it_is_one(world: Tenant) -> None:
    first, second = wiping.ask(tenant=world, actor=ACTOR), wiping.ask(tenant=world, actor=ACTOR)
    assert first.pk == second.pk
    assert wiping.carry_on(first.pk) is True
    assert wiping.carry_on(first.pk) is True
    assert Event.objects.for_tenant(world).count() == 1
    assert wiping.ask(tenant=world, actor=ACTOR).pk != first.pk


def test_a_lost_worker_is_made_up_for_and_progress_is_told(world: Tenant) -> None:
    wipe = wiping.ask(tenant=world, actor=ACTOR)
    with patch.object(wiping, "WORKER_SECONDS", -1.0), patch.object(wiping, "enqueue") as queued:
        assert wiping.carry_on(wipe.pk) is False
    queued.assert_called_once_with(wiping.TASK, wipe.pk)
    wipe.refresh_from_db()
    assert 0 < wipe.deleted < wipe.total
    assert wiping.sweep() == 1
    assert wiping.sweep() == 0
    assert Participant.objects.for_tenant(world).count() == 0


def test_history_and_ledger_refuse_to_be_deleted_otherwise(world: Tenant) -> None:
    for model in (LedgerEntry, Event):
        with pytest.raises(AppendOnlyError):
            model.objects.for_tenant(world).delete()
    assert LedgerEntry.objects.for_tenant(world).count() > 0


@pytest.mark.postgres
@pytest.mark.parametrize("table", ["rewards_ledgerentry", "events_event"])
def test_raw_sql_deletes_no_live_row_whatever_is_set(alice: Cast, charlie: Cast, world: Tenant, table: str) -> None:
    """Live rows, and rows of another merchant's test side, stay also for a person who knows the setting; test rows too without it."""

    def attempt(where: str, setting: str, command: str = f"DELETE FROM {table}") -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            if setting:
                cursor.execute("SELECT set_config(%s, %s, true)", [wiping.SETTING, setting])
            cursor.execute(f"{command} WHERE {where}")

    mine, theirs = str(alice.merchant.pk), str(charlie.merchant.pk)
    for where, setting in (
        (f"merchant_id = {mine} AND NOT is_test", mine),
        (f"merchant_id = {mine} AND NOT is_test", ""),
        (f"merchant_id = {mine} AND is_test", ""),
        (f"merchant_id = {mine} AND is_test", theirs),
        (f"merchant_id = {theirs} AND is_test", mine),
        (f"merchant_id = {mine}", mine),
    ):
        with pytest.raises(DatabaseError, match="append-only"):
            attempt(where, setting)
    with pytest.raises(DatabaseError, match="append-only"):
        attempt(f"merchant_id = {mine}", mine, f"UPDATE {table} SET is_test = true")


@pytest.mark.postgres
def test_the_setting_ends_with_its_transaction(world: Tenant) -> None:
    wiping.carry_on(wiping.ask(tenant=world, actor=ACTOR).pk)
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting(%s, true)", [wiping.SETTING])
        inside = cursor.fetchone()[0]
    # The test itself is one transaction; in real life each chunk has its own.
    assert inside in {"", None, str(world.merchant.pk)}


def test_the_pipelines_figures_are_gone_too(world: Tenant) -> None:
    wiping.carry_on(wiping.ask(tenant=world, actor=ACTOR).pk)
    assert RewardTally.objects.for_tenant(world).count() == 0
