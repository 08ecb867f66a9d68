"""Batches: the list, the page with a line for each recipient, and undoing."""

from __future__ import annotations

import pytest
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from referrals.web import payouts as pages
from rewards.models import LedgerEntry, PayoutBatch, Reward
from rewards.payouts import issue_by_hand
from tests.factories import ACTOR, Cast, fixed_rule, make_campaign, make_reward
from tests.web.rewards.conftest import states


def issue(cast: Cast, *rewards: Reward, note: str = "") -> PayoutBatch:
    """A batch by hand."""
    key = f"key-of-test-{rewards[0].public_id}"
    batch, _made = issue_by_hand(
        tenant=cast.tenant, reward_ids=[reward.pk for reward in rewards], actor=ACTOR, key=key, note=note
    )
    return batch


def test_without_batches_the_page_says_what_comes_next(alice: Cast) -> None:
    page = alice.client.get(reverse("web:payouts")).content.decode()

    assert "Nothing was issued yet" in page
    assert 'href="/app/rewards/?stage=due"' in page


def test_the_list_has_people_sums_and_notes(alice: Cast, due: list[Reward]) -> None:
    yen = make_campaign(alice.tenant, currency="JPY", rules=[fixed_rule(2000, "JPY")])
    batch = issue(alice, due[0], due[1], make_reward(yen, "k@example.com", "m@example.net"), note="November run")

    page = alice.client.get(reverse("web:payouts")).content.decode()

    assert f'href="/app/payouts/{batch.public_id}/"' in page
    assert "3 people" in page
    assert "¥2,000 and $30.00" in page
    assert "November run" in page


def test_pages_of_batches_go_on_and_back(alice: Cast, due: list[Reward], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "_PAGE_SIZE", 2)
    made = [issue(alice, reward) for reward in due[:5]]
    newest_first = [batch.public_id for batch in reversed(made)]

    def shown(url: str) -> tuple[list[str], str, str]:
        context = alice.client.get(url).context
        return [row.id for row in context["batches"]], context["prev_url"], context["next_url"]

    first, no_prev, next_url = shown(reverse("web:payouts"))
    second, prev_url, last_url = shown(next_url)
    third, _prev, no_next = shown(last_url)

    assert [first, second, third] == [newest_first[:2], newest_first[2:4], newest_first[4:]]
    assert (no_prev, no_next) == ("", "")
    assert shown(prev_url)[0] == first


def test_a_damaged_page_marker_is_refused(alice: Cast, due: list[Reward]) -> None:
    batch = issue(alice, due[0])

    assert alice.client.get(reverse("web:payouts"), {"after": "x"}).status_code == 400
    assert alice.client.get(reverse("web:payout_batch", args=[batch.public_id]), {"after": "x"}).status_code == 400


def test_the_batch_has_a_line_for_each_recipient(alice: Cast, due: list[Reward]) -> None:
    second = make_reward(due[0].campaign, "asha@example.com", "another@example.net")
    batch = issue(alice, due[0], second, due[1], note="By bank")

    response = alice.client.get(reverse("web:payout_batch", args=[batch.public_id]))
    page = response.content.decode()

    lines = [(row.name, row.amount, row.rewards, row.tag.tone) for row in response.context["rows"]]
    assert sorted(lines) == [
        ("asha@example.com", "$30.00", "2 rewards", "issued"),
        ("tomas@example.com", "$15.00", "1 reward", "issued"),
    ]
    assert "$45.00" in page
    assert "By bank" in page
    assert "Undo…" in page


def test_undo_on_the_batchs_page(alice: Cast, due: list[Reward]) -> None:
    batch = issue(alice, due[0], due[1])
    url = reverse("web:payout_undo", args=[batch.public_id])

    done = alice.client.post(url, {"note": "Wrong month"})
    page = alice.client.get(done["Location"]).content.decode()
    again = alice.client.post(url)

    assert done["Location"] == f"/app/payouts/{batch.public_id}/"
    assert states(due[:2]) == ["due", "due"]
    assert "Undone on" in page
    assert "Undo…" not in page
    assert again.status_code == 409
    assert "already undone" in again.content.decode()
    assert LedgerEntry.objects.filter(kind="pay_back").count() == 2


def test_undo_needs_post(alice: Cast, due: list[Reward]) -> None:
    batch = issue(alice, due[0])

    assert alice.client.get(reverse("web:payout_undo", args=[batch.public_id])).status_code == 405
    assert states(due[:1]) == ["issued"]


def test_batches_of_others_do_not_exist(alice: Cast, charlie: Cast, due: list[Reward]) -> None:
    batch = issue(alice, due[0])
    answers = [
        charlie.client.get(reverse("web:payout_batch", args=[batch.public_id])),
        charlie.client.post(reverse("web:payout_undo", args=[batch.public_id])),
        charlie.client.get(reverse("web:payout_export", args=[batch.public_id])),
    ]

    assert [answer.status_code for answer in answers] == [404, 404, 404]
    assert states(due[:1]) == ["issued"]
    assert batch.public_id not in charlie.client.get(reverse("web:payouts")).content.decode()


def test_the_pages_cost_the_same_for_any_number(
    alice: Cast, due: list[Reward], django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    batch = issue(alice, *due[:5])
    for reward in due[5:]:
        issue(alice, reward)

    with django_assert_max_num_queries(12):
        alice.client.get(reverse("web:payouts"))
    with django_assert_max_num_queries(14):
        alice.client.get(reverse("web:payout_batch", args=[batch.public_id]))
