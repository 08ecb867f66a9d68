"""The lists: stages, filters, search, order, pages both ways, what an address may say."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from campaigns.models import Campaign
from rewards.models import Reward
from tests.factories import Cast, fixed_rule, make_campaign, make_participant, make_reward
from tests.web.rewards.conftest import ids_in

URL = "/app/rewards/"


def test_overview_shows_each_campaigns_total_and_leads_into_it(alice: Cast, due: list[Reward]) -> None:
    yen = make_campaign(alice.tenant, name="Tokyo", currency="JPY", rules=[fixed_rule(2000, "JPY")])
    make_reward(yen, "yuki@example.com", "ken@example.net", 9800)

    page = alice.client.get(URL).content.decode()

    assert "$105.00" in page
    assert "¥2,000" in page
    assert f'href="/app/rewards/?stage=due&amp;campaign={yen.public_id}"' in page
    assert f'href="/app/rewards/?stage=due&amp;campaign={due[0].campaign.public_id}"' in page


def test_empty_overview_says_what_comes_next(alice: Cast) -> None:
    page = alice.client.get(URL).content.decode()

    assert "Nothing is due" in page


def test_list_shows_the_newest_first_with_the_pipelines_figures(alice: Cast, due: list[Reward]) -> None:
    response = alice.client.get(URL, {"stage": "due"})
    page = response.content.decode()

    assert ids_in(response) == [reward.public_id for reward in reversed(due)]
    assert "7 of 7" in page
    assert "$105.00" in page
    assert response["Cache-Control"].startswith("max-age=0")


@pytest.mark.parametrize(
    ("stage", "shown"),
    [("review", 0), ("due", 7), ("sending", 0), ("issued", 0), ("attention", 0), ("closed", 0)],
)
def test_each_stage_has_its_list(alice: Cast, due: list[Reward], stage: str, shown: int) -> None:
    response = alice.client.get(URL, {"stage": stage})

    assert response.status_code == 200
    assert len(ids_in(response)) == shown


def test_filters_narrow_the_list(alice: Cast, due: list[Reward]) -> None:
    other = make_campaign(
        alice.tenant,
        name="Gift cards",
        currency="EUR",
        rules=[fixed_rule(1000, "EUR", kind="gift_card"), fixed_rule(500, "EUR", side="invitee", kind="coupon")],
    )
    reward = make_reward(other, "lena@example.com", "ruth@example.net")
    friends = Reward.objects.get(campaign=other, side="invitee")

    def shown(**query: str) -> set[str]:
        return set(ids_in(alice.client.get(URL, {"stage": "due", **query})))

    assert shown(campaign=other.public_id) == {reward.public_id, friends.public_id}
    assert shown(kind="gift_card") == {reward.public_id}
    assert shown(kind="coupon") == {friends.public_id}
    assert shown(side="invitee") == {friends.public_id}
    assert shown(currency="EUR") == {reward.public_id, friends.public_id}
    assert shown(currency="EUR", side="referrer") == {reward.public_id}
    assert len(shown(currency="USD")) == 7


@pytest.mark.parametrize("text", ["asha@example.com", "ASHA@EXAMPLE.COM", "ash", "friend-of-asha@example.net"])
def test_search_finds_by_address(alice: Cast, due: list[Reward], text: str) -> None:
    assert ids_in(alice.client.get(URL, {"stage": "due", "q": text})) == [due[0].public_id]


def test_search_finds_by_name_code_and_order(alice: Cast, due: list[Reward]) -> None:
    person = due[2].participant
    person.first_name, person.last_name = "Yuki", "Tanaka"
    person.save()
    event = due[3].event

    for text, reward in [("Yuki Tan", due[2]), (person.referral_code, due[2]), (event.external_id, due[3])]:
        assert ids_in(alice.client.get(URL, {"stage": "due", "q": text})) == [reward.public_id]


def test_nothing_found_offers_to_clear_the_filter(alice: Cast, due: list[Reward]) -> None:
    page = alice.client.get(URL, {"stage": "due", "q": "nobody-like-this"}).content.decode()

    assert "Nothing matches" in page
    assert 'href="/app/rewards/?stage=due"' in page


def test_pages_go_on_and_back(alice: Cast, due: list[Reward], pages_of_three: None) -> None:
    newest_first = [reward.public_id for reward in reversed(due)]
    first = alice.client.get(URL, {"stage": "due"})
    second = alice.client.get(first.context["next_url"])
    third = alice.client.get(second.context["next_url"])
    back = alice.client.get(third.context["prev_url"])

    assert [ids_in(first), ids_in(second), ids_in(third)] == [newest_first[:3], newest_first[3:6], newest_first[6:]]
    assert (first.context["prev_url"], third.context["next_url"]) == ("", "")
    assert ids_in(back) == ids_in(second)
    assert ids_in(alice.client.get(back.context["prev_url"])) == ids_in(first)
    assert "3 of 7" in second.content.decode()


@pytest.mark.parametrize(
    ("sort", "minors"),
    [("amount", [500, 1500, 9900]), ("-amount", [9900, 1500, 500]), ("date", [1500, 500, 9900])],
)
def test_order(alice: Cast, campaign: Campaign, sort: str, minors: list[int]) -> None:
    for number, minor in enumerate([1500, 500, 9900]):
        reward = make_reward(campaign, f"p{number}@example.com", f"f{number}@example.net")
        Reward.objects.filter(pk=reward.pk).update(amount_minor=minor)

    response = alice.client.get(URL, {"stage": "due", "sort": sort})

    assert [row["minor"] for row in response.context["rows"]] == minors


def test_pages_in_the_order_of_amounts(alice: Cast, due: list[Reward], pages_of_three: None) -> None:
    seen, url = [], f"{URL}?stage=due&sort=amount"
    while url:
        response = alice.client.get(url)
        seen += ids_in(response)
        url = response.context["next_url"]

    assert sorted(seen) == sorted(reward.public_id for reward in due)


@pytest.mark.parametrize(
    "query",
    [
        "stage=owed",
        "stage=due&sort=participant__email",
        "stage=due&sort=--date",
        "stage=due&kind=money",
        "stage=due&side=both",
        "stage=due&currency=usd",
        "stage=due&after=garbage",
        "stage=due&after=WyJuIiwgMTUsIDFd",  # the cursor of a list by amount
        "stage=due&sort=amount&after=WyJuIiwgeyJ0IjogIjIwMjYtMDEtMDFUMDA6MDA6MDArMDA6MDAifSwgMV0",
    ],
)
def test_an_address_with_a_wrong_value_is_refused(alice: Cast, due: list[Reward], query: str) -> None:
    assert alice.client.get(f"{URL}?{query}").status_code == 400


def test_a_campaign_of_somebody_else_does_not_exist(alice: Cast, charlie: Cast) -> None:
    theirs = make_campaign(charlie.tenant)

    answers = [alice.client.get(URL, {"stage": "due", "campaign": name}) for name in (theirs.public_id, "0000000000")]

    assert [answer.status_code for answer in answers] == [404, 404]
    assert theirs.name not in answers[0].content.decode()


def test_nothing_of_others_or_of_the_test_side_shows(alice: Cast, charlie: Cast, due: list[Reward]) -> None:
    make_reward(make_campaign(charlie.tenant, name="Chairs"), "xena@example.com", "yves@example.net")

    assert ids_in(charlie.client.get(URL, {"stage": "due"})) != ids_in(alice.client.get(URL, {"stage": "due"}))
    assert len(ids_in(charlie.client.get(URL, {"stage": "due"}))) == 1

    alice.client.post(reverse("web:switch_mode"), {"mode": "test"})
    assert ids_in(alice.client.get(URL, {"stage": "due"})) == []


def test_a_stranger_is_sent_to_the_log_in() -> None:
    response = Client().get(URL, {"stage": "due"})

    assert response.status_code == 302
    assert response["Location"].startswith("/account/login/")


def test_htmx_gets_the_list_with_what_changed_around_it(alice: Cast, due: list[Reward]) -> None:
    response = alice.client.get(URL, {"stage": "due", "q": "asha"}, headers={"hx-request": "true"})
    part = response.content.decode()

    assert response["HX-Push-Url"] == "/app/rewards/?stage=due&q=asha"
    assert "HX-Request" in response["Vary"]
    assert "<html" not in part
    assert 'id="pipeline" aria-label="Rewards by stage" hx-swap-oob="true"' in part
    assert '<div id="live" hx-swap-oob="innerHTML">1 reward found</div>' in part


def test_a_page_costs_the_same_whatever_it_shows(
    alice: Cast, campaign: Campaign, due: list[Reward], django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    make_participant(campaign, "else@example.com")

    for query in ({"stage": "due"}, {"stage": "due", "q": "example"}, {"stage": "review"}, {"stage": "issued"}):
        with django_assert_max_num_queries(12):
            assert alice.client.get(URL, query).status_code == 200
    with django_assert_max_num_queries(12):
        alice.client.get(URL)


def test_what_people_write_is_text_and_never_markup(alice: Cast, due: list[Reward]) -> None:
    person = due[0].participant
    person.first_name = "<script>alert(1)</script>{amount}\"'&"
    person.save()

    page = alice.client.get(URL, {"stage": "due", "q": "asha@example.com"}).content.decode()

    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;{amount}&quot;&#x27;&amp;" in page
