""" "Issue ..." from the list of what is due: the method, who can't be paid by it and why, what is netted, and the deed."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.urls import reverse

from campaigns.models import Campaign
from integrations import trying
from integrations.models import Connection
from integrations.payouts import sweep
from integrations.services import connect
from referrals.accounts.tenancy import Tenant
from referrals.lib.money import Money
from rewards import bans, lifecycle, payout_guards
from rewards.coupons.lists import add_codes, make_list
from rewards.models import Payout, PayoutBatch, Reward
from tests.factories import ACTOR, Cast, fixed_rule, make_campaign, make_reward
from tests.web.rewards.conftest import Post, hidden, ids_in, states

KEY = "0123456789abcdefghijkl"


@pytest.fixture
def side(alice: Cast) -> Tenant:
    """Alice looks at her test side."""
    alice.client.post(reverse("web:switch_mode"), {"mode": "test"})
    return Tenant(alice.merchant, is_test=True)


@pytest.fixture
def company(side: Tenant) -> Connection:
    """Tremendous' stand-in."""
    return trying.make_up_secrets(connection=connect(tenant=side, actor=ACTOR, provider="tremendous"), actor=ACTOR)


@pytest.fixture
def owed(side: Tenant) -> list[Reward]:
    """Asha and Tomas are owed 15 dollars each, Yuki a discount code."""
    gifts = make_campaign(side, [fixed_rule(kind="gift_card")], name="Gifts")
    coupons = make_campaign(side, [fixed_rule(kind="coupon")], name="Coupons")
    made = [make_reward(gifts, f"{name}@example.com", f"of-{name}@example.net") for name in ("asha", "tomas")]
    return [*made, make_reward(coupons, "yuki@example.com", "of-yuki@example.net")]


def text_of(response: Any) -> str:
    """The words of a page, without its tags."""
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


def method_of(row: Connection) -> str:
    """What a form names the connection's method by."""
    return f"tremendous:{row.public_id}"


def test_the_question_offers_what_fits_and_says_what_does_not(
    alice: Cast, company: Connection, owed: list[Reward], post: Post
) -> None:
    by_hand = post(alice.client, "issue", *owed)
    only_code = text_of(post(alice.client, "issue", owed[2]))
    chosen = post(alice.client, "issue", *owed, method=method_of(company))
    page = text_of(chosen)

    assert 'value="manual" checked' in by_hand.content.decode()
    assert "Mark 3 rewards as issued" in text_of(by_hand)
    assert f'value="{method_of(company)}" checked' in chosen.content.decode()
    assert "$30.00 2 rewards, 2 people" in page
    assert (
        "Another kind of reward than this method delivers: 1 reward · $15.00 yuki@example.com They stay as they are."
        in page
    )
    assert "Fees: Most products cost nothing" in page
    assert "Message" in page
    assert "can't deliver these Tremendous" in only_code or "Does not deliver this kind of reward" in only_code
    assert states(owed) == ["due", "due", "due"]


def test_the_others_are_paid_once_and_their_batch_shows(
    alice: Cast, company: Connection, owed: list[Reward], post: Post
) -> None:
    fields = hidden(post(alice.client, "issue", *owed, method=method_of(company)))
    ids = [reward.public_id for reward in owed]
    press = {**fields, "reward": ids, "method": method_of(company), "with_message": "Thank you", "key": KEY}

    first = alice.client.post(reverse("web:rewards_act"), press)
    second = alice.client.post(reverse("web:rewards_act"), press)
    by_htmx = alice.client.post(reverse("web:rewards_act"), press, headers={"hx-request": "true"})
    batch = PayoutBatch.objects.get()

    assert fields["payable"] == "2"
    assert (first.status_code, first["Location"]) == (303, f"/app/payouts/{batch.public_id}/")
    assert second["Location"] == first["Location"]
    assert (by_htmx.status_code, by_htmx["HX-Redirect"]) == (204, first["Location"])
    assert batch.options == {"message": "Thank you"}
    assert states(owed) == ["queued", "queued", "due"]
    sweep()
    assert states(owed) == ["issued", "issued", "due"]
    # What was used last for this kind is chosen the next time.
    again = make_reward(owed[0].campaign, "nora@example.com", "of-nora@example.net")
    assert f'value="{method_of(company)}" checked' in post(alice.client, "issue", again).content.decode()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"with_message": "x" * 501}, "500 characters"),
        ({"with_delivery": "PIGEON"}, "PIGEON"),
        ({"with_campaign_id": "y" * 21}, "20 characters"),
        ({"key": "short"}, ""),
        ({"method": "pigeon"}, "No way of paying is called"),
    ],
)
def test_what_can_not_be_is_said_and_nothing_is_done(
    alice: Cast, company: Connection, owed: list[Reward], post: Post, fields: dict[str, str], words: str
) -> None:
    response = post(alice.client, "issue", *owed, confirmed="1", **{"method": method_of(company), "key": KEY, **fields})

    assert response.status_code == 422
    assert words in text_of(response)
    assert (states(owed), PayoutBatch.objects.count()) == (["due", "due", "due"], 0)


def test_what_was_written_stays_when_the_question_is_asked_again(
    alice: Cast, company: Connection, owed: list[Reward], post: Post
) -> None:
    page = post(
        alice.client,
        "issue",
        *owed,
        method=method_of(company),
        asked=method_of(company),
        with_message="Thank you",
        note="November",
        key=KEY,
    ).content.decode()

    assert "Thank you" in page
    assert "November" in page
    assert f'value="{KEY}"' in page


def test_somebody_banned_meanwhile_is_asked_about_again(
    alice: Cast, company: Connection, owed: list[Reward], post: Post
) -> None:
    fields = hidden(post(alice.client, "issue", *owed[:2], method=method_of(company)))
    bans.ban(participant=owed[0].participant, actor=ACTOR, reason="Odd orders")
    ids = [reward.public_id for reward in owed[:2]]

    response = alice.client.post(
        reverse("web:rewards_act"), {**fields, "reward": ids, "method": method_of(company), "key": KEY}
    )

    assert response.status_code == 409
    assert "2 rewards could be paid when you looked, 1 can now" in text_of(response)
    assert (states(owed[1:2]), PayoutBatch.objects.count()) == (["due"], 0)


def test_netting_is_named_with_its_sum(alice: Cast, campaign: Campaign, due: list[Reward], post: Post) -> None:
    fields = hidden(post(alice.client, "issue", due[0]))
    alice.client.post(reverse("web:rewards_act"), {**fields, "reward": due[0].public_id, "key": KEY})
    lifecycle.reverse(tenant=alice.tenant, reward_ids=[due[0].pk], actor=ACTOR, note="Charged back")
    more = [make_reward(campaign, "asha@example.com", f"{name}@example.net") for name in ("one", "two")]

    asked = post(alice.client, "issue", *more, due[1])
    page = text_of(asked)

    assert "$30.00 3 rewards, 2 people" in page
    assert "1 of these people owes what was taken back after it had been issued" in page
    assert "less by it, $15.00 in all" in page
    # Somebody restores it meanwhile: then more would leave than was said.
    lifecycle.restore(tenant=alice.tenant, reward_ids=[due[0].pk], actor=ACTOR)
    ids = [reward.public_id for reward in (*more, due[1])]
    press = {**hidden(asked), "reward": ids, "key": KEY[::-1]}
    again = alice.client.post(reverse("web:rewards_act"), press)
    assert (again.status_code, states([*more, due[1]])) == (409, ["due", "due", "due"])
    assert "The amounts have changed since you looked" in text_of(again)
    assert "$45.00 3 rewards, 2 people" in text_of(again)


@pytest.mark.parametrize("what", ["funds", "second", "stopped"])
def test_what_makes_it_wait_is_said_before(
    alice: Cast, side: Tenant, company: Connection, owed: list[Reward], post: Post, what: str
) -> None:
    if what == "funds":
        company.settings = {**company.settings, "funding": "invoice"}
        company.save()
    elif what == "second":
        limits = {"second_person_above_minor": 1000}
        payout_guards.set_limits(tenant=side, actor=ACTOR, currency="USD", limits=limits)
    else:
        payout_guards.stop(tenant=side, actor=ACTOR, note="Odd")
    words = {
        "funds": "It waits until you say that the money is there. Pay the invoice",
        "second": "This is above your limit: somebody else of your team has to approve it.",
        "stopped": "Payouts are stopped: it waits until somebody lets them go on.",
    }
    fields = hidden(post(alice.client, "issue", *owed[:2], method=method_of(company)))
    page = text_of(post(alice.client, "issue", *owed[:2], method=method_of(company)))
    ids = [reward.public_id for reward in owed[:2]]

    assert words[what] in page
    for other in set(words) - {what}:
        assert words[other] not in page
    response = alice.client.post(
        reverse("web:rewards_act"), {**fields, "reward": ids, "method": method_of(company), "key": KEY}
    )
    sweep()
    shown = text_of(alice.client.get(response["Location"]))
    assert {"funds": "waits for your money", "second": "above your limit", "stopped": "Payouts are stopped"}[
        what
    ] in shown
    assert list(Payout.objects.values_list("status", flat=True)) == ["queued", "queued"]


def test_all_that_match_go_by_the_method_and_what_does_not_fit_stays(
    alice: Cast, company: Connection, owed: list[Reward], post: Post
) -> None:
    page = alice.client.post("/app/rewards/?stage=due", {"select": "all"})
    everything = {**hidden(page), "reward": ids_in(page)}
    asked = alice.client.post(
        reverse("web:rewards_act"), {**everything, "action": "issue", "method": method_of(company)}
    )
    fields = hidden(asked)
    done = alice.client.post(
        reverse("web:rewards_act"), {**fields, "method": method_of(company), "key": KEY, "note": ""}
    )

    assert (fields["expected"], fields["payable"]) == ("3", "2")
    assert done.status_code == 303
    assert states(owed) == ["queued", "queued", "due"]


def test_own_ways_say_whom_they_can_not_pay_and_lead_to_their_batch(
    alice: Cast, side: Tenant, owed: list[Reward], post: Post
) -> None:
    coupons = make_list(tenant=side, actor=ACTOR, name="Beans", worth=Money(1500, "USD"))
    add_codes(coupons=coupons, data=b"BEANS-0001", actor=ACTOR)
    asked = post(alice.client, "issue", *owed, method="coupon_list")
    page = text_of(asked)
    assert "Beans: $15.00, 1 code left" in page
    assert "No code is left in “Beans”. Add codes to it; then it can be issued: 2 rewards" in page
    ids = [reward.public_id for reward in owed]
    press = {**hidden(asked), "reward": ids, "method": "coupon_list", "with_list": coupons.public_id, "key": KEY}
    alice.client.post(reverse("web:rewards_act"), press)
    assert states(owed) == ["issued", "due", "due"]
    asked = post(alice.client, "issue", *owed[1:], method="csv_file")
    press = {**hidden(asked), "reward": ids[1:], "method": "csv_file", "key": KEY[::-1]}
    batch_page = alice.client.post(reverse("web:rewards_act"), press, follow=True)
    assert "2 lines are still open" in text_of(batch_page)
    assert states(owed) == ["issued", "sending", "sending"]
