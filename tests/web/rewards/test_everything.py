""" "All that match": a filter, exclusions, an expected count and a snapshot time (UX.md, "Select all N matching")."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from campaigns.models import Campaign
from rewards import lifecycle
from rewards.models import PayoutBatch, Reward
from tests.factories import ACTOR, Cast, fixed_rule, make_campaign, make_reward
from tests.web.rewards.conftest import hidden, ids_in, states

LIST = "/app/rewards/?stage=due"
KEY = "0123456789abcdefghijkl"


def choose_all(cast: Cast, url: str = LIST) -> Any:
    """Press "Select all"."""
    return cast.client.post(url, {"select": "all", "back": url.partition("?")[2]})


def ask(cast: Cast, page: Any, action: str = "issue", *, without: list[Reward] | None = None) -> Any:
    """Press an action on a page on which all are chosen, with some of its rows unticked."""
    left_out = {reward.public_id for reward in without or []}
    fields = hidden(page)
    ticked = [public_id for public_id in ids_in(page) if public_id not in left_out]
    return cast.client.post(reverse("web:rewards_act"), {**fields, "action": action, "reward": ticked})


def answer(cast: Cast, question: Any, **fields: Any) -> Any:
    """Confirm a question as it was asked."""
    return cast.client.post(reverse("web:rewards_act"), {**hidden(question), **fields})


def test_the_page_ticks_all_rows_and_tells_count_and_sums(alice: Cast, due: list[Reward], pages_of_three: None) -> None:
    yen = make_campaign(alice.tenant, currency="JPY", rules=[fixed_rule(2000, "JPY")])
    make_reward(yen, "ken@example.com", "mori@example.net")

    page = choose_all(alice)
    text = page.content.decode()

    assert page.status_code == 200
    assert text.count('name="reward"') == 3
    assert text.count('" checked>') == 3
    assert "$105.00 and ¥2,000" in text
    assert (hidden(page)["expected"], hidden(page)["all"]) == ("8", "1")


def test_all_are_issued_and_what_came_later_is_not(
    alice: Cast, campaign: Campaign, due: list[Reward], pages_of_three: None
) -> None:
    question = ask(alice, choose_all(alice))
    late = make_reward(campaign, "late@example.com", "later@example.net")

    response = answer(alice, question)

    assert "7 rewards, 7 people" in question.content.decode()
    assert response.status_code == 303
    assert set(states(due)) == {"issued"}
    assert states([late]) == ["due"]
    assert PayoutBatch.objects.get().payouts.count() == 7


def test_unticked_rows_are_left_out(alice: Cast, due: list[Reward], pages_of_three: None) -> None:
    question = ask(alice, choose_all(alice), without=[due[6], due[5]])
    response = answer(alice, question)

    assert "5 rewards, 5 people" in question.content.decode()
    assert response.status_code == 303
    assert states(due) == ["issued"] * 5 + ["due", "due"]


def test_exclusions_are_kept_from_page_to_page_and_back(alice: Cast, due: list[Reward], pages_of_three: None) -> None:
    first = choose_all(alice)
    ticked = ids_in(first)[1:]
    second = alice.client.post(first.context["next_url"], {**hidden(first), "reward": ticked})
    ticked = ids_in(second)[:2]
    third = alice.client.post(second.context["next_url"], {**hidden(second), "reward": ticked})

    assert hidden(third)["excluded"].split() == [due[6].public_id, due[1].public_id]
    assert hidden(third)["expected"] == "7"
    assert ">5<" in third.content.decode()

    # Back on the second page the row is still unticked; ticked again, it is no longer left out.
    back = alice.client.post(third.context["prev_url"], {**hidden(third), "reward": ids_in(third)})
    assert back.content.decode().count('" checked>') == 2
    question = alice.client.post(
        reverse("web:rewards_act"), {**hidden(back), "action": "issue", "reward": ids_in(back)}
    )
    answer(alice, question)
    assert states(due) == ["issued"] * 6 + ["due"]


def test_only_what_the_filter_matches_is_meant(alice: Cast, due: list[Reward]) -> None:
    other = make_campaign(alice.tenant, name="Gift cards", rules=[fixed_rule(1000, kind="gift_card")])
    gifts = [make_reward(other, f"g{n}@example.com", f"h{n}@example.net") for n in range(2)]

    question = ask(alice, choose_all(alice, f"{LIST}&kind=gift_card"), "hold")
    response = answer(alice, question, note="Check the addresses")

    assert response["Location"] == "/app/rewards/?stage=due&kind=gift_card"
    assert states(gifts) == ["held", "held"]
    assert set(states(due)) == {"due"}


@pytest.mark.parametrize("action", ["issue", "void"])
def test_a_changed_number_is_asked_about_again_and_nothing_is_done(alice: Cast, due: list[Reward], action: str) -> None:
    question = ask(alice, choose_all(alice), action)
    lifecycle.hold(tenant=alice.tenant, reward_ids=[due[0].pk], actor=ACTOR)

    conflict = answer(alice, question, note="Why")
    text = conflict.content.decode()

    assert conflict.status_code == 409
    assert "7 rewards matched when you looked, 6 match now." in text
    assert "6 rewards, 6 people" in text
    assert states(due) == ["held"] + ["due"] * 6
    assert PayoutBatch.objects.count() == 0

    assert answer(alice, conflict, note="Why").status_code == 303
    assert set(states(due[1:])) == {"issued" if action == "issue" else "void"}


def test_htmx_gets_the_new_question_in_the_dialog(alice: Cast, due: list[Reward]) -> None:
    question = ask(alice, choose_all(alice))
    lifecycle.hold(tenant=alice.tenant, reward_ids=[due[0].pk], actor=ACTOR)
    conflict = alice.client.post(reverse("web:rewards_act"), hidden(question), headers={"hx-request": "true"})

    assert (conflict.status_code, conflict["HX-Retarget"]) == (409, "#ask")


def test_a_double_click_on_all_makes_one_batch(alice: Cast, due: list[Reward]) -> None:
    question = ask(alice, choose_all(alice))
    answers = [answer(alice, question), answer(alice, question)]

    assert [response.status_code for response in answers] == [303, 303]
    assert PayoutBatch.objects.count() == 1
    assert set(states(due)) == {"issued"}


def test_even_a_harmless_action_on_all_is_asked_about(alice: Cast) -> None:
    reviewed = make_campaign(alice.tenant, rules=[fixed_rule(review_days=7)])
    rewards = [make_reward(reviewed, f"a{n}@example.com", f"b{n}@example.net") for n in range(3)]
    url = "/app/rewards/?stage=review"

    question = ask(alice, choose_all(alice, url), "approve")

    assert "Approve 3 rewards" in question.content.decode()
    assert set(states(rewards)) == {"review"}
    assert answer(alice, question).status_code == 303
    assert set(states(rewards)) == {"due"}


def test_nothing_of_others_is_meant(alice: Cast, charlie: Cast, due: list[Reward]) -> None:
    theirs = make_reward(make_campaign(charlie.tenant), "xena@example.com", "yves@example.net")
    answer(alice, ask(alice, choose_all(alice)))

    assert set(states(due)) == {"issued"}
    assert states([theirs]) == ["due"]


def test_a_snapshot_in_the_past_means_nothing_newer(alice: Cast, due: list[Reward]) -> None:
    old = timezone.now() - timedelta(days=2)
    Reward.objects.filter(pk__in=[due[0].pk, due[1].pk]).update(stage_at=old)
    data = {
        "back": "stage=due",
        "action": "hold",
        "confirmed": "1",
        "note": "Old ones",
        "all": "1",
        "expected": "2",
        "snapshot": (old + timedelta(hours=1)).isoformat(),
    }

    assert alice.client.post(reverse("web:rewards_act"), data).status_code == 303
    assert states(due) == ["held", "held"] + ["due"] * 5


def test_asking_for_all_is_for_those_who_may_act(bob: Cast, due: list[Reward]) -> None:
    assert choose_all(bob).status_code == 403


def test_a_post_to_the_list_that_chooses_nothing_is_refused(alice: Cast, due: list[Reward]) -> None:
    assert alice.client.post(LIST, {"reward": [due[0].public_id]}).status_code == 400
