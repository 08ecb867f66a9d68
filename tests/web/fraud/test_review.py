"""The fraud review: the queue, one referral, decisions by button with their undo, lists; who may do what."""

from __future__ import annotations

import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from campaigns.models import Campaign
from participants.fraud.models import FraudAction, FraudBlock, FraudCase, TrustedPair
from participants.fraud.traces import Seen
from participants.models import Participant
from rewards.models import Reward
from tests.factories import Cast, buy, make_friend, make_participant

HOME = Seen("203.0.113.7", "Mozilla/5.0 Chrome/140.0", ("laptop",))
PHONE = Seen("203.0.113.7", "Mozilla/5.0 Safari/604.1", ("phone",))


@pytest.fixture
def asha(campaign: Campaign) -> Participant:
    """Asha, at home."""
    return make_participant(campaign, "asha@example.com", first_name="Asha", last_name="Rao", seen=HOME)


@pytest.fixture
def maya(asha: Participant) -> Participant:
    """A friend at Asha's address: Medium, with a purchase."""
    friend = make_friend(asha, "maya@example.net", first_name="Maya", last_name="Khan", seen=PHONE)
    buy(friend)
    return friend


def decide(client: Client, friend: Participant, act: str, **data: str) -> int:
    """Press one of the buttons."""
    return client.post(f"/app/fraud/{friend.public_id}/", {"act": act, "note": "Looked at it", **data}).status_code


def states() -> list[tuple[str, str]]:
    return list(Reward.objects.order_by("pk").values_list("state", "reason"))


def test_the_queue_shows_the_worst_first_with_reasons_and_money(
    alice: Cast, asha: Participant, maya: Participant
) -> None:
    lena = make_friend(asha, "lena@example.org", first_name="Lena", seen=HOME)
    page = alice.client.get("/app/fraud/").content.decode()
    assert page.index(lena.public_id) < page.index(maya.public_id)
    assert "Same internet address as the referrer within a day (203.0.113.0/24)" in page
    assert "Medium 55" in page
    assert "High 80" in page
    assert "$15.00" in page
    assert f'value="{maya.public_id}"' in page  # a box for the Medium one
    assert f'value="{lena.public_id}"' not in page
    assert "Balanced" in page
    assert "HOME" not in page
    assert "203.0.113.7" not in page


def test_one_referral_with_both_people_side_by_side(alice: Cast, maya: Participant) -> None:
    page = alice.client.get(f"/app/fraud/{maya.public_id}/").content.decode()
    for text in (
        "Side by side",
        "maya@example.net",
        "asha@example.com",
        "203.0.113.0/24",
        "S05",
        "+40",
        "At stake",
        "Held for review",
    ):
        assert text in page


def test_each_list_has_its_tab_and_an_unknown_one_is_refused(alice: Cast, maya: Participant) -> None:
    for status, there in (("open", True), ("held", False), ("approved", False), ("denied", False)):
        page = alice.client.get(f"/app/fraud/?status={status}").content.decode()
        assert (maya.public_id in page) is there
    assert alice.client.get("/app/fraud/?status=nonsense").status_code == 400
    assert alice.client.get("/app/fraud/?after=nonsense").status_code == 400


@pytest.mark.parametrize(
    ("act", "status", "reward"),
    [
        ("approve", "approved", ("due", "")),
        ("hold", "held", ("held", "held_for_review")),
        ("deny", "denied", ("void", "fraud_denied")),
        ("ban", "held", ("held", "held_for_review")),
        ("trust", "approved", ("due", "")),
        ("block_domain", "open", ("held", "held_for_review")),
        ("block_network", "open", ("held", "held_for_review")),
    ],
)
def test_a_button_decides_and_another_takes_it_back(
    act: str, status: str, reward: tuple[str, str], alice: Cast, maya: Participant
) -> None:
    assert decide(alice.client, maya, act) == 302
    assert (FraudCase.objects.get().status, states()) == (status, [reward])
    assert "Undo:" in alice.client.get(f"/app/fraud/{maya.public_id}/").content.decode()
    assert alice.client.post(f"/app/fraud/{maya.public_id}/undo/").status_code == 302
    assert (FraudCase.objects.get().status, states()) == ("open", [("held", "held_for_review")])
    assert alice.client.post(f"/app/fraud/{maya.public_id}/undo/").status_code == 302  # nothing left to undo


def test_without_a_reason_nothing_is_decided(alice: Cast, maya: Participant) -> None:
    assert decide(alice.client, maya, "approve", note=" ") == 422
    assert alice.client.post(f"/app/fraud/{maya.public_id}/", {"act": "nonsense", "note": "x"}).status_code == 400
    assert (states(), FraudAction.objects.count()) == ([("held", "held_for_review")], 0)


def test_high_needs_the_second_confirmation(alice: Cast, asha: Participant) -> None:
    lena = make_friend(asha, "lena@example.org", seen=HOME)
    buy(lena)
    assert "I have looked at the reasons" in alice.client.get(f"/app/fraud/{lena.public_id}/").content.decode()
    assert decide(alice.client, lena, "approve") == 422
    assert states() == [("held", "held_for_review")]
    assert decide(alice.client, lena, "approve", confirmed="on") == 302
    assert states() == [("due", "")]


def test_several_are_approved_together_but_no_high_one(alice: Cast, asha: Participant, maya: Participant) -> None:
    lena = make_friend(asha, "lena@example.org", seen=HOME)
    data = {"case": [maya.public_id, lena.public_id, "pt_nobody"], "note": "Same house"}
    assert alice.client.post("/app/fraud/", data).status_code == 302
    assert dict(FraudCase.objects.values_list("participant__first_name", "status")) == {"Maya": "approved", "": "open"}
    assert alice.client.post("/app/fraud/", {"case": [lena.public_id], "note": ""}).status_code == 422
    assert alice.client.post("/app/fraud/", {"note": "Nobody ticked"}).status_code == 422


def test_a_viewer_looks_and_does_not_decide(bob: Cast, maya: Participant) -> None:
    page = bob.client.get(f"/app/fraud/{maya.public_id}/")
    assert (page.status_code, "Your role may look" in page.content.decode()) == (200, True)
    assert bob.client.get("/app/fraud/").status_code == 200
    for act in ("approve", "deny", "ban"):
        assert decide(bob.client, maya, act) == 403
    for path in (f"/app/fraud/{maya.public_id}/undo/", "/app/fraud/", "/app/fraud/lists/"):
        assert bob.client.post(path, {"case": [maya.public_id], "note": "x"}).status_code == 403
    assert states() == [("held", "held_for_review")]


def test_another_merchants_referral_is_not_there(
    charlie: Cast, alice: Cast, asha: Participant, maya: Participant
) -> None:
    assert maya.public_id not in charlie.client.get("/app/fraud/").content.decode()
    assert charlie.client.get(f"/app/fraud/{maya.public_id}/").status_code == 404
    assert decide(charlie.client, maya, "approve") == 404
    assert charlie.client.post(f"/app/fraud/{maya.public_id}/undo/").status_code == 404
    assert charlie.client.post("/app/fraud/", {"case": [maya.public_id], "note": "Mine"}).status_code == 422
    assert states() == [("held", "held_for_review")]
    # Nor is a person without a case.
    assert alice.client.get(f"/app/fraud/{asha.public_id}/").status_code == 404


def test_lists_are_kept_by_hand(alice: Cast, charlie: Cast, maya: Participant) -> None:
    def block(kind: str, value: str) -> int:
        return alice.client.post("/app/fraud/lists/", {"kind": kind, "value": value, "note": "Spam"}).status_code

    assert [
        block("domain", "Spam.Example"),
        block("network", "192.0.2.77"),
        block("host", "https://www.codes.example/x"),
    ] == [302] * 3
    assert [block("domain", "gmail.com"), block("network", "nonsense"), block("host", "no host")] == [422] * 3
    values = list(FraudBlock.objects.order_by("pk").values_list("kind", "value"))
    assert values == [("domain", "spam.example"), ("network", "192.0.2.0/24"), ("host", "codes.example")]
    decide(alice.client, maya, "trust")
    page = alice.client.get("/app/fraud/lists/").content.decode()
    assert "m•••@example.net" in page
    assert "maya@example.net" not in page
    entry, pair = FraudBlock.objects.order_by("pk")[0], TrustedPair.objects.get()
    for remove in (f"block:{entry.pk}", f"pair:{pair.pk}", "block:x", "pair:"):
        charlie.client.post("/app/fraud/lists/", {"remove": remove})
    assert (FraudBlock.objects.count(), TrustedPair.objects.count()) == (3, 1)
    for remove in (f"block:{entry.pk}", f"pair:{pair.pk}", f"pair:{pair.pk}"):
        assert alice.client.post("/app/fraud/lists/", {"remove": remove}).status_code == 302
    assert (FraudBlock.objects.count(), TrustedPair.objects.count()) == (2, 0)


def test_the_queue_asks_the_same_number_of_questions_for_any_number(
    alice: Cast, asha: Participant, maya: Participant
) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as found:
            assert alice.client.get("/app/fraud/").status_code == 200
        return len(found)

    one = queries()
    for name in ("lena", "nora", "olga"):
        make_friend(asha, f"{name}@{name}.example", seen=PHONE)
    assert queries() == one


def test_the_campaign_says_how_strict(alice: Cast, campaign: Campaign) -> None:
    url = f"/app/campaigns/{campaign.public_id}/settings/"
    page = alice.client.get(url)
    data = page.context["form"].initial | {"fraud_preset": "strict"}
    data = {name: "" if value is None else value for name, value in data.items()}
    assert alice.client.post(url, data).status_code == 302
    campaign.refresh_from_db()
    assert campaign.fraud_preset == "strict"
    assert alice.client.post(url, data | {"fraud_preset": "lax"}).status_code == 422


def test_a_refused_approval_keeps_what_was_typed_and_ticked(alice: Cast, maya: Participant) -> None:
    answer = alice.client.post("/app/fraud/", {"case": [maya.public_id], "note": " "})
    page = answer.content.decode()
    assert (answer.status_code, FraudAction.objects.count()) == (422, 0)
    assert f'value="{maya.public_id}" checked' in page
    answer = alice.client.post("/app/fraud/", {"note": "Spoke to <both>"})
    assert answer.status_code == 422
    assert 'value="Spoke to &lt;both&gt;"' in answer.content.decode()


def test_side_by_side_is_in_plain_words(alice: Cast, maya: Participant) -> None:
    page = alice.client.get(f"/app/fraud/{maya.public_id}/").content.decode()
    assert page.count("<bdi>Added by hand</bdi>") == 2
    assert re.search(r"<bdi>\d{1,2} [A-Z][a-z]{2} \d{4}, \d\d:\d\d:\d\d</bdi>", page)
    assert "Mozilla/5.0" not in page


def test_the_lists_stand_among_the_tabs(alice: Cast, maya: Participant) -> None:
    page = alice.client.get("/app/fraud/lists/").content.decode()
    assert '<a href="/app/fraud/lists/" aria-current="page">' in page
    assert page.count('class="count"') >= 4
