"""The Install page: the campaign's own ids in every snippet, no secret on any page, snippets that work, and the live check."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from campaigns import sightings
from campaigns.models import Campaign, Sighting
from referrals.accounts.keys import create_api_key
from referrals.accounts.signing import new_secret
from referrals.hosted.widget import read_identity
from referrals.web import install_snippets
from referrals.web.campaign_install import CHECK, WAYS
from tests.factories import ACTOR, Cast, buy, make_campaign, make_friend, make_participant
from tests.hosted.test_script import SHOP, send

RUN = {
    "python": ("python3", "-c", "{code}\nprint(referral_identity('noor@example.net', 'Noor', 'Haddad'))"),
    "node": ("node", "-e", "{code}\nconsole.log(referralIdentity('noor@example.net', 'Noor', 'Haddad'));"),
    "php": ("php", "-r", "{code}\necho referral_identity('noor@example.net', 'Noor', 'Haddad');"),
    "ruby": ("ruby", "-e", "{code}\nputs referral_identity('noor@example.net', 'Noor', 'Haddad')"),
}
# What every language makes of the same second, secret and campaign, byte for byte; the signature is openssl's.
NOW = {"python": "int(time.time())", "node": "Math.floor(Date.now() / 1000)", "php": "time()", "ruby": "Time.now.to_i"}
VECTOR = (
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJhdWQiOiJKQ3U4MmYzMEYxIiwiZXhwIjoxNzY3MjI1NjAwLCJlbWFpbCI6Im5vb3JAZXhhbXBsZS5uZXQiL"
    "CJmaXJzdF9uYW1lIjoiTm9vciIsImxhc3RfbmFtZSI6IkhhZGRhZCJ9.6Pi5l0Dph-3s0inRpOiUr_uNMfThZEYUaP8RxLw7iP4"
)


def run(language: str, code: str, secret: str) -> str:
    program, option, call = RUN[language]
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"{program} is not installed here")
    command = [path, option, call.replace("{code}", code)]
    done = subprocess.run(
        command, env={"REFERRALS_SIGNING_SECRET": secret, "PATH": "/usr/bin:/bin"}, capture_output=True, check=True
    )
    return done.stdout.decode().strip()


@pytest.mark.parametrize("language", RUN)
def test_every_languages_snippet_makes_the_same_token(language: str) -> None:
    code = install_snippets.identity(Campaign(public_id="JCu82f30F1"), language)
    fixed = code.replace(NOW[language], "1767225000")
    assert (code.count("JCu82f30F1"), fixed != code) == (1, True)
    # Also where the language is not installed: the same claims in the same order, and the secret from the environment.
    parts = re.findall(r"JCu82f30F1|1767225000 \+ 600|HS256|sha256|SIGNING_SECRET", fixed, re.IGNORECASE)
    assert {part.lower() for part in parts} >= {"jcu82f30f1", "1767225000 + 600", "hs256", "sha256", "signing_secret"}
    assert run(language, fixed, "ss_test_0123456789") == VECTOR


def test_the_snippets_token_is_believed(alice: Cast, campaign: Campaign) -> None:
    secret = new_secret(tenant=alice.tenant, actor=ACTOR)
    token = run("python", install_snippets.identity(campaign, "python"), secret)
    person = read_identity(token, campaign)
    assert (person.email, person.first_name, person.last_name) == ("noor@example.net", "Noor", "Haddad")


def page(cast: Cast, campaign: Campaign, query: str = "", **headers: str) -> Any:
    return cast.client.get(f"/app/campaigns/{campaign.public_id}/install/{query}", headers=headers)


def test_each_way_has_the_campaigns_own_ids_and_no_secret(
    alice: Cast, bob: Cast, charlie: Cast, campaign: Campaign
) -> None:
    secret = new_secret(tenant=alice.tenant, actor=ACTOR)
    keys = [
        create_api_key(tenant=alice.tenant, name="Shop", actor=ACTOR, kind=kind) for kind in ("secret", "publishable")
    ]
    Campaign.objects.filter(pk=campaign.pk).update(script_origins=[SHOP], name="<b>x</b>", discount_code="WELCOME15")
    wanted = {
        "hosted": [f"http://localhost:8000/campaign?id={campaign.public_id}"],
        "redirect": [f'data-campaign="{campaign.public_id}"', f"{SHOP}/?referralCode={CHECK}"],
        "embed": [
            "http://localhost:8000/js/widgets.js",
            'data-referral-widget="popup"',
            "frame-src http://localhost:8000",
        ],
        "app": ["REFERRALS_SIGNING_SECRET", f'"aud": "{campaign.public_id}"', secret[-4:]],
        "sign-up": ["data-referral-form", "/api/v2/participants", f"{keys[1][0].prefix}…{keys[1][0].last4}"],
        "payment": [
            "/api/v2/events",
            "<stripe-pricing-table",
            f'<script src="http://localhost:8000/js/shopify.js" data-campaign="{campaign.public_id}" defer>',
            f'<s-button href="http://localhost:8000/campaign?id={campaign.public_id}"',
            "data-referral-pay",
            f'cookies["referral_{campaign.public_id}"]',
            '"currency": "USD"',
            f"{keys[0][0].prefix}…{keys[0][0].last4}",
        ],
    }
    assert set(wanted) == set(WAYS)
    for cast in (alice, bob):
        for way, texts in wanted.items():
            answer = page(cast, campaign, f"?way={way}")
            text = html.unescape(answer.content.decode())
            assert (answer.status_code, [part for part in texts if part not in text]) == (200, []), way
            assert not any(word in text for word in (secret, keys[0][1], keys[1][1]))
            assert "<b>x</b>" not in answer.content.decode()
    for language in RUN:
        assert install_snippets.LANGUAGES[language][2] in html.unescape(
            page(alice, campaign, f"?way=app&in={language}").content.decode()
        )
    assert "Nothing to install." in page(alice, campaign, "?way=<x>&in=<y>").content.decode()
    assert page(charlie, campaign).status_code == 404


def test_the_commands_are_the_apis(alice: Cast, campaign: Campaign, client: Client) -> None:
    _key, text = create_api_key(tenant=alice.tenant, name="Shop", actor=ACTOR, scopes=["participants", "events"])
    asha = make_participant(campaign)
    for code, path in (
        (install_snippets.sign_up_call(campaign).replace("8Mnu79TD", asha.referral_code), "/api/v2/participants"),
        (install_snippets.payment_call(campaign), "/api/v2/events"),
    ):
        body = code.partition("-d '")[2].removesuffix("'")
        assert path in code
        headers = {"authorization": f"Bearer {text}"}
        assert client.post(path, json.loads(body), content_type="application/json", headers=headers).status_code == 201


def test_the_live_check_tells_what_was_seen(alice: Cast, campaign: Campaign, client: Client) -> None:
    sightings.forget()
    Campaign.objects.filter(pk=campaign.pk).update(script_origins=[SHOP])

    def seen(way: str) -> str:
        answer = page(alice, campaign, f"?way={way}", **{"hx-request": "true", "hx-target": "seen"})
        text = str(answer.content.decode())
        assert (text.count("<section"), "<html" in text) == (1, False)
        return text

    for way in WAYS:
        assert ("Open:" in seen(way), "Met:" in seen(way)) == (True, False), way
    # The script called: a code that nobody has counts no visit.
    assert send(client, campaign, "visit", {"code": CHECK}).json()["error"] == "code_not_found"
    Sighting.objects.update(seen_at=timezone.now() - timedelta(minutes=2))
    assert ("2 minutes ago" in seen("redirect"), SHOP in seen("redirect")) == (True, True)
    # Once in half a minute is enough; strangers' pages are not seen at all.
    send(client, campaign, "campaign")
    sightings.forget()
    send(client, campaign, "campaign", origin="https://evil.example")
    client.get(f"/widget/{campaign.public_id}/referrer?origin=https://evil.example")
    assert [row.way for row in Sighting.objects.all()] == ["script"]
    assert "2 minutes ago" in seen("redirect")
    client.get(f"/widget/{campaign.public_id}/referrer?origin={SHOP}")
    send(client, campaign, "campaign")
    assert sorted(Sighting.objects.values_list("way", "origin")) == [("script", SHOP), ("widget", SHOP)]
    assert ("2 minutes ago" in seen("redirect"), SHOP in seen("embed")) == (False, True)
    # Sign-ups and payments, by where they came from; what was added by hand proves nothing.
    friend = make_friend(make_participant(campaign))
    buy(friend)
    assert ("Met:" in seen("payment"), "A sign-up arrived" in seen("sign-up")) == (False, True)
    send(client, campaign, "participants", {"email": "maya@example.org"})
    assert "by the script on the merchant&#x27;s page" in seen("sign-up")
    rows = friend.qualifying_events.filter(type="purchase")
    rows.update(source="stripe")
    assert ("Met:" in seen("payment"), "Stripe" in seen("payment")) == (True, True)


def test_another_campaigns_signals_are_not_shown(alice: Cast, campaign: Campaign, client: Client) -> None:
    sightings.forget()
    other = make_campaign(alice.tenant, script_origins=[SHOP])
    send(client, other, "campaign")
    assert "Met:" not in page(alice, campaign, "?way=redirect").content.decode()
