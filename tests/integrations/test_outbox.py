"""History becomes deliveries once each, whatever dies on the way (INV-11), and says what docs/webhooks.md says."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from django.db import connection, transaction

from campaigns import services as campaigns
from campaigns.models import Campaign
from integrations import endpoints, outbox
from integrations.models import OutboxPosition, WebhookDelivery, WebhookEndpoint
from participants.models import Participant
from referrals.accounts.tenancy import Tenant
from referrals.events import types
from referrals.events.models import Event
from referrals.events.services import SYSTEM, Happening, record
from rewards import personal
from tests.factories import ACTOR, Cast, buy, make_campaign, make_friend, make_merchant, make_participant, make_reward


def endpoint_of(tenant: Tenant, *chosen: str, url: str = "https://hooks.example.com/in") -> WebhookEndpoint:
    """An endpoint that wants `chosen` types, or everything."""
    return endpoints.create(tenant=tenant, actor=ACTOR, url=url, chosen=chosen)[0]


def dispatch_all() -> None:
    """Until there is nothing new."""
    while outbox.dispatch():
        pass


def told(endpoint: WebhookEndpoint) -> list[str]:
    """The types of its deliveries, in order."""
    return list(WebhookDelivery.objects.filter(endpoint=endpoint).order_by("pk").values_list("type", flat=True))


def test_each_event_is_laid_out_once_for_each_endpoint_that_wants_it(alice: Cast, charlie: Cast) -> None:
    before = make_campaign(alice.tenant)
    make_participant(before, "early@example.com")
    everything, due = endpoint_of(alice.tenant), endpoint_of(alice.tenant, "reward.due")
    elsewhere = endpoint_of(charlie.tenant)
    test_side = endpoint_of(Tenant(alice.merchant, True))
    make_reward(before)
    dispatch_all()
    assert told(everything) == [
        "participant.created", "participant.created", "referral.created", "event.recorded", "reward.created", "reward.due",
    ]  # fmt: skip
    assert told(due) == ["reward.due"]
    assert told(elsewhere) == told(test_side) == []
    count = WebhookDelivery.objects.count()
    OutboxPosition.objects.update(position=0)  # as if the position had been lost: the unique key still holds
    dispatch_all()
    assert WebhookDelivery.objects.count() == count
    bodies = list(WebhookDelivery.objects.filter(type="reward.due").order_by("pk").values_list("body", flat=True))
    assert len(set(bodies)) == 1
    ids = list(WebhookDelivery.objects.filter(type="reward.due").values_list("message_id", flat=True).distinct())
    assert ids == [Event.objects.get(type="reward.due").public_id]


def test_a_body_says_what_the_event_said_and_is_never_made_anew(alice: Cast, campaign: Campaign) -> None:
    everything = endpoint_of(alice.tenant)
    reward = make_reward(campaign)
    Participant.objects.filter(pk=reward.participant_id).update(metadata={"crm_id": "A-17"})
    dispatch_all()
    row = WebhookDelivery.objects.get(endpoint=everything, type="reward.due")
    body = json.loads(row.body)
    assert list(body) == ["type", "timestamp", "data"]
    assert body["data"]["reward"] | {"id": "", "event": "", "rule": "", "payout": "", "created_at": ""} == {
        "id": "", "campaign": campaign.public_id, "participant": reward.participant.public_id, "side": "referrer", "rule": "",
        "event": "", "kind": "cash", "amount": {"amount_minor": 1500, "currency": "USD"}, "units": None, "units_label": None,
        "status": "due", "reason": None, "review_ends_at": None, "payout": "", "created_at": "",
    }  # fmt: skip
    assert body["data"]["participant"]["email"] == "asha@example.com"
    assert body["data"]["participant"]["metadata"] == {"crm_id": "A-17"}
    created = WebhookDelivery.objects.get(endpoint=everything, type="reward.created")
    numbers = [json.loads(one.body)["data"]["sequence"] for one in (created, row)]
    assert numbers == [1, 2]
    assert row.person_ref == reward.participant.public_id
    Participant.objects.filter(pk=reward.participant_id).update(first_name="Somebody else")
    again = endpoint_of(alice.tenant, url="https://other.example.com/in")
    dispatch_all()
    assert told(again) == []
    row.refresh_from_db()
    assert json.loads(row.body) == body


def test_what_rolls_back_is_told_to_nobody_and_a_dispatch_that_dies_is_done_again(
    alice: Cast, campaign: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = endpoint_of(alice.tenant)
    with transaction.atomic():
        make_participant(campaign, "gone@example.com")
        transaction.set_rollback(True)
    make_participant(campaign, "stays@example.com")
    real = outbox._deliver_to_all

    def dies(events: list[Event]) -> int:
        real(events)
        raise ZeroDivisionError

    monkeypatch.setattr(outbox, "_deliver_to_all", dies)
    with pytest.raises(ZeroDivisionError):
        outbox.dispatch()
    assert told(everything) == []
    monkeypatch.setattr(outbox, "_deliver_to_all", real)
    dispatch_all()
    (body,) = WebhookDelivery.objects.filter(endpoint=everything).values_list("body", flat=True)
    assert json.loads(body)["data"]["participant"]["email"] == "stays@example.com"
    assert outbox.is_behind() is False


def test_all_types_have_a_body_that_names_no_second_person(alice: Cast, campaign: Campaign) -> None:
    reward = make_reward(campaign)
    friend, asha = reward.event.participant, reward.participant
    everything = endpoint_of(alice.tenant)
    subjects = {"participant": friend.public_id, "referral": friend.public_id, "event": reward.event.public_id,
                "reward": reward.public_id, "milestone": reward.public_id, "campaign": campaign.public_id,
                "fraud": friend.public_id, "payout": "pb_unknown"}  # fmt: skip
    kinds = {"referral": "participant", "fraud": "participant", "milestone": "reward", "payout": "payout_batch"}
    with transaction.atomic():
        for name in sorted(types.WEBHOOK_TYPES):
            kind = name.partition(".")[0]
            owner = asha if kind in {"reward", "milestone"} else friend
            record(alice.tenant, SYSTEM, Happening(name, kinds.get(kind, kind), subjects[kind], campaign=campaign.public_id,
                   participant=owner.public_id, referrer=asha.public_id if owner is friend else ""))  # fmt: skip
    dispatch_all()
    rows = list(WebhookDelivery.objects.filter(endpoint=everything).order_by("type"))
    assert [row.type for row in rows] == sorted(types.WEBHOOK_TYPES)
    for row in rows:
        named = {email for email in ("asha@example.com", "maya@example.net") if email in row.body}
        about_a_person = row.type not in {"participant.erased", "payout.batch.completed", "campaign.status_changed"}
        assert len(named) == about_a_person, row.type
        assert bool(row.person_ref) is about_a_person
        assert len(row.body.encode()) < 20_000
        assert json.loads(row.body)["data"]["is_test"] is False


def test_erasing_a_person_empties_the_bodies_about_them(alice: Cast, campaign: Campaign) -> None:
    everything = endpoint_of(alice.tenant)
    asha, other = make_participant(campaign), make_participant(campaign, "other@example.com")
    dispatch_all()
    personal.erase(participant=asha, actor=ACTOR)
    dispatch_all()
    rows = WebhookDelivery.objects.filter(endpoint=everything).order_by("pk")
    assert [(row.type, row.body == "", "asha@" in row.body) for row in rows] == [
        ("participant.created", True, False),
        ("participant.created", False, False),
        ("participant.erased", False, False),
    ]
    assert other.email in rows[1].body


def test_an_endpoint_hears_nothing_from_before_it_was_made_or_while_it_was_disabled(
    alice: Cast, campaign: Campaign
) -> None:
    make_participant(campaign, "a@example.com")
    one = endpoint_of(alice.tenant)  # the event before it is not dispatched yet
    make_participant(campaign, "b@example.com")
    endpoints.disable(endpoint=one, actor=ACTOR)
    make_participant(campaign, "c@example.com")
    assert endpoints.enable(endpoint=one, actor=ACTOR) == 0
    make_participant(campaign, "d@example.com")
    dispatch_all()
    emails = [json.loads(row.body)["data"]["participant"]["email"] for row in WebhookDelivery.objects.order_by("pk")]
    assert emails == ["d@example.com"]


def test_a_paused_campaign_is_told(alice: Cast, campaign: Campaign) -> None:
    everything = endpoint_of(alice.tenant, "campaign.status_changed")
    campaigns.pause(campaign=campaign, actor=ACTOR)
    dispatch_all()
    (body,) = WebhookDelivery.objects.filter(endpoint=everything).values_list("body", flat=True)
    data = json.loads(body)["data"]
    assert (data["previous_status"], data["status"], data["campaign"]["id"]) == ("active", "paused", campaign.public_id)


def test_dispatching_many_asks_as_many_queries_as_one(
    alice: Cast, campaign: Campaign, django_assert_max_num_queries: Any
) -> None:
    endpoint_of(alice.tenant)
    asha = make_participant(campaign)
    for number in range(5):
        buy(make_friend(asha, f"friend{number}@example.net"))
    with django_assert_max_num_queries(18):
        assert outbox.dispatch() > 20


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_an_event_that_commits_late_is_neither_lost_nor_told_twice() -> None:
    """A transaction that took its primary key first and commits last: the gap is kept until it is filled or given up."""
    tenant = Tenant(make_merchant())
    endpoint = endpoint_of(tenant)
    began, go_on = threading.Event(), threading.Event()

    def one(label: str) -> None:
        record(tenant, SYSTEM, Happening(types.CAMPAIGN_STATUS_CHANGED, "campaign", label))

    def slow(*, fails: bool) -> None:
        try:
            with transaction.atomic():
                one("slow")
                began.set()
                go_on.wait(20)
                if fails:
                    raise ZeroDivisionError
        except ZeroDivisionError:
            pass
        finally:
            connection.close()

    with transaction.atomic():
        one("first")
    dispatch_all()
    for fails, expected in ((False, ["fast", "slow", "last"]), (True, ["fast", "last"])):
        WebhookDelivery.objects.all().delete()
        began.clear()
        go_on.clear()
        thread = threading.Thread(target=slow, kwargs={"fails": fails})
        thread.start()
        began.wait(20)
        with transaction.atomic():
            one("fast")
        dispatch_all()
        assert [row.subject_id for row in WebhookDelivery.objects.order_by("pk")] == ["fast"]
        assert len(OutboxPosition.objects.get().gaps) == 1
        go_on.set()
        thread.join()
        dispatch_all()
        with transaction.atomic():
            one("last")
        dispatch_all()
        assert [row.subject_id for row in WebhookDelivery.objects.order_by("pk")] == expected
        assert OutboxPosition.objects.get().gaps == []
    assert told(endpoint) == ["campaign.status_changed"] * 2
