"""Every merchant page, whoever wrote it: closed to the public, to strangers, and to roles that are too low."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from itertools import product

import pytest
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import NoReverseMatch, URLPattern, reverse

from campaigns.rules import current_terms
from integrations import endpoints, payout_checking
from integrations.models import (
    CatalogueProduct,
    Connection,
    InboundEvent,
    PayoutDifference,
    WebhookDelivery,
    WebhookEndpoint,
)
from participants import invite_lists
from participants.fraud import traces
from participants.fraud.traces import Seen
from participants.models import Application
from referrals.accounts.keys import create_api_key
from referrals.accounts.models import ApiKey, Invitation, Membership, Merchant, Role
from referrals.accounts.services import invite, user_actor
from referrals.events.models import Event
from referrals.lib.money import Money
from referrals.web import list_exports
from rewards import customer_uploads, export_schedules, routes, transfers
from rewards.coupons.lists import make_list
from rewards.files.freezing import freeze
from rewards.files.returned import take_file
from rewards.imports import jobs as imports
from rewards.models import PayoutBatch, Reward
from rewards.payouts import issue_by_hand
from rewards.whatif.jobs import ask as ask_what_if
from tests.factories import Cast, make_campaign, make_cast, make_friend, make_reward
from tests.web.helpers import freshen, web_routes

ROUTES = web_routes()
# Pages of whoever is logged in, without a business.
OF_THE_PERSON = {"new_business"}
# What a viewer may do: see another business or side, leave, and look at a preview of what they could not save.
FOR_VIEWERS = {"switch_merchant", "switch_mode", "member_remove", "campaign_preview", "campaign_join_preview"}
# What stands in an address beside the object's id.
OTHER_PARTS = ("logo", "launch", "en", "1")


def _arguments(route: URLPattern) -> list[str]:
    """The names of the variable parts of an address."""
    pattern = route.pattern
    return sorted({*getattr(pattern, "converters", {}), *pattern.regex.groupindex})


@pytest.fixture
def things(alice: Cast) -> dict[str, str]:
    """One of everything that Alice's business has, by name; the public ids."""
    actor = user_actor(alice.user)
    campaign = make_campaign(alice.tenant)
    reward = make_reward(campaign)
    issued = make_reward(campaign, "ida@example.com", "ivo@example.net")
    batch, _made = issue_by_hand(tenant=alice.tenant, reward_ids=[issued.pk], actor=actor, key="only-once")
    seen = Seen("203.0.113.7", "", ("laptop",))
    traces.keep(reward.participant, seen)
    suspect = make_friend(reward.participant, "lena@example.org", seen=seen)
    me = Membership.objects.get(user=alice.user)
    key, _ = create_api_key(tenant=alice.tenant, name="Shop", actor=actor)
    link = Connection(merchant=alice.merchant, provider="stripe")
    link.secrets = {"webhook_secret": "whsec_test"}
    link.save()
    cards = Connection(merchant=alice.merchant, provider="giftcards")
    cards.secrets = {"access_token": "x"}
    cards.save()
    # Its digest is one of OTHER_PARTS.
    CatalogueProduct.objects.create(
        merchant=alice.merchant, connection=cards, product="1", name="Card", currency="USD", picture=b"x", digest="logo"
    )
    inbound = InboundEvent.objects.create(
        merchant=alice.merchant, connection=link, event_id="evt_1", type="invoice.paid", body=b"{}"
    )
    wish = Application.objects.create(
        merchant=alice.merchant, campaign=campaign, email="a@b.example", email_key="a@b.example", status="waiting"
    )
    endpoint, _secret = endpoints.create(tenant=alice.tenant, actor=actor, url="https://hooks.example.com/")
    made = transfers.ask_list(tenant=alice.tenant, name="visits", query="", actor=actor)
    archive = transfers.ask_account(tenant=alice.tenant, actor=actor)
    list_exports.sweep()
    by_file = make_reward(campaign, "ines@example.com", "isa@example.net")
    frozen, _made = freeze("csv_file", tenant=alice.tenant, reward_ids=[by_file.pk], actor=actor, key="only-once-too")
    returned = take_file(batch=frozen, name="a.csv", data=b"payout_id,status\npo_1,paid", actor=actor)
    payout = batch.payouts.get()
    payout_checking.report(link, "missing", payout.key, None, payout)
    return {
        "frozen": frozen.public_id,
        "coupons": make_list(tenant=alice.tenant, actor=actor, name="Beans", worth=Money(1000, "USD")).public_id,
        "payout_file": frozen.files.get().public_id,
        "payout_return": returned.public_id,
        "difference": PayoutDifference.objects.get().public_id,
        "application": wish.public_id,
        "campaign": campaign.public_id,
        "participant": reward.participant.public_id,
        "friend": reward.event.participant.public_id,
        "suspect": suspect.public_id,
        "reward": reward.public_id,
        "event": reward.event.public_id,
        "batch": batch.public_id,
        "payout": payout.public_id,
        "member": me.public_id,
        "invitation": invite(by=me, email="max@example.com", role=Role.VIEWER).public_id,
        "key": key.public_id,
        "connection": link.public_id,
        "cards": cards.public_id,
        "inbound": inbound.public_id,
        "schedule": export_schedules.create(
            tenant=alice.tenant, user=alice.user, actor=actor, name="rewards", query="stage=due", every="day"
        ).public_id,
        "webhook": endpoint.public_id,
        "delivery": endpoints.send_test(endpoint=endpoint, type_="reward.due").public_id,
        "upload": customer_uploads.start(tenant=alice.tenant, name="a.csv", data=b"a@b.example", actor=actor).public_id,
        "transfer": made.public_id,
        "archive": archive.public_id,
        "import": imports.start(
            tenant=alice.tenant, kind="participants", campaign=campaign, name="a.csv", data=b"a@b.example", actor=actor
        ).public_id,
        "invites": invite_lists.start(
            campaign=campaign, name="a.csv", data=b"a@b.example", everyone_agreed=True, actor=actor
        ).public_id,
        "history": Event.objects.latest("pk").public_id,
        "merchant": alice.merchant.public_id,
        "route": routes.set_route(
            tenant=alice.tenant, actor=actor, side="referrer", kind="cash", method="stripe:con_1", options={}
        ).public_id,
        "what_if": ask_what_if(campaign=campaign, rules=current_terms(campaign), actor=actor).public_id,
    }


def _everything() -> dict[str, int]:
    models = (
        ApiKey,
        Event,
        Invitation,
        Membership,
        Merchant,
        PayoutBatch,
        PayoutDifference,
        Reward,
        Connection,
        InboundEvent,
        WebhookEndpoint,
        WebhookDelivery,
    )
    return {model.__name__: model._default_manager.count() for model in models}


def _addresses(name: str, route: URLPattern, firsts: Iterable[str], others: Iterable[str] = ()) -> list[str]:
    """Every address of the route with one of `firsts` as its object; further variable parts take `others` and OTHER_PARTS."""
    names, parts = _arguments(route), [*others, *OTHER_PARTS]
    first = "public_id" if "public_id" in names else (names or [""])[0]
    found = []
    for values in product(*(list(firsts) if key == first else parts for key in names)):
        with suppress(NoReverseMatch):  # a converter that does not take this text
            found.append(reverse(f"web:{name}", kwargs=dict(zip(names, values, strict=True))))
    return found


CASES = [pytest.param(name, route, id=name) for name, route in ROUTES]
WITH_OBJECT = [(name, route) for name, route in ROUTES if _arguments(route)]


def _any_address(name: str, route: URLPattern) -> str:
    return _addresses(name, route, ["A" * 10])[0]


@pytest.mark.parametrize(("name", "route"), CASES)
def test_each_page_says_who_may_open_it(name: str, route: URLPattern) -> None:
    needs = getattr(route.callback, "needs", None)
    assert needs is not None, f"web:{name} is under neither @member() nor @signed_in"
    if name in OF_THE_PERSON:
        assert needs == (None, None)
    elif name in FOR_VIEWERS:
        assert needs == (Role.VIEWER, Role.VIEWER)
    else:
        role, change = needs
        assert role is not None
        assert change in {Role.MANAGER, Role.ADMIN, Role.OWNER}
        assert change.covers(role)


@pytest.mark.parametrize(("name", "route"), CASES)
@pytest.mark.django_db
def test_the_public_is_sent_to_the_log_in(name: str, route: URLPattern) -> None:
    address = _any_address(name, route)
    answers = [Client().get(address), Client().post(address)]
    to_log_in = [response for response in answers if response.status_code == 302]
    assert to_log_in
    assert all(response["Location"].startswith("/account/login/?next=/app/") for response in to_log_in)
    # A page that only reads, or only acts, may refuse the other method before it asks who is there.
    assert {response.status_code for response in answers} <= {302, 405}


@pytest.mark.parametrize(("name", "route"), CASES)
def test_a_form_without_its_token_is_refused(name: str, route: URLPattern, alice: Cast) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice.user, backend="django.contrib.auth.backends.ModelBackend")
    assert client.post(_any_address(name, route)).status_code == 403


# The next three walk all pages in one test each, because the world behind them takes a while to make.


def test_to_a_stranger_nothing_exists(things: dict[str, str], alice: Cast, charlie: Cast) -> None:
    """What Alice's own GET finds (or would have to POST to) is, for Charlie, the same 404 as an id that never was."""
    for person in (alice, charlie):
        freshen(person.client, person.user)
    problems, found = [], {}
    known: dict[str, list[str]] = {}  # what stands before the id in an address -> the ids that Alice's GET finds there
    for name, route in sorted(WITH_OBJECT, key=lambda pair: len(str(pair[1].pattern))):
        before_id = re.split(r"[<(]", str(route.pattern))[0]
        firsts = known.get(before_id) or list(things.values())
        answers = {
            path: alice.client.get(path).status_code for path in _addresses(name, route, firsts, things.values())
        }
        found[_any_address(name, route)] = [path for path, status in answers.items() if status != 404]
        if not found[_any_address(name, route)]:
            problems.append(f"web:{name} finds none of Alice's objects")
        if len(_arguments(route)) == 1 and 200 in answers.values():
            statuses = zip(firsts, answers.values(), strict=True)
            known.setdefault(before_id, [value for value, status in statuses if status == 200])
    before = _everything()
    for unknown, paths in found.items():
        for ask in (charlie.client.get, charlie.client.post):
            nothing = ask(unknown)
            for path in paths:
                response = ask(path)
                same = (response.status_code, len(response.content)) == (nothing.status_code, len(nothing.content))
                if response.status_code not in {404, 405} or not same:
                    problems.append(f"{path} gave {response.status_code}")
    assert problems == []
    assert _everything() == before


def test_a_viewer_changes_nothing(things: dict[str, str], bob: Cast) -> None:
    freshen(bob.client, bob.user)
    before, problems = _everything(), []
    for name, route in ROUTES:
        if name in OF_THE_PERSON | FOR_VIEWERS:
            continue
        for address in _addresses(name, route, things.values())[:3]:
            status = bob.client.post(address).status_code
            if status not in {403, 405}:
                problems.append(f"{address} gave {status}")
    assert problems == []
    assert _everything() == before


def test_without_a_business_one_is_made_first(alice: Cast) -> None:
    Membership.objects.all().delete()
    response = alice.client.get(reverse("web:rewards"))
    assert (response.status_code, response["Location"]) == (302, reverse("web:new_business"))
    assert alice.client.get(reverse("web:new_business")).status_code == 200


def test_the_session_names_a_business_that_is_no_longer_mine(alice: Cast, charlie: Cast) -> None:
    session = alice.client.session
    session["merchant_id"] = charlie.merchant.pk
    session.save()
    response = alice.client.get(reverse("web:settings"))
    assert b"Halden Coffee" in response.content
    assert b"Chairs" not in response.content


def test_the_log_in_comes_back_to_the_page(db: None) -> None:
    response = Client().get("/app/rewards/?stage=due")
    assert response["Location"] == "/account/login/?next=/app/rewards/%3Fstage%3Ddue"


def test_htmx_is_told_to_load_the_log_in(db: None) -> None:
    response = Client().get("/app/rewards/", headers={"HX-Request": "true"})
    assert (response.status_code, response["HX-Redirect"]) == (204, "/account/login/?next=/app/")


def test_pages_are_not_kept_by_caches(alice: Cast) -> None:
    assert "no-store" in alice.client.get(reverse("web:settings"))["Cache-Control"]


def test_a_role_that_is_too_low_says_so(bob: Cast) -> None:
    response = bob.client.post(reverse("web:settings"), {"name": "Mine"})
    assert response.status_code == 403
    assert b"Your role is Viewer; this needs Admin or higher." in response.content
    assert Merchant.objects.get().name == "Halden Coffee"


def test_finding_out_who_asks_costs_three_queries(alice: Cast) -> None:
    with CaptureQueriesContext(
        connection,
    ) as queries:
        response: HttpResponse = alice.client.post(reverse("web:switch_mode"), {"mode": "sideways"})  # type: ignore[assignment]  # test client
    assert response.status_code == 302
    tables = [
        query["sql"].split('FROM "')[1].split('"')[0] for query in queries.captured_queries if "FROM" in query["sql"]
    ]
    assert tables == ["django_session", "accounts_user", "accounts_membership"]


@pytest.mark.parametrize(
    ("mode", "is_test"), [("test", True), ("live", False), ("sideways", False)], ids=["test", "live", "nonsense"]
)
def test_the_side_is_switched(alice: Cast, mode: str, is_test: bool) -> None:
    alice.client.post(reverse("web:switch_mode"), {"mode": mode})
    assert (b"Test mode. Nothing here is real" in alice.client.get(reverse("web:settings")).content) is is_test


@pytest.mark.parametrize(
    ("from_", "to"),
    [
        ("http://testserver/app/developers/", "/app/developers/"),
        ("http://testserver/app/rewards/rw_1234/", "/app/rewards/"),
        ("http://testserver/app/settings/team/?x=1", "/app/settings/"),
        ("http://evil.example/app/../x", "/app/"),
        ("http://[broken", "/app/"),
        ("", "/app/"),
    ],
)
def test_switching_stays_in_the_same_part(alice: Cast, from_: str, to: str) -> None:
    response = alice.client.post(reverse("web:switch_mode"), {"mode": "test"}, headers={"Referer": from_})
    assert (response.status_code, response["Location"]) == (302, to)


def test_sides_are_kept_apart(alice: Cast) -> None:
    campaign = make_campaign(alice.tenant)
    address = reverse("web:campaign", args=[campaign.public_id])
    assert alice.client.get(address).status_code == 200
    alice.client.post(reverse("web:switch_mode"), {"mode": "test"})
    assert alice.client.get(address).status_code == 404


def test_businesses_are_switched_among_my_own(alice: Cast, charlie: Cast) -> None:
    second = make_cast("second@example.com", charlie.merchant)
    Membership.objects.filter(user=second.user).update(user=alice.user, role=Role.VIEWER)
    alice.client.post(reverse("web:switch_mode"), {"mode": "test"})
    response = alice.client.post(reverse("web:switch_merchant"), {"merchant": charlie.merchant.public_id}, follow=True)
    assert b"Charlie&#x27;s Chairs" in response.content
    assert b"Test mode. Nothing here is real" not in response.content


def test_the_business_of_others_is_not_switched_to(alice: Cast, charlie: Cast) -> None:
    response = alice.client.post(reverse("web:switch_merchant"), {"merchant": charlie.merchant.public_id}, follow=True)
    assert b"You are not in the team of that business." in response.content
    assert b"Chairs" not in response.content
