"""One person's page, and what can be done about them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from campaigns.models import Campaign
from participants.models import Participant, QualifyingEvent, Referral, Visit
from participants.visits import VisitCount, visit_row
from referrals.events.models import Event
from referrals.lib.money import Money
from referrals.web.participant import timeline_queries, visits_text
from rewards import bans
from rewards.models import Reward
from tests.factories import ACTOR, Cast, buy, fixed_rule, make_campaign, make_friend, make_participant


@pytest.fixture
def asha(campaign: Campaign) -> Participant:
    """A referrer."""
    return make_participant(campaign, first_name="Asha", last_name="Verma")


@pytest.fixture
def maya(asha: Participant) -> Participant:
    """Her friend."""
    return make_friend(asha, first_name="Maya")


def _url(person: Participant, rest: str = "") -> str:
    return f"/app/participants/{person.public_id}/{rest}"


def _messages(answer: Any) -> list[str]:
    return [str(message) for message in answer.context["messages"]]


def _complete(**changes: str) -> dict[str, str]:
    return {"key": "k" * 16, "amount": "64.20", "occurred_at": "2026-11-20T12:00", "reference": "10482", **changes}


def test_the_page_tells_both_sides_of_the_story(alice: Cast, asha: Participant, maya: Participant) -> None:
    Visit.objects.bulk_create(
        [visit_row(referrer=asha, visitor="a"), visit_row(referrer=asha, visitor="b", hidden_reason="bot")]
    )
    buy(maya)
    make_friend(asha, "ken@example.net")

    page = alice.client.get(_url(asha))

    context = page.context
    assert context["visits"] == "1 click, 1 bot hidden"
    assert [(side, [amount.minor for _name, amount in amounts]) for side, amounts in context["balances"]] == [
        ("By inviting", [1500, 0, 1500]),
        ("By joining", [0, 0, 0]),
    ]
    ken, friend = context["friends"]
    assert (ken.status, ken.amount, ken.text) == ("", None, "Joined; has not bought yet")
    assert (friend.status, friend.amount.minor, friend.text) == ("due", 1500, "")
    texts = [entry.text for entry in context["timeline"]]
    assert "Invited a friend who joined (referral link or code)" in texts
    assert "Earned $15.00" in texts
    assert f"referralCode={asha.referral_code}" in page.content.decode()
    assert alice.client.get(_url(maya)).context["referrer"] == asha


@pytest.mark.parametrize(
    ("channel", "referer", "text"),
    [
        ("whatsapp", "", "Opened the link of Asha Verma (whatsapp)"),
        ("", "blog.example.net", "Opened the link of Asha Verma on blog.example.net"),
        ("", "", "Opened the link of Asha Verma"),
    ],
)
def test_the_click_is_the_first_thing_that_happened(
    alice: Cast, asha: Participant, maya: Participant, channel: str, referer: str, text: str
) -> None:
    before = maya.joined_at - timedelta(days=2)
    visit = visit_row(referrer=asha, visitor="a", at=before, channel=channel, referer=referer)
    visit.save()
    Referral.objects.filter(invitee=maya).update(visit=visit)
    first = alice.client.get(_url(maya)).context["timeline"][-1]
    assert (first.text, first.at) == (text, visit.occurred_at)


def test_why_a_friend_earned_nothing(alice: Cast) -> None:
    campaign = make_campaign(alice.tenant, [fixed_rule(minimum_purchase=Money(3000, "USD"))])
    asha = make_participant(campaign)
    buy(make_friend(asha), 1000)

    (friend,) = alice.client.get(_url(asha)).context["friends"]

    assert friend.text == "Below the minimum purchase: $10.00, the campaign asks for $30.00"


def test_a_friend_for_whom_no_rule_speaks(alice: Cast) -> None:
    campaign = make_campaign(alice.tenant, [fixed_rule(side="invitee", trigger="join", event="join")])
    asha = make_participant(campaign)
    buy(make_friend(asha))

    (friend,) = alice.client.get(_url(asha)).context["friends"]

    assert (friend.status, friend.text) == ("", "Bought; nothing was owed for it")


@pytest.mark.parametrize(
    ("counted", "hidden", "text"),
    [(0, 0, "0 clicks"), (1, 0, "1 click"), (12, 31, "12 clicks, 31 bots hidden"), (0, 1, "0 clicks, 1 bot hidden")],
)
def test_clicks_in_words(counted: int, hidden: int, text: str) -> None:
    assert visits_text(VisitCount(counted, hidden)) == text


def test_the_number_of_queries_does_not_grow(alice: Cast, asha: Participant) -> None:
    buy(make_friend(asha, "first@example.net"))
    alice.client.get(_url(asha))  # published rules are kept in memory from here on
    with CaptureQueriesContext(connection) as one:
        alice.client.get(_url(asha))
    for n in range(4):
        buy(make_friend(asha, f"f{n}@example.net"))
    with CaptureQueriesContext(connection) as five:
        alice.client.get(_url(asha))

    assert len(five) == len(one) <= 19


@pytest.mark.parametrize("which", [0, 1], ids=["theirs", "their friends'"])
def test_the_timeline_is_looked_up_in_its_indexes(asha: Participant, which: int) -> None:
    if connection.vendor == "sqlite":
        plan = timeline_queries(asha.public_id)[which].explain()
        assert ("USING INDEX event_participant", "USING INDEX event_referrer")[which] in plan
        assert "TEMP B-TREE" not in plan


def test_details_are_saved(alice: Cast, asha: Participant) -> None:
    data = {"first_name": "Asha", "last_name": "V.", "note": "Wrote a review", "existing_customer": "on"}

    answer = alice.client.post(_url(asha, "edit/"), data)

    assert answer["Location"] == _url(asha)
    asha.refresh_from_db()
    assert (asha.last_name, asha.note, asha.existing_customer) == ("V.", "Wrote a review", True)
    event = Event.objects.filter(type="participant.changed").get()
    assert event.data == {"fields": ["existing_customer", "last_name", "note"]}


def test_saying_that_somebody_was_a_customer_decides_again(alice: Cast) -> None:
    maya = make_friend(make_participant(make_campaign(alice.tenant, [fixed_rule(new_customers_only=True)])))
    buy(maya)

    alice.client.post(_url(maya, "edit/"), {"first_name": "Maya", "existing_customer": "on"})
    assert list(Reward.objects.values_list("state", "reason")) == [("void", "existing_customer")]

    alice.client.post(_url(maya, "edit/"), {"first_name": "Maya"})
    assert list(Reward.objects.values_list("state", "reason")) == [("due", "")]


def test_a_name_that_is_too_long_changes_nothing(alice: Cast, asha: Participant) -> None:
    answer = alice.client.post(_url(asha, "edit/"), {"first_name": "x" * 81, "last_name": "New", "note": "typed"})

    assert answer.status_code == 422
    assert answer.context["form"].errors["first_name"] == ["Ensure this value has at most 80 characters (it has 81)."]
    assert answer.context["form"]["note"].value() == "typed"
    assert answer.context["person"].last_name == "Verma"
    asha.refresh_from_db()
    assert (asha.first_name, asha.last_name, asha.note) == ("Asha", "Verma", "")


def test_a_purchase_by_hand_makes_the_referrer_eligible_and_says_why(
    alice: Cast, asha: Participant, maya: Participant
) -> None:
    answer = alice.client.post(_url(maya, "complete/"), _complete(), follow=True)

    event = QualifyingEvent.objects.get()
    assert answer.redirect_chain == [(f"/app/purchases/{event.public_id}/", 302)]
    assert _messages(answer) == ["Recorded: 1 reward earned"]
    assert (event.amount_minor, event.source, event.external_id, event.participant) == (6420, "manual", "10482", maya)
    reward = Reward.objects.get()
    assert (reward.participant, reward.amount_minor, reward.state) == (asha, 1500, "due")
    (rule,) = answer.context["rules"]
    assert [one.reward for one in rule.given] == [reward]
    assert {check.state for check in rule.checks} == {"ok"}
    assert Event.objects.filter(type="event.recorded").get().actor_label == "alice@example.com"


def test_a_double_click_records_once(alice: Cast, maya: Participant) -> None:
    data = _complete(reference="")
    alice.client.post(_url(maya, "complete/"), data)
    again = alice.client.post(_url(maya, "complete/"), data, follow=True)

    assert _messages(again)[-1] == "This was already recorded; nothing was changed."
    assert QualifyingEvent.objects.count() == Reward.objects.count() == 1


def test_nobody_invited_them_so_nothing_is_earned(alice: Cast, asha: Participant) -> None:
    answer = alice.client.post(_url(asha, "complete/"), _complete(), follow=True)

    assert _messages(answer) == ["Recorded. No reward: the reasons are below."]
    assert answer.context["why"] == "Did not come through anybody's link or code"
    assert Reward.objects.count() == 0


def test_a_reference_of_somebody_else_is_refused(alice: Cast, asha: Participant, maya: Participant) -> None:
    alice.client.post(_url(asha, "complete/"), _complete())

    answer = alice.client.post(_url(maya, "complete/"), _complete())

    assert answer.status_code == 409
    assert answer.context["form"].errors["reference"] == ["10482 is already recorded for another participant."]
    assert QualifyingEvent.objects.count() == 1


@pytest.mark.parametrize(
    ("changes", "field", "message"),
    [
        ({"amount": "0"}, "amount", "0 is not above zero."),
        ({"amount": "-1"}, "amount", "-1 is not above zero."),
        ({"amount": "ten"}, "amount", "“ten” is not an amount; write it like 12.50."),
        ({"amount": "64.201"}, "amount", "64.201 has more decimals than USD has (2)."),
        ({"occurred_at": ""}, "occurred_at", "This field is required."),
        ({"occurred_at": "soon"}, "occurred_at", "Enter a valid date/time."),
        ({"reference": "x" * 201}, "reference", "Ensure this value has at most 200 characters (it has 201)."),
        ({"key": "a b"}, "key", "Enter a valid value."),
    ],
)
def test_a_purchase_that_makes_no_sense_is_refused(
    alice: Cast, maya: Participant, changes: dict[str, str], field: str, message: str
) -> None:
    answer = alice.client.post(_url(maya, "complete/"), _complete(**changes))

    assert answer.status_code == 422
    assert answer.context["form"].errors == {field: [message]}
    assert answer.context["form"][field].value() == changes[field]
    assert QualifyingEvent.objects.count() == 0


def test_the_future_is_refused(alice: Cast, maya: Participant) -> None:
    answer = alice.client.post(_url(maya, "complete/"), _complete(occurred_at="2099-01-01T00:00"))

    assert answer.status_code == 422
    assert list(answer.context["form"].errors) == ["occurred_at"]
    assert QualifyingEvent.objects.count() == 0


def test_a_ban_holds_and_lifting_it_goes_on(alice: Cast, asha: Participant, maya: Participant) -> None:
    buy(maya)

    banned = alice.client.post(_url(asha, "ban/"), {"reason": "Own orders"}, follow=True)
    assert _messages(banned) == ["Asha Verma is banned"]
    assert Reward.objects.get().state == "held"
    assert Participant.objects.get(pk=asha.pk).ban_reason == "Own orders"
    assert "Own orders" in banned.content.decode()

    lifted = alice.client.post(_url(asha, "unban/"), {}, follow=True)
    assert _messages(lifted) == ["The ban of Asha Verma is lifted"]
    assert Reward.objects.get().state == "due"
    assert Participant.objects.get(pk=asha.pk).banned_at is None


def test_a_ban_needs_a_reason(alice: Cast, asha: Participant) -> None:
    answer = alice.client.post(_url(asha, "ban/"), {"reason": "  "})

    assert answer.status_code == 422
    assert answer.context["form"].errors["reason"] == ["Say why, so that it can be explained later."]
    assert Participant.objects.get(pk=asha.pk).banned_at is None


def test_a_second_ban_and_a_ban_that_is_not_there(alice: Cast, asha: Participant) -> None:
    assert alice.client.post(_url(asha, "unban/"), {}).status_code == 409

    bans.ban(participant=asha, actor=ACTOR, reason="First")
    again = alice.client.post(_url(asha, "ban/"), {"reason": "Second"})

    assert again.status_code == 409
    assert Participant.objects.get(pk=asha.pk).ban_reason == "First"


@pytest.mark.parametrize("rest", ["", "complete/", "ban/", "unban/"])
def test_strangers_find_nobody(charlie: Cast, asha: Participant, rest: str) -> None:
    assert charlie.client.get(_url(asha, rest)).status_code == 404


def test_a_viewer_reads_and_changes_nothing(bob: Cast, asha: Participant, maya: Participant) -> None:
    page = bob.client.get(_url(asha)).content.decode()
    assert "Record a purchase" not in page
    assert "Save the details" not in page

    posts = ["edit/", "complete/", "ban/", "unban/"]
    assert {bob.client.post(_url(maya, rest), _complete()).status_code for rest in posts} == {403}
    assert QualifyingEvent.objects.count() == 0
