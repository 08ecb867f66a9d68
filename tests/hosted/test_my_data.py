"""One's own data: an export has all of it, and after erasing no table has a trace of who it was; the money stays."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta

import pytest
import time_machine
from django.apps import apps
from django.test import Client
from django.utils import timezone

from campaigns.models import Campaign
from participants import destinations, inviting, mailing
from participants.codes import choose_code
from participants.models import (
    CustomerReference,
    CustomerUpload,
    FriendInvitation,
    MailBounce,
    NoInvite,
    Participant,
    PortalSession,
    Trace,
    Visit,
)
from participants.services import update_participant
from referrals.events.models import Event
from referrals.hosted.models import Mail
from referrals.lib.errors import Refused
from rewards import payouts, personal
from rewards.models import Decision, LedgerEntry, Payout, Reward
from rewards.verify import differences
from rewards.wiping import _ours
from tests.factories import ACTOR, Cast, buy, make_campaign, make_friend, make_participant
from tests.hosted.test_portal import opened, text_of
from tests.web.helpers import freshen

NAMES = ("maya", "chenoweth", "198.51.100", "mayas-browser", "geheim")


def traces_of(*words: str) -> list[str]:
    """Every column of every table of ours in which one of the words stands."""
    found = []
    for model in _ours():
        fields = [field.name for field in model._meta.concrete_fields if not field.is_relation]
        for row in apps.get_model(model._meta.label)._base_manager.values("pk", *fields):
            for name, value in row.items():
                text = bytes(value).decode("utf-8", "replace") if isinstance(value, bytes | memoryview) else str(value)
                if any(word in text.casefold() for word in words):
                    found.append(f"{model._meta.label}.{name}: {text[:80]}")
    return found


@pytest.fixture
def maya(asha: Participant, alice: Cast) -> Participant:
    """Asha's friend Maya, of whom there is something in nearly every table; one reward paid, one in review, one due."""
    visit = Visit.objects.create(
        merchant=alice.merchant, campaign=asha.campaign, referrer=asha, visitor="mayas-browser", agent="geheim", network="198.51.100.0"
    )  # fmt: skip
    maya = make_friend(asha, "maya@example.net", first_name="Maya", last_name="Chenoweth")
    maya.referral.visit = visit
    maya.referral.save()
    autumn = make_participant(make_campaign(alice.tenant, name="Autumn"), "Maya@Example.net", first_name="Maya")
    buy(maya, 5000, "order-1", metadata={"shipping_name": "Maya Chenoweth"})
    friend = make_friend(maya, "ken@example.org", first_name="Ken")
    buy(friend, 5000, "order-2")
    bought = buy(make_friend(autumn, "lea@example.org"), 5000, "order-3")
    payouts.issue_by_hand(
        tenant=alice.tenant, reward_ids=[reward.pk for reward in bought.rewards], actor=ACTOR, key="press-0001"
    )
    CustomerReference.objects.create(merchant=alice.merchant, source="stripe", customer_id="cus_maya", participant=maya)
    update_participant(participant=maya, actor=ACTOR, note="Maya called", language="en")
    Trace.objects.create(merchant=alice.merchant, participant=maya, agent="geheim", network="198.51.100.0")
    Mail.objects.create(participant=maya, kind="friend_joined", subject_id="x")
    MailBounce.objects.create(
        participant=maya, email_key="maya@example.net", code=550, text="<maya@example.net> unknown"
    )
    mailing.stop(maya)
    destinations.ask(participant=maya, email="maya@pay.example", actor=ACTOR)
    inviting.invite(participant=maya, emails=["noor@example.net"], consent=True, actor=ACTOR)
    inviting.invite(
        participant=make_participant(asha.campaign, "bea@example.com"),
        emails=["maya@example.net"],
        consent=True,
        actor=ACTOR,
    )
    CustomerUpload.objects.create(
        merchant=alice.merchant, name="list.csv", state="done",
        wrong_rows=[[3, "maya@example.net;x", "date"], [9, "other", "email"]],
    )  # fmt: skip
    return maya


def test_the_export_has_everything_and_the_decisions_in_words(maya: Participant, person: Client) -> None:
    opened(person, maya)
    answer = person.post("/me/data.json")
    assert answer["Content-Disposition"] == 'attachment; filename="my-data.json"'
    found = json.loads(answer.content)
    assert found["about"] == "maya@example.net"
    assert [row["first_name"] for row in found["memberships"]] == ["Maya", "Maya"]
    assert [row["campaign_name"] for row in found["memberships"]] == ["Spring refer-a-friend", "Autumn"]
    assert [(row["visitor"] if "visitor" in row else row["agent"]) for row in found["visits"]] == ["geheim"]
    assert [row["external_id"] for row in found["events"] if row["type"] == "purchase"] == ["order-1"]
    assert found["customer_ids"] == [{"source": "stripe", "customer_id": "cus_maya"}]
    assert [row["email"] for row in found["invitations_sent"]] == ["noor@example.net"]
    assert len(found["invitations_by_friends"]) == 1
    assert [row["hint"] for row in found["payout_addresses"]] == ["m•••@pay.example"]
    assert [(row["worth"], row["state"]) for row in found["rewards"]] == [
        ("$15.00", "Due"),
        ("$20.00", "In review"),
        ("$15.00", "Issued"),
    ]
    words = [line for row in found["decisions"] for line in row["conditions"]]
    assert "Above the minimum: $50.00, the campaign asks for $30.00" in words
    # Friends stand in it without a name.
    assert "ken@example.org" not in answer.content.decode()


def test_erasing_leaves_no_trace_and_keeps_the_money(maya: Participant, asha: Participant) -> None:
    assert len({found.split(":")[0] for found in traces_of(*NAMES)}) > 15
    code = maya.referral_code
    money = [Payout.objects.count(), Reward.objects.count(), Decision.objects.count()]
    ledger = list(LedgerEntry.objects.order_by("pk").values_list("amount_minor", flat=True))

    personal.erase(participant=maya, actor=ACTOR)
    assert traces_of(*NAMES) == []
    assert [Payout.objects.count(), Reward.objects.count(), Decision.objects.count()] == money
    # What was open is taken out of the books by opposite lines; what was paid stays.
    added = list(LedgerEntry.objects.order_by("pk").values_list("amount_minor", flat=True))[len(ledger) :]
    assert sorted(added) == [-2000, -1500]
    mine = Reward.objects.filter(participant__erased_at__isnull=False).order_by("pk")
    assert [(row.state, row.reason) for row in mine] == [
        ("void", "recipient_erased"),
        ("void", "recipient_erased"),
        ("issued", ""),
    ]
    # What others earned through them goes on.
    assert Reward.objects.filter(participant=asha).exclude(state="void").count() == 1
    assert list(differences()) == []
    rows = Participant.objects.exclude(erased_at=None).order_by("pk")
    assert [row.email == f"{row.public_id}@erased.invalid" for row in rows] == [True, True]
    assert str(rows[0]) == "Erased person"
    assert not Participant.objects.filter(referral_code=code).exists()
    assert CustomerUpload.objects.get().wrong_rows == [[9, "other", "email"]]
    # They had said that they want no mails, which is kept as a fingerprint.
    assert NoInvite.objects.values_list("reason", "text").get() == ("stopped", "")
    assert FriendInvitation.objects.values_list("email", flat=True).get() == ""
    assert Visit.objects.values_list("visitor", "network", "agent").get() == ("", None, "")
    erased = Event.objects.filter(type="participant.erased").order_by("pk")
    assert [event.participant_ref for event in erased] == [row.public_id for row in rows]

    events = Event.objects.count()
    with pytest.raises(Refused) as caught:
        personal.erase(participant=maya, actor=ACTOR)
    assert (caught.value.code, Event.objects.count()) == ("already_erased", events)


def test_an_erased_person_earns_no_more_and_can_join_anew(maya: Participant, asha: Participant, person: Client) -> None:
    ken = Participant.objects.get(email_key="ken@example.org")
    personal.erase(participant=maya, actor=ACTOR)
    before = Reward.objects.filter(participant=maya).count()
    buy(ken, 9000, "order-9")
    assert Reward.objects.filter(participant=maya).count() == before
    assert Decision.objects.filter(event__external_id="order-9", side="referrer", rewardable=True).count() == 0
    again = make_participant(maya.campaign, "maya@example.net")
    assert again.pk != maya.pk
    assert "Somebody Ordered." in text_of(opened(person, asha).get("/me/"))
    assert list(differences()) == []


def test_another_merchants_and_the_test_sides_people_stay(maya: Participant, charlie: Cast, alice: Cast) -> None:
    other = make_participant(make_campaign(charlie.tenant), "maya@example.net", first_name="Maya")
    test = make_participant(make_campaign(type(alice.tenant)(alice.merchant, True)), "maya@example.net")
    personal.erase(participant=maya, actor=ACTOR)
    for row in (other, test):
        row.refresh_from_db()
        assert (row.email, row.erased_at) == ("maya@example.net", None)


def test_the_page_asks_says_what_is_given_up_and_erases_once(
    maya: Participant, browser_client: Callable[..., Client]
) -> None:
    mine, phone = opened(browser_client(), maya), opened(browser_client(), maya)
    text = text_of(mine.get("/me/erase"))
    assert (
        "You give up what has not been paid yet: $35 ." in text
        or "You give up what has not been paid yet: $35." in text
    )
    assert mine.post("/me/erase").status_code == 422
    assert PortalSession.objects.filter(participant=maya).count() == 2
    assert "Your data is erased" in text_of(mine.post("/me/erase", {"sure": "1"}))
    for client in (mine, phone):
        assert client.post("/me/erase", {"sure": "1"})["Location"] == "/me/"
    maya.refresh_from_db()
    assert maya.erased_at is not None


@pytest.mark.parametrize("path", ["/me/data.json", "/me/erase"])
def test_both_need_a_fresh_log_in(asha: Participant, person: Client, path: str) -> None:
    opened(person, asha)
    with time_machine.travel(timezone.now() + timedelta(minutes=16)):
        assert "both work for a quarter of an hour" in text_of(person.get("/me/settings"))
        answer = person.post(path, {"sure": "1"})
        assert (answer.status_code, "done=stale" in answer["Location"]) == (303, True)
        assert person.post("/me/settings/link").status_code == 303
    asha.refresh_from_db()
    assert asha.erased_at is None
    assert asha.portal_links.count() == 2
    assert Client().post(path, {"sure": "1"}).status_code == 302


def test_the_merchant_downloads_and_erases_by_the_same_function(maya: Participant, alice: Cast, bob: Cast) -> None:
    page = f"/app/participants/{maya.public_id}/"
    assert bob.client.post(f"{page}data.json").status_code == bob.client.post(f"{page}erase/").status_code == 403
    freshen(alice.client, alice.user)
    found = json.loads(alice.client.post(f"{page}data.json").content)
    assert found["about"] == "maya@example.net"
    event = Event.objects.get(type="export.made")
    assert (event.subject_id, event.data) == (maya.public_id, {"what": "personal_data"})
    assert "Not paid yet, and void afterwards: $35.00" in text_of(alice.client.get(f"{page}erase/"))
    assert alice.client.post(f"{page}erase/", {"word": "yes"}).status_code == 422
    maya.refresh_from_db()
    assert maya.erased_at is None
    assert alice.client.post(f"{page}erase/", {"word": "erase"}).status_code == 302
    text = text_of(alice.client.get(page))
    assert "Personal data erased" in text
    assert "Lift the ban" not in text
    assert alice.client.post(f"{page}unban/", {"note": "x"}).status_code == 409
    assert traces_of(*NAMES) == []


def test_a_chosen_code_is_free_again(asha: Participant, double: Campaign, alice: Cast) -> None:
    Campaign.objects.filter(pk=double.pk).update(own_codes=True)
    asha.campaign.refresh_from_db()
    choose_code(participant=asha, text="asha-10", actor=ACTOR)
    personal.erase(participant=asha, actor=ACTOR)
    assert traces_of("asha") == []
    bea = make_participant(double, "bea@example.com")
    choose_code(participant=bea, text="asha-10", actor=ACTOR)
