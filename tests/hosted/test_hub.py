"""The public directory of programmes and a programme's page: what they say, whom they show, and that texts stay texts."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from campaigns import services
from campaigns.listing_models import Listing
from campaigns.listings import Question, preview_token, save_listing
from campaigns.models import Campaign
from campaigns.terms import Fixed
from referrals.accounts.models import Merchant
from referrals.accounts.tenancy import Tenant
from referrals.hosted import hub
from referrals.hosted.hub_words import where
from referrals.lib import countries
from referrals.lib.money import Money
from tests.factories import ACTOR, fixed_rule, make_campaign, make_merchant, percent_rule

HOSTILE = '"><script>window.__xss=1</script><img src=x onerror=alert(1)>{{ 7*7 }}'


def list_programme(merchant: Merchant, name: str, rules: Any = None, **fields: Any) -> Listing:
    """A running affiliate campaign of the merchant, listed."""
    campaign = make_campaign(
        Tenant(merchant), [percent_rule("20")] if rules is None else rules, preset_key="affiliate_12_months", name=name
    )
    values = {"is_on": True, "category": "food", "description": f"All about {name}", **fields}
    return save_listing(campaign=campaign, actor=ACTOR, **values)


@pytest.fixture
def programmes(db: None) -> list[Listing]:
    """Coffee for everywhere, chairs for Norway and Sweden, tea for Austria; the last was listed last."""
    halden, chairs = make_merchant("Halden Coffee"), make_merchant("Charlie's Chairs")
    rules = [
        percent_rule("20", within_days=365, review_days=30, minimum_purchase=Money(3000, "USD")),
        fixed_rule(side="invitee", trigger="join", event="join", amount=Fixed(Money(500, "USD")), kind="coupon"),
    ]
    return [
        list_programme(halden, "Roasters", rules),
        list_programme(
            chairs, "Sit well", [fixed_rule(4000, kind="gift_card")], category="home", countries=["NO", "SE"]
        ),
        list_programme(halden, "Tea", countries=["AT"], approval="automatic"),
    ]


def names(answer: Any) -> list[str]:
    return re.findall(r"<h3><a [^>]+><bdi>([^<]+)</bdi>", answer.content.decode())


def test_the_directory_shows_programmes_of_all_merchants(programmes: list[Listing], person: Client) -> None:
    answer = person.get("/hub/")
    html = answer.content.decode()
    assert names(answer) == ["Tea", "Sit well", "Roasters"]
    assert "<bdi>Charlie&#x27;s Chairs</bdi>" in html
    assert '<strong class="num">$40</strong> <span>gift card, after their first order</span>' in html
    assert "Norway, Sweden" in html
    assert html.count("The merchant decides") == 2
    assert html.count("You are in at once") == 1
    assert "<title>Affiliate programmes</title>" in html
    assert '<meta name="robots"' not in html
    assert (answer["Cache-Control"], answer.cookies) == ("public, max-age=60", {})
    assert "Accept-Language" in answer["Vary"]
    assert set(re.findall(r'(?:src|href)="(https?://[^"/]+)', html)) <= {"http://localhost:8000"}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=COFFEE", ["Tea", "Roasters"]),
        ("q=about+sit", ["Sit well"]),
        ("q=100%25", []),
        ("category=home", ["Sit well"]),
        ("country=no", ["Sit well", "Roasters"]),
        ("country=AT&category=food", ["Tea", "Roasters"]),
        ("reward=gift_card", ["Sit well"]),
        ("reward=coupon", []),
        ("category=weapons&country=%3Cb%3E&reward=x", ["Tea", "Sit well", "Roasters"]),
    ],
)
def test_search_and_filters(programmes: list[Listing], person: Client, query: str, found: list[str]) -> None:
    answer = person.get(f"/hub/?{query}")
    assert (answer.status_code, names(answer)) == (200, found)
    if not found:
        assert "No programme fits" in answer.content.decode()


def test_pages_come_by_key_and_keep_the_filter(
    programmes: list[Listing], person: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "PER_PAGE", 1)
    first = person.get("/hub/?q=coffee&lang=en")
    link = re.search(r'<a href="(\?[^"]+)" rel="next"', first.content.decode())
    assert link is not None
    assert "q=coffee" in link[1]
    second = person.get("/hub/" + link[1].replace("&amp;", "&"))
    assert (names(first), names(second)) == (["Tea"], ["Roasters"])
    assert 'rel="prev"' in second.content.decode()
    damaged = person.get("/hub/?q=coffee&page=xx")
    assert (damaged.status_code, damaged["Location"]) == (302, "/hub/?q=coffee")


def test_many_programmes_cost_no_more_queries(programmes: list[Listing], person: Client) -> None:
    person.get("/hub/")  # rules are kept in memory
    with CaptureQueriesContext(
        connection,
    ) as few:
        person.get("/hub/?category=home")
    with CaptureQueriesContext(connection) as many:
        person.get("/hub/")
    assert (len(few), len(many)) == (3, 3)


def test_an_empty_directory_says_so_and_the_hub_can_be_off(db: None, person: Client, settings: Any) -> None:
    assert "No programme is open yet" in person.get("/hub/").content.decode()
    settings.HUB = False
    for path in ("/hub/", "/hub/halden-coffee-roasters/"):
        assert person.get(path).status_code == 404


def test_a_programmes_page_says_what_is_paid_and_how_it_is_decided(programmes: list[Listing], person: Client) -> None:
    listing = programmes[0]
    save_listing(
        campaign=listing.campaign, actor=ACTOR, terms="No spam.\n\nNo ads.", terms_url="https://shop.example.com/t"
    )
    answer = person.get(f"/hub/{listing.slug}/")
    html = answer.content.decode()
    assert '<strong class="num">20%</strong> <span>of the order, for every order of theirs</span>' in html
    for text in (
        "Your friends get $5 coupon, as soon as they join.",
        "Friends count when they order for $30 or more.",
        "30 days after they pay, so returns are covered.",
        "For 12 months after a friend joins.",
        "<p>No spam.</p>\n\n<p>No ads.</p>",
        'href="https://shop.example.com/t" rel="nofollow noopener noreferrer">The terms of Halden Coffee</a>',
        "Halden Coffee reads each application and says yes or no.",
        f'<link rel="canonical" href="http://localhost:8000/hub/{listing.slug}/">',
        '<meta property="og:title" content="Roasters · Halden Coffee">',
    ):
        assert text in html, text
    assert answer["Cache-Control"] == "public, max-age=60"
    assert "als 12" not in html
    assert "Was du verdienst" in person.get(f"/hub/{listing.slug}/?lang=de").content.decode()
    assert '<html lang="ar" dir="rtl"' in person.get(f"/hub/{listing.slug}/?lang=ar").content.decode()


def test_a_programme_that_is_not_open_is_404_with_the_same_words(programmes: list[Listing], person: Client) -> None:
    unknown = person.get("/hub/nobody/")
    services.pause(campaign=programmes[0].campaign, actor=ACTOR)
    save_listing(campaign=programmes[1].campaign, actor=ACTOR, is_on=False)
    Campaign.objects.filter(pk=programmes[2].campaign_id).update(type="newsletter")
    for listing in programmes:
        answer = person.get(f"/hub/{listing.slug}/")
        assert (answer.status_code, answer.content) == (404, unknown.content)
    campaign = programmes[0].campaign
    shown = person.get(f"/hub/{programmes[0].slug}/", {"preview": preview_token(campaign)})
    assert (shown.status_code, shown["Cache-Control"], shown["X-Frame-Options"]) == (200, "no-store", "SAMEORIGIN")
    assert "frame-ancestors 'self'" in shown["Content-Security-Policy"]


def test_hostile_texts_stay_texts(db: None, person: Client) -> None:
    merchant = make_merchant(HOSTILE)
    listing = list_programme(
        merchant,
        HOSTILE,
        description=HOSTILE,
        terms=HOSTILE,
        questions=[Question(HOSTILE, "choice", False, (HOSTILE[:70], "b"))],
    )
    for path in ("/hub/", f"/hub/?q={HOSTILE}", f"/hub/{listing.slug}/"):
        html = person.get(path).content.decode()
        assert "<script>" not in html
        assert "<img src=x" not in html
        assert "window.__xss=1" in html


def test_programs_lead_to_the_hub(programmes: list[Listing], browser_client: Callable[..., Client]) -> None:
    client = browser_client()
    for path, target in (("/programs", "/hub/"), ("/programs/?q=tea", "/hub/?q=tea"), ("/programs/a-b", "/hub/a-b/")):
        answer = client.get(path)
        assert (answer.status_code, answer["Location"]) == (301, target)


def test_a_test_sides_programme_can_be_tried_by_its_address(programmes: list[Listing], person: Client) -> None:
    listing = programmes[0]
    Campaign.objects.filter(pk=listing.campaign_id).update(is_test=True)
    assert names(person.get("/hub/")) == ["Tea", "Sit well"]
    html = person.get(f"/hub/{listing.slug}/").content.decode()
    assert (
        "Test mode: this page is for trying things out" in html,
        '<meta name="robots" content="noindex">' in html,
    ) == (
        True,
        True,
    )


def test_the_front_door_leads_to_the_hub_while_it_has_something(
    programmes: list[Listing], person: Client, settings: Any
) -> None:
    assert '<a href="/hub/">Affiliate programmes</a>' in person.get("/").content.decode()
    assert "Disallow: /hub/me/" in person.get("/robots.txt").content.decode()
    settings.HUB = False
    assert "/hub/" not in person.get("/").content.decode()


@pytest.mark.parametrize(
    ("codes", "text"),
    [
        ("", "Everywhere"),
        (" AT ", "Austria"),
        (" AT DE NO SE ", "Austria, Germany, Norway, Sweden"),
        (" AT DE IT NO SE ", "Austria, Germany, Italy and 2 more"),
        (" ZZ ", "ZZ"),
    ],
)
def test_countries_in_words(codes: str, text: str) -> None:
    assert where(Listing(countries=codes), most=3) == text


def test_countries_are_found_by_code_and_by_name_in_both_languages() -> None:
    found = [countries.find(text, "de") for text in ("at", " Österreich ", "AUSTRIA", "EU", "Atlantis", "")]
    assert found == ["AT", "AT", "AT", "", "", ""]
