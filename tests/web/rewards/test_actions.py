"""Acting on ticked rewards: issue, undo, approve, hold, release, decline, restore, take back; and every way to be refused."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from campaigns.models import Campaign
from referrals.accounts.models import Role
from referrals.accounts.tenancy import Tenant
from referrals.events.models import Event
from referrals.lib.money import Money
from rewards import lifecycle
from rewards.models import LedgerEntry, PayoutBatch, Reward, State
from rewards.refunds import refund
from tests.factories import ACTOR, Cast, fixed_rule, make_campaign, make_cast, make_reward, percent_rule
from tests.web.rewards.conftest import Post, hidden, ids_in, states

KEY = "0123456789abcdefghijkl"


def confirm(post: Post, cast: Cast, action: str, *rewards: Reward, **fields: Any) -> Any:
    """The second step, after the question."""
    key = {"key": KEY} if action == "issue" else {}
    return post(cast.client, action, *rewards, confirmed="1", **key, **fields)


def test_issuing_asks_first_with_totals_per_currency_and_people(
    alice: Cast, campaign: Campaign, due: list[Reward], post: Post
) -> None:
    yen = make_reward(
        make_campaign(alice.tenant, currency="JPY", rules=[fixed_rule(2000, "JPY")]), "k@example.com", "l@example.net"
    )
    second = make_reward(campaign, "asha@example.com", "another@example.net")

    response = post(alice.client, "issue", due[0], second, yen)
    page = response.content.decode()

    assert response.status_code == 200
    assert "$30.00 and ¥2,000" in page
    assert "3 rewards, 2 people" in page
    assert "Mark 3 rewards as issued" in page
    assert len(hidden(response)["key"]) == 22
    assert states([due[0], second, yen]) == ["due", "due", "due"]
    assert PayoutBatch.objects.count() == 0


def test_issuing_makes_one_batch_and_says_so_with_undo(alice: Cast, due: list[Reward], post: Post) -> None:
    response = confirm(post, alice, "issue", due[0], due[1], note="Bank transfer of 20 November")
    batch = PayoutBatch.objects.get()
    page = alice.client.get(response["Location"]).content.decode()

    assert response.status_code == 303
    assert response["Location"] == "/app/rewards/?stage=due"
    assert states(due[:3]) == ["issued", "issued", "due"]
    assert (batch.note, batch.created_by, batch.payouts.count()) == (
        "Bank transfer of 20 November",
        alice.user.email,
        2,
    )
    assert f'<a href="/app/payouts/{batch.public_id}/">2 rewards</a> marked as issued' in page
    assert f'action="/app/payouts/{batch.public_id}/undo/?back=stage%3Ddue"' in page


def test_a_double_click_makes_one_batch_and_the_same_answer(alice: Cast, due: list[Reward], post: Post) -> None:
    first = confirm(post, alice, "issue", due[0])
    second = confirm(post, alice, "issue", due[0])

    assert (first.status_code, second.status_code) == (303, 303)
    assert PayoutBatch.objects.count() == 1
    assert LedgerEntry.objects.filter(kind="pay").count() == 1


@pytest.mark.parametrize("key", ["", "short", "with spaces in the middle", "x" * 65])
def test_issuing_needs_the_forms_key(alice: Cast, due: list[Reward], post: Post, key: str) -> None:
    response = post(alice.client, "issue", due[0], confirmed="1", key=key)

    assert response.status_code == 422
    assert states(due[:1]) == ["due"]


def test_undo_makes_the_rewards_due_again(alice: Cast, due: list[Reward], post: Post) -> None:
    confirm(post, alice, "issue", due[0], due[1])
    batch = PayoutBatch.objects.get()

    response = alice.client.post(reverse("web:payout_undo", args=[batch.public_id]), {"back": "stage=due&sort=date"})
    again = alice.client.post(reverse("web:payout_undo", args=[batch.public_id]), {"back": "stage=due"})

    assert (response.status_code, response["Location"]) == (303, "/app/rewards/?stage=due&sort=date")
    assert states(due[:2]) == ["due", "due"]
    assert again.status_code == 409
    assert "already undone" in again.content.decode()
    assert sum(LedgerEntry.objects.filter(kind__in=["pay", "pay_back"]).values_list("amount_minor", flat=True)) == 0


@pytest.mark.parametrize(
    ("action", "start", "end", "note"),
    [
        ("approve", "review", "due", ""),
        ("hold", "due", "held", "Looks odd"),
        ("release", "held", "due", ""),
        ("void", "due", "void", "Ordered by our staff"),
        ("restore", "void", "due", ""),
    ],
)
def test_each_action_moves_the_reward_and_writes_history(
    alice: Cast, post: Post, action: str, start: str, end: str, note: str
) -> None:
    reviewed = make_campaign(alice.tenant, rules=[fixed_rule(review_days=7 if start == "review" else 0)])
    reward = make_reward(reviewed)
    move_to(reward, start)
    stage = {"review": "review", "due": "due", "held": "attention", "void": "closed"}[start]

    response = confirm(post, alice, action, reward, note=note, back=f"stage={stage}")

    assert (response.status_code, response["Location"]) == (303, f"/app/rewards/?stage={stage}")
    assert states([reward]) == [end]
    event = Event.objects.filter(subject_id=reward.public_id).order_by("-pk")[0]
    assert (event.actor_label, event.data.get("note", "")) == (alice.user.email, note)


def move_to(reward: Reward, state: str) -> None:
    """Bring a new reward where a test starts."""
    tenant = reward.tenant
    if state == "held":
        lifecycle.hold(tenant=tenant, reward_ids=[reward.pk], actor=ACTOR)
    elif state == "void":
        lifecycle.void(tenant=tenant, reward_ids=[reward.pk], actor=ACTOR, note="by mistake")


def test_taking_back_an_issued_reward_leaves_a_debt(alice: Cast, due: list[Reward], post: Post) -> None:
    confirm(post, alice, "issue", due[0])

    asked = post(alice.client, "reverse", due[0], back="stage=issued")
    done = confirm(post, alice, "reverse", due[0], back="stage=issued", note="Charged back")

    assert "Take back 1 reward" in asked.content.decode()
    assert done.status_code == 303
    assert states(due[:1]) == ["reversed"]
    assert (
        sum(LedgerEntry.objects.filter(participant=due[0].participant).values_list("amount_minor", flat=True)) == -1500
    )


@pytest.mark.parametrize("action", ["hold", "void"])
def test_a_reason_is_asked_for(alice: Cast, due: list[Reward], post: Post, action: str) -> None:
    asked = post(alice.client, action, due[0])
    refused = confirm(post, alice, action, due[0], note="  ")
    too_long = confirm(post, alice, action, due[0], note="x" * 501)

    assert [asked.status_code, refused.status_code, too_long.status_code] == [200, 422, 422]
    assert 'aria-invalid="true"' in refused.content.decode()
    assert states(due[:1]) == ["due"]


def test_nothing_ticked_says_what_to_do(alice: Cast, due: list[Reward], post: Post) -> None:
    response = post(alice.client, "hold")

    assert response.status_code == 422
    assert "Select at least one reward." in response.content.decode()


@pytest.mark.parametrize("action", ["issue", "hold", "void", "approve"])
def test_rewards_of_others_and_of_nobody_give_the_same_404(
    alice: Cast, charlie: Cast, due: list[Reward], post: Post, action: str
) -> None:
    theirs = make_reward(make_campaign(charlie.tenant), "xena@example.com", "yves@example.net")
    nobodys = Reward(public_id="rw_0000000000000000000000")

    answers = [
        post(alice.client, action, due[0], other, confirmed=confirmed, note="why", key=KEY)
        for other in (theirs, nobodys)
        for confirmed in ("", "1")
    ]

    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.content for answer in answers}) == 1
    assert states([due[0], theirs]) == ["due", "due"]
    assert PayoutBatch.objects.count() == 0


def test_the_test_sides_rewards_are_somebody_elses(alice: Cast, post: Post) -> None:
    test_side = make_cast("tester@example.com", alice.merchant, is_test=True).tenant
    reward = make_reward(make_campaign(test_side))

    assert post(alice.client, "hold", reward, confirmed="1", note="why").status_code == 404
    assert states([reward]) == ["due"]


def test_two_tabs_the_second_gets_409_and_the_list_as_it_is(alice: Cast, post: Post) -> None:
    reward = make_reward(make_campaign(alice.tenant, rules=[fixed_rule(review_days=7)]))
    first = post(alice.client, "approve", reward, back="stage=review", htmx=True)
    second = confirm(post, alice, "void", reward, back="stage=review", note="Not this one", htmx=True)

    assert (first.status_code, second.status_code) == (200, 409)
    assert states([reward]) == ["due"]
    assert "Somebody changed this meanwhile; nothing was done." in second.content.decode()
    assert ids_in(second) == []


def test_two_tabs_with_one_reward_open_in_both(alice: Cast, due: list[Reward], post: Post) -> None:
    seen = str(due[0].revision)
    held = confirm(post, alice, "hold", due[0], note="Wait", revision=seen, **{"from": "page"})
    lifecycle.release(tenant=alice.tenant, reward_ids=[due[0].pk], actor=ACTOR)
    stale = confirm(post, alice, "void", due[0], note="No", revision=seen, **{"from": "page"})

    assert (held.status_code, held["Location"]) == (303, f"/app/rewards/{due[0].public_id}/")
    assert stale.status_code == 409
    assert "Somebody changed this meanwhile" in stale.content.decode()
    assert states(due[:1]) == ["due"]


def test_issuing_what_is_issued_meanwhile_is_refused_whole(alice: Cast, due: list[Reward], post: Post) -> None:
    confirm(post, alice, "issue", due[0])
    response = post(alice.client, "issue", due[0], due[1], confirmed="1", key="another-key-of-22-cha".replace("-", "0"))

    assert response.status_code == 409
    assert states(due[:2]) == ["issued", "due"]
    assert PayoutBatch.objects.count() == 1


@pytest.mark.parametrize("stage", ["review", "due"])
def test_a_viewer_looks_but_changes_nothing(bob: Cast, due: list[Reward], post: Post, stage: str) -> None:
    page = bob.client.get("/app/rewards/", {"stage": stage})

    assert page.status_code == 200
    assert 'name="action"' not in page.content.decode()
    for action in ("issue", "hold", "void", "approve"):
        assert post(bob.client, action, due[0], confirmed="1", note="x", key=KEY).status_code == 403
    assert states(due[:1]) == ["due"]


def test_a_viewer_cannot_undo(alice: Cast, bob: Cast, due: list[Reward], post: Post) -> None:
    confirm(post, alice, "issue", due[0])
    batch = PayoutBatch.objects.get()

    assert bob.client.post(reverse("web:payout_undo", args=[batch.public_id])).status_code == 403
    assert states(due[:1]) == ["issued"]


def test_a_manager_may_act(alice: Cast, due: list[Reward], post: Post) -> None:
    manager = make_cast("mia@example.com", alice.merchant, Role.MANAGER)

    assert confirm(post, manager, "issue", due[0]).status_code == 303
    assert states(due[:1]) == ["issued"]


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"action": "delete"},
        {"action": "hold", "from": "nowhere"},
        {"action": "hold", "back": "stage=owed"},
        {"action": "hold", "all": "1"},
        {"action": "hold", "all": "1", "expected": "many", "snapshot": "2026-11-20T10:00:00+00:00"},
        {"action": "hold", "all": "1", "expected": "7", "snapshot": "2026-11-20T10:00:00"},
        {"action": "hold", "all": "1", "expected": "7", "snapshot": "2026-99-99T10:00:00Z"},
    ],
)
def test_a_form_that_is_not_ours_is_refused(alice: Cast, due: list[Reward], data: dict[str, str]) -> None:
    assert alice.client.post(reverse("web:rewards_act"), data).status_code == 400
    assert set(states(due)) == {"due"}


def test_acting_needs_post(alice: Cast) -> None:
    assert alice.client.get(reverse("web:rewards_act")).status_code == 405


def test_one_press_in_a_row_acts_on_that_row_alone(alice: Cast, due: list[Reward]) -> None:
    data = {"back": "stage=due", "one": f"hold:{due[2].public_id}", "reward": [due[0].public_id, due[1].public_id]}
    response = alice.client.post(reverse("web:rewards_act"), data)

    assert "Hold 1 reward" in response.content.decode()
    assert hidden(response)["reward"] == due[2].public_id


def test_the_answer_to_htmx_brings_all_that_changed(alice: Cast, due: list[Reward], post: Post) -> None:
    back = "stage=due&sort=date"
    response = confirm(post, alice, "issue", due[0], back=back, htmx=True)
    part = response.content.decode()

    assert response["HX-Retarget"] == "#list"
    assert ids_in(response) == [reward.public_id for reward in due[1:]]
    assert 'name="back" value="stage=due&amp;sort=date"' in part
    assert 'id="pipeline"' in part
    assert '<span class="count num" id="nav-rewards" hx-swap-oob="true">6<' in part
    assert '<div id="toasts" hx-swap-oob="innerHTML">' in part
    assert "marked as issued</div>" in part


def test_an_action_keeps_the_page_and_falls_back_when_it_is_emptied(
    alice: Cast, due: list[Reward], post: Post, pages_of_three: None
) -> None:
    newest_first = list(reversed(due))
    first = alice.client.get("/app/rewards/", {"stage": "due"})
    second_page = first.context["next_url"].partition("?")[2]

    kept = confirm(post, alice, "hold", newest_first[4], note="x", back=second_page, htmx=True)
    assert ids_in(kept) == [newest_first[index].public_id for index in (3, 5, 6)]

    rest = [newest_first[index] for index in (3, 5, 6)]
    emptied = confirm(post, alice, "hold", *rest, note="x", back=second_page, htmx=True)
    assert ids_in(emptied) == [reward.public_id for reward in newest_first[:3]]


def test_the_pane_shows_the_reward_after_the_action(alice: Cast, due: list[Reward], post: Post) -> None:
    fields = {"from": "pane", "revision": str(due[0].revision)}
    response = confirm(post, alice, "hold", due[0], note="Looks odd", htmx=True, **fields)
    part = response.content.decode()

    assert f'data-opened="{due[0].public_id}"' in part
    assert "Why this is on hold" in part
    assert "Looks odd" in part


@pytest.mark.parametrize("action", ["hold", "void"])
@pytest.mark.parametrize("htmx", [True, False], ids=["htmx", "plain"])
def test_the_toasts_undo_takes_hold_and_decline_back(
    alice: Cast, due: list[Reward], post: Post, action: str, htmx: bool
) -> None:
    response = confirm(post, alice, action, due[0], due[1], note="By mistake", back="stage=due&sort=date", htmx=htmx)
    page = response if htmx else alice.client.get(response["Location"])
    found = re.search(r'action="(/app/rewards/act/\?undo=[^"]*)"', page.content.decode())
    assert found is not None
    url = found[1].replace("&amp;", "&")

    undone = alice.client.post(url, {"back": "stage=due&sort=date"} if htmx else {})
    again = alice.client.post(url)

    assert (undone.status_code, undone["Location"]) == (303, "/app/rewards/?stage=due&sort=date")
    assert states(due[:2]) == ["due", "due"]
    assert again.status_code == 409
    assert states(due[:2]) == ["due", "due"]


@pytest.mark.parametrize("query", ["undo=issue", "undo=", "undo=hold&from=x", "undo=hold&back=stage%3Dowed"])
def test_an_undo_that_is_not_ours_is_refused(alice: Cast, due: list[Reward], query: str) -> None:
    assert alice.client.post(f"/app/rewards/act/?{query}&ids={due[0].public_id}").status_code == 400


def test_undoing_for_others_is_404(alice: Cast, charlie: Cast, due: list[Reward]) -> None:
    lifecycle.hold(tenant=alice.tenant, reward_ids=[due[0].pk], actor=ACTOR)

    assert charlie.client.post(f"/app/rewards/act/?undo=hold&ids={due[0].public_id}").status_code == 404
    assert states(due[:1]) == ["held"]


def test_approving_early_is_told_apart_from_the_reviews_end(alice: Cast, post: Post) -> None:
    reward = make_reward(make_campaign(alice.tenant, rules=[fixed_rule(review_days=7)]))
    post(alice.client, "approve", reward, back="stage=review")
    page = alice.client.get(reverse("web:reward", args=[reward.public_id])).content.decode()

    assert "Approved before the review ended" in page

    Reward.objects.filter(pk=reward.pk).update(review_ends_at=timezone.now() - timedelta(hours=1))
    assert "Review period over" in alice.client.get(reverse("web:reward", args=[reward.public_id])).content.decode()
    assert states([reward]) == [State.DUE]


def test_an_amount_that_shrank_since_the_question_is_asked_about_again(
    alice: Cast, campaign: Campaign, post: Post
) -> None:
    shares = make_campaign(alice.tenant, [percent_rule("10")], name="Shares")
    reward = make_reward(shares, "r@example.com", "f@example.net", 5000)
    asked = hidden(post(alice.client, "issue", reward))
    assert (asked["sums"], asked["world"]) == ("USD:500", "live")
    refund(
        tenant=alice.tenant,
        actor=ACTOR,
        source="manual",
        external_id="re-1",
        event=reward.event,
        amount=Money(2000, "USD"),
    )

    response = alice.client.post(reverse("web:rewards_act"), asked)

    assert response.status_code == 409
    assert "The amounts have changed since you looked" in response.content.decode()
    assert hidden(response)["sums"] == "USD:300"
    assert (states([reward]), PayoutBatch.objects.count()) == (["due"], 0)


@pytest.mark.parametrize("sums", ["USD:-1", "USD:x", "USD"])
def test_sums_that_no_form_of_ours_sends_are_refused(alice: Cast, due: list[Reward], post: Post, sums: str) -> None:
    assert confirm(post, alice, "issue", due[0], sums=sums).status_code == 400
    assert PayoutBatch.objects.count() == 0


def test_a_form_of_the_live_side_does_nothing_after_a_switch_to_the_test_side(
    alice: Cast, due: list[Reward], post: Post
) -> None:
    make_reward(make_campaign(Tenant(alice.merchant, True)), "t@example.com", "u@example.net")
    form = {"back": "stage=due", "all": "1", "action": "hold", "expected": "1", "world": "live", "confirmed": "1"}
    form |= {"snapshot": timezone.now().isoformat(), "excluded": "", "note": "checking"}
    alice.client.post(reverse("web:switch_mode"), {"mode": "test"})

    response = alice.client.post(reverse("web:rewards_act"), form)

    assert response.status_code == 409
    assert "You switched between live and test mode" in response.content.decode()
    assert Reward.objects.filter(state="held").count() == 0
