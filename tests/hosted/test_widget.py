"""Widgets in frames: who may frame them, whom they believe, and that nobody else's name gets out (docs/widgets.md)."""

from __future__ import annotations

import re
import time
from typing import Any

import jwt
import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from campaigns.models import Campaign, Status
from campaigns.services import update_campaign
from participants.links import short_link
from participants.models import JoinRequest, Participant, PortalLink, Referral
from referrals.accounts.models import RateLimit
from referrals.accounts.signing import new_secret
from referrals.hosted import hosts, script_calls
from referrals.lib.errors import Refused
from tests.factories import ACTOR, Cast, make_campaign, make_friend, make_participant
from tests.hosted.test_script import SHOP, send

OTHER = "https://www.example.net:8443"


@pytest.fixture
def shop(double: Campaign) -> Campaign:
    """The campaign, whose widgets may be on two of the shop's origins."""
    Campaign.objects.filter(pk=double.pk).update(script_origins=[SHOP, OTHER])
    double.refresh_from_db()
    return double


def identity(secret: str, campaign: Campaign, **changes: Any) -> str:
    """A token as a merchant's server makes it for a customer; None takes a claim out."""
    claims = {"aud": campaign.public_id, "exp": int(time.time()) + 600, "email": "Noor@example.net", **changes}
    return jwt.encode({name: value for name, value in claims.items() if value is not None}, secret, algorithm="HS256")


def address(campaign: Campaign, kind: str, query: str = "") -> str:
    return f"/widget/{campaign.public_id}/{kind}{query}"


def ancestors(answer: Any) -> list[str]:
    """The origins that may frame an answer."""
    policy = dict(part.strip().split(" ", 1) for part in answer["Content-Security-Policy"].split(";"))
    return str(policy["frame-ancestors"]).split()


def test_exactly_the_campaigns_origins_may_frame_it(client: Client, shop: Campaign, asha: Participant) -> None:
    answer = client.get(address(shop, "invitee", f"?referralCode={asha.referral_code}"))
    assert (answer.status_code, ancestors(answer), "X-Frame-Options" in answer) == (200, [SHOP, OTHER], False)
    assert (answer["Cache-Control"], answer.cookies, answer["Vary"]) == (
        "private, no-cache",
        {},
        "Accept-Encoding, Accept-Language",
    )
    # Nothing else of ours may be framed, nor a widget that is on nobody's list.
    page = client.get(f"/campaign?id={shop.public_id}")
    assert (ancestors(page), page["X-Frame-Options"]) == (["'none'"], "DENY")
    # What does not belong into a policy never gets there, whoever wrote it into the database.
    hostile = [
        "https://b.example; script-src *",
        "https://b.example, https://c.example",
        "*",
        "https://ü.example",
        SHOP,
    ]
    Campaign.objects.filter(pk=shop.pk).update(script_origins=hostile)
    answer = client.get(address(shop, "referrer"))
    assert ancestors(answer) == [SHOP]
    assert "script-src 'self'" in answer["Content-Security-Policy"]
    Campaign.objects.filter(pk=shop.pk).update(script_origins=[])
    assert ancestors(client.get(address(shop, "referrer"))) == ["'none'"]
    # Drafts, other campaigns and other kinds are the site's own 404, which nobody frames.
    Campaign.objects.filter(pk=shop.pk).update(status=Status.DRAFT, script_origins=[SHOP])
    for path in (
        address(shop, "referrer"),
        "/widget/AAAAAAAAAA/referrer",
        address(shop, "popup"),
        "/widget/x/referrer",
    ):
        gone = client.get(path)
        assert (gone.status_code, ancestors(gone), gone["X-Frame-Options"]) == (404, ["'none'"], "DENY"), path


def test_the_page_is_kept_until_the_campaign_changes(
    client: Client, shop: Campaign, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    path = address(shop, "referrer", f"?origin={SHOP}")
    first = client.get(path).content.decode()
    with django_assert_max_num_queries(3):
        again = client.get(path).content.decode()
    token = re.compile(r'name="token" value="[^"]+"')
    assert token.sub("", first) == token.sub("", again)
    update_campaign(campaign=shop, actor=ACTOR, brand_color="#112233")
    assert client.get(path).content.decode() != again
    Campaign.objects.filter(pk=shop.pk).update(script_origins=[OTHER])
    taken_away = client.get(path)
    assert (ancestors(taken_away), "data-origin" in taken_away.content.decode()) == ([OTHER], False)


def test_the_frame_talks_to_a_page_on_the_list_only(client: Client, shop: Campaign) -> None:
    def body(query: str) -> str:
        html = client.get(address(shop, "referrer", query)).content.decode()
        return re.search(r"<body[^>]*>", html)[0]  # type: ignore[index]  # every page has one

    assert body(f"?origin={SHOP}&signed=1") == f'<body data-origin="{SHOP}" data-waits>'
    assert body(f"?origin={SHOP}") == f'<body data-origin="{SHOP}">'
    for stranger in ("https://evil.example", "*", "null", f"{SHOP}.evil.example", '"><script>', ""):
        assert body(f"?origin={stranger}") == "<body>"
    html = client.get(address(shop, "referrer", "?theme=dark&accent=%23112233")).content.decode()
    assert 'class=" scheme-dark"' in html
    assert ".css?c=112233" in html
    html = client.get(address(shop, "referrer", "?theme=x&accent=%23112233;}")).content.decode()
    assert "scheme-" not in html
    assert ".css?c=" not in html


def test_a_friend_sees_who_sent_them_and_joins(client: Client, shop: Campaign, asha: Participant) -> None:
    path = address(shop, "invitee", f"?referralCode={asha.referral_code}&lang=en")
    html = client.get(path).content.decode()
    assert "<bdi>Asha V.</bdi> thought of you" in html
    assert "$15" in html
    assert asha.email not in html
    visit = send(client, shop, "visit", {"code": asha.referral_code}).json()
    token = re.search(r'name="token" value="([^"]+)"', html)[1]  # type: ignore[index]  # the form has one
    joined = client.post(path, {"email": "maya@example.net", "token": token, "visitor": visit["visitor"]})
    friend = Participant.objects.get(email="maya@example.net")
    referral = Referral.objects.get()
    assert (referral.referrer, referral.invitee, referral.visit is not None) == (asha, friend, True)
    assert (friend.source, PortalLink.objects.count(), joined["Cache-Control"]) == ("widget", 1, "private, no-store")
    assert f'data-text="{short_link(friend)}"' in joined.content.decode()
    assert (ancestors(joined), "X-Frame-Options" in joined, joined.cookies) == ([SHOP, OTHER], False, {})
    # Again, and one who was there: the same words.
    again = client.post(path, {"email": "maya@example.net", "token": token})
    assert (again.status_code, again.content) == (200, joined.content)
    assert Participant.objects.count() == 2
    # What is wrong is said, and what was typed stays.
    wrong = client.post(path, {"email": "maya", "token": token})
    assert (wrong.status_code, 'value="maya"' in wrong.content.decode()) == (422, True)
    stale = client.post(path, {"email": "x@example.net", "token": "x"})
    assert (stale.status_code, Participant.objects.count()) == (422, 2)
    # A code of nobody, and none: the page of those who want a link.
    for query in ("?referralCode=nobody12", "?referralCode=<script>", ""):
        html = client.get(address(shop, "invitee", query)).content.decode()
        assert "thought of you" not in html
        assert "Get my link" in html


def test_a_customer_whom_the_merchant_names_sees_their_own_link(alice: Cast, client: Client, shop: Campaign) -> None:
    secret, path = new_secret(tenant=alice.tenant, actor=ACTOR), address(shop, "referrer")
    token = identity(secret, shop, first_name="Noor", last_name="Haddad", language="de")
    first = client.post(path, {"identity": token}, headers={"accept-language": "en"})
    noor = Participant.objects.get()
    assert (noor.email, noor.first_name, noor.source, noor.language) == ("Noor@example.net", "Noor", "widget", "en")
    assert f'data-text="{short_link(noor)}"' in first.content.decode()
    assert (first["Cache-Control"], first.cookies, ancestors(first)) == ("private, no-store", {}, [SHOP, OTHER])
    make_friend(noor, "maya@example.net")
    html = client.post(path, {"identity": token}).content.decode()
    assert re.search(r"<dt>Joined</dt><dd>1</dd>", html)
    assert "maya" not in html
    # Looking at a page asks for no mail, and makes nobody a friend, whatever code the browser has.
    assert (PortalLink.objects.count(), Referral.objects.filter(invitee=noor).count()) == (0, 0)
    Participant.objects.filter(pk=noor.pk).update(banned_at=timezone.now())
    assert "can't earn rewards now" in client.post(path, {"identity": token}).content.decode()
    Participant.objects.filter(pk=noor.pk).update(banned_at=None)
    # A link stays while the campaign rests; nobody new joins.
    Campaign.objects.filter(pk=shop.pk).update(status=Status.PAUSED)
    html = client.post(path, {"identity": token}).content.decode()
    assert (short_link(noor) in html, "The offer is paused" in html) == (True, True)
    html = client.post(path, {"identity": identity(secret, shop, email="new@example.net")}).content.decode()
    assert ("This offer is taking a break" in html, Participant.objects.count()) == (True, 2)


def test_any_other_token_gets_the_page_that_everybody_sees(
    alice: Cast, charlie: Cast, client: Client, shop: Campaign
) -> None:
    noor = make_participant(shop, "noor@example.net", first_name="Noor")
    path = address(shop, "referrer")

    def refused(token: str) -> str:
        answer = client.post(path, {"identity": token})
        html = answer.content.decode()
        assert (answer.status_code, noor.referral_code in html, "Noor" in html) == (200, False, False)
        assert "Get my link" in html
        return str(re.search(r'data-refused="(\w+)"', html)[1])  # type: ignore[index]  # it was refused

    assert refused(identity("x" * 40, shop)) == "signing_secret_missing"
    secret, strange = (new_secret(tenant=cast.tenant, actor=ACTOR) for cast in (alice, charlie))
    test_side = new_secret(tenant=type(alice.tenant)(alice.merchant, True), actor=ACTOR)
    theirs = make_campaign(charlie.tenant, script_origins=[SHOP])
    now = int(time.time())
    cases = {
        "": "missing_field",
        "x": "bad_token",
        "x" * 9000: "bad_token",
        jwt.encode({"aud": shop.public_id, "exp": now + 60, "email": noor.email}, "", algorithm="none"): "bad_token",
        identity(strange, shop): "token_signature",
        identity(test_side, shop): "token_signature",
        identity(secret, shop)[:-3] + "AAA": "token_signature",
        identity(secret, shop, exp=now - 1): "token_expired",
        identity(secret, shop, exp=now + 3700): "token_claims",
        identity(secret, shop, exp=None): "token_claims",
        identity(secret, theirs): "token_audience",
        identity(secret, shop, email=None): "token_claims",
        identity(secret, shop, email="noor"): "email_invalid",
        identity(secret, shop, first_name="x" * 81): "token_claims",
        identity(secret, shop, external_id="order-1", amount_minor=1): "token_claims",
    }
    assert {token: refused(token) for token in cases} == cases
    # A token is good for its own campaign only, also of the same business; and a person's token counts no purchase.
    second = make_campaign(alice.tenant, script_origins=[SHOP])
    html = client.post(address(second, "referrer"), {"identity": identity(secret, shop)}).content.decode()
    assert 'data-refused="token_audience"' in html
    answer = send(client, shop, "events", {"token": identity(secret, shop)})
    assert (answer.status_code, answer.json()["error"]) == (422, "token_claims")
    assert Participant.objects.count() == 1


def test_closed_campaigns_say_so_and_floods_are_limited(
    alice: Cast, client: Client, shop: Campaign, asha: Participant, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = identity(new_secret(tenant=alice.tenant, actor=ACTOR), shop)
    monkeypatch.setattr(script_calls, "MOST_CALLS", 1)
    answers = [client.post(address(shop, "referrer"), {"identity": token}).content.decode() for _ in range(2)]
    assert ["data-refused" in html for html in answers] == [False, True]
    assert 'data-refused="rate_limited"' in answers[1]
    path = address(shop, "invitee", f"?referralCode={asha.referral_code}")
    for status, words in ((Status.PAUSED, "taking a break"), (Status.ENDED, "has ended")):
        Campaign.objects.filter(pk=shop.pk).update(status=status)
        for answer in (client.get(path), client.post(path, {"email": "maya@example.net"})):
            assert (answer.status_code, words in answer.content.decode(), ancestors(answer)) == (
                200,
                True,
                [SHOP, OTHER],
            )
    Campaign.objects.filter(pk=shop.pk).update(status=Status.ACTIVE)
    RateLimit.objects.all().delete()
    monkeypatch.setattr("referrals.hosted.widget.join.seconds_to_wait", lambda _request: 30)
    answer = client.post(path, {"email": "maya@example.net"})
    assert (answer.status_code, answer["Retry-After"]) == (429, "30")
    assert Participant.objects.filter(email="maya@example.net").count() == 0


def test_hostile_texts_stay_texts_and_other_languages_are_spoken(
    client: Client, shop: Campaign, asha: Participant
) -> None:
    name = "<img src=x onerror=alert(1)>\"'{{7*7}}"
    shop.merchant.name = name
    shop.merchant.save()
    Participant.objects.filter(pk=asha.pk).update(first_name=name[:80])
    shop.texts.create(language="ar", reward_header=name, share_header=name)
    path = address(shop, "invitee", f"?referralCode={asha.referral_code}")
    html = client.get(f"{path}&lang=ar").content.decode()
    assert ("<img" in html, "49" in html, 'dir="rtl"' in html, "&lt;img src=x" in html) == (False, False, True, True)
    Campaign.objects.filter(pk=shop.pk).update(default_language="de")
    answer = client.get(path, headers={"accept-language": "fr"})
    assert ("hat an dich gedacht" in answer.content.decode(), answer["Content-Language"]) == (True, "de")


def test_it_is_under_the_campaigns_own_host_name_too(alice: Cast, client: Client, shop: Campaign) -> None:
    hosts.forget()
    Campaign.objects.filter(pk=shop.pk).update(host="go.halden.example", host_verified_at=timezone.now())
    other = make_campaign(alice.tenant, script_origins=[SHOP])
    own = {"host": "go.halden.example"}
    assert client.get(address(shop, "referrer"), headers=own).status_code == 200
    assert client.get(address(other, "referrer"), headers=own).status_code == 404
    hosts.forget()


def test_tab_and_pop_up_learn_their_words(client: Client, shop: Campaign, asha: Participant) -> None:
    Campaign.objects.filter(pk=shop.pk).update(discount_code="WELCOME15")
    said = send(client, shop, f"widget?code={asha.referral_code}&lang=de").json()
    assert (said["open"], said["brand"], said["onBrand"], said["direction"]) == (True, "#c93a17", "#ffffff", "ltr")
    assert (said["tab"], said["popup"] is None) == ("Invite friends", False)
    assert (said["popup"]["heading"], said["popup"]["code"], said["popup"]["button"]) == (
        "Asha V. thought of you", "WELCOME15", "Get my $15",
    )  # fmt: skip
    Campaign.objects.filter(pk=shop.pk).update(default_language="de", discount_code="{code}")
    said = send(client, shop, f"widget?code={asha.referral_code}&lang=de").json()
    assert (said["tab"], said["popup"]["heading"], said["popup"]["code"]) == (
        "Freunde einladen", "Asha V. hat an dich gedacht", asha.referral_code,
    )  # fmt: skip
    # The code is for those whom somebody sent; a page that is not on the list learns nothing.
    for code in ("", "nobody12", "x" * 500):
        assert send(client, shop, f"widget?code={code}").json()["popup"] is None
    assert send(client, shop, "widget", origin="https://evil.example").status_code == 403
    Campaign.objects.filter(pk=shop.pk).update(status=Status.PAUSED)
    assert send(client, shop, f"widget?code={asha.referral_code}").json()["open"] is False


@pytest.mark.parametrize("text", ["WELCOME 15", "<b>", "{other}", "-x", "x" * 41, "%31"])
def test_a_discount_code_is_one_word(alice: Cast, text: str) -> None:
    campaign = make_campaign(alice.tenant)
    with pytest.raises(Refused) as caught:
        update_campaign(campaign=campaign, actor=ACTOR, discount_code=text)
    assert caught.value.field == "discount_code"
    assert Campaign.objects.get(pk=campaign.pk).discount_code == ""
    update_campaign(campaign=campaign, actor=ACTOR, discount_code="{code}")


def test_it_asks_what_the_campaign_asks_of_those_who_join(alice: Cast, client: Client, shop: Campaign) -> None:
    secret, path = new_secret(tenant=alice.tenant, actor=ACTOR), address(shop, "referrer", "?lang=en")
    team = {"key": "team", "kind": "text", "required": True, "labels": {"en": "Your team"}}
    fields = {
        "questions": [team],
        "confirms_email": True,
        "asks_terms": True,
        "terms_url": "https://shop.example.com/t",
    }
    Campaign.objects.filter(pk=shop.pk).update(**fields)
    # Nobody answers in a customer's name: the form stands there with what the token says.
    html = client.post(path, {"identity": identity(secret, shop, first_name="Noor")}).content.decode()
    assert ('value="Noor@example.net"' in html, "Your team" in html, 'name="terms"' in html) == (True, True, True)
    token = re.search(r'name="token" value="([^"]+)"', html)[1]  # type: ignore[index]  # the form has one
    wrong = client.post(path, {"email": "noor@example.net", "token": token})
    assert (wrong.status_code, JoinRequest.objects.count()) == (422, 0)
    done = client.post(path, {"email": "noor@example.net", "token": token, "q_team": "Red", "terms": "on"})
    assert ("look into your mail" in done.content.decode(), Participant.objects.count()) == (True, 0)
    waiting = JoinRequest.objects.get()
    assert (waiting.email, waiting.source, waiting.answers) == ("noor@example.net", "widget", {"team": "Red"})
