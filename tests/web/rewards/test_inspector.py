"""One reward: why it stands where it stands, its history, its ledger, and what can be done now."""

from __future__ import annotations

import pytest
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from rewards import lifecycle, payouts
from rewards.models import Reward
from tests.factories import ACTOR, Cast, fixed_rule, make_campaign, make_reward


def page_of(cast: Cast, reward: Reward, **headers: str) -> str:
    """The page, or with hx-request the pane."""
    response = cast.client.get(reverse("web:reward", args=[reward.public_id]), headers=headers)
    assert response.status_code == 200
    return response.content.decode()


def test_it_says_why_it_is_due_with_the_facts(alice: Cast) -> None:
    rules = [fixed_rule(minimum_purchase=None, new_customers_only=True)]
    reward = make_reward(make_campaign(alice.tenant, rules=rules))
    page = page_of(alice, reward)

    for text in (
        "Why this is due",
        "Came through a referral",
        "New customer",
        "The campaign was running",
        "Not refunded or disputed",
        "maya@example.net",
        "No review period",
        "Issue $15.00…",
        "Earned $15.00",
        "$15.00 became due",
    ):
        assert text in page, text
    assert "Not met:" not in page


def test_it_says_why_it_is_in_review_and_until_when(alice: Cast) -> None:
    reward = make_reward(make_campaign(alice.tenant, rules=[fixed_rule(review_days=7)]))
    page = page_of(alice, reward)

    assert "Why this is in review" in page
    assert "Review period runs" in page
    assert 'value="approve"' in page
    assert 'value="issue"' not in page


def test_it_says_why_it_was_declined(alice: Cast, due: list[Reward]) -> None:
    lifecycle.void(tenant=alice.tenant, reward_ids=[due[0].pk], actor=ACTOR, note="Bought by our own staff")
    page = page_of(alice, due[0])

    assert "Why this was refused" in page
    assert "Declined by your team" in page
    assert "Bought by our own staff" in page
    assert "-$15.00" in page  # the ledger's opposite entry
    assert 'value="restore"' in page


def test_an_issued_reward_names_its_batch(alice: Cast, due: list[Reward]) -> None:
    batch, _made = payouts.issue_by_hand(
        tenant=alice.tenant, reward_ids=[due[0].pk], actor=ACTOR, key="k" * 22, note="By bank"
    )
    page = page_of(alice, due[0])

    assert f'href="/app/payouts/{batch.public_id}/"' in page
    assert "By bank" in page
    assert 'value="reverse"' in page


def test_the_pane_is_the_same_without_the_page(alice: Cast, due: list[Reward]) -> None:
    pane = page_of(alice, due[0], **{"hx-request": "true"})

    assert "<html" not in pane
    assert f'data-opened="{due[0].public_id}"' in pane
    assert 'name="from" value="pane"' in pane
    assert "asha@example.com, $15.00: details shown" in pane


def test_a_viewer_sees_no_buttons(bob: Cast, due: list[Reward]) -> None:
    page = page_of(bob, due[0])

    assert "Why this is due" in page
    assert 'name="action"' not in page


def test_rewards_of_others_do_not_exist(charlie: Cast, due: list[Reward]) -> None:
    theirs = charlie.client.get(reverse("web:reward", args=[due[0].public_id]))
    nobodys = charlie.client.get(reverse("web:reward", args=["rw_0000000000000000000000"]))

    assert (theirs.status_code, nobodys.status_code) == (404, 404)
    assert theirs.content == nobodys.content


@pytest.mark.parametrize("headers", [{}, {"hx-request": "true"}], ids=["page", "pane"])
def test_it_costs_few_queries(
    alice: Cast,
    due: list[Reward],
    headers: dict[str, str],
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    with django_assert_max_num_queries(10):
        page_of(alice, due[0], **headers)
