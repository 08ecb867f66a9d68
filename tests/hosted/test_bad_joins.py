"""Joining as it should not be done: twice, with one's own code, with two, with another campaign's, from one address without end."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client, RequestFactory
from django.utils import timezone

from campaigns.models import Campaign, Status
from participants.models import Participant, Referral
from referrals.events.models import Event
from referrals.hosted.join import seconds_to_wait
from referrals.lib.errors import Refused
from rewards import services
from tests.factories import ACTOR, Cast, make_campaign, make_participant
from tests.hosted.test_join import submit

MAYA = "maya@example.net"


def join(campaign: Campaign, code: str = "", email: str = MAYA) -> Participant:
    return services.join(campaign=campaign, email=email, actor=ACTOR, source="api", referred_by_code=code).participant


def test_twice_and_with_two_codes_is_once_and_the_first_ones(
    double: Campaign, asha: Participant, person: Client
) -> None:
    bela = make_participant(double, "bela@example.org")
    submit(person, double, asha.referral_code)
    for code in (asha.referral_code, bela.referral_code):
        submit(person, double, code, email=" Maya@Example.NET ")
        join(double, code)
    assert Participant.objects.filter(email_key=MAYA).count() == 1
    referral = Referral.objects.get()
    assert referral.referrer == asha
    # Whoever came too late is told once, on the time line.
    told = Event.objects.get(type="referral.refused", referrer_ref=bela.public_id)
    assert told.data["reason"] == "already_referred"


@pytest.mark.parametrize("spelling", ["asha@example.com", " ASHA@example.com", "asha+friend@example.com"])
def test_with_ones_own_code(double: Campaign, asha: Participant, spelling: str) -> None:
    with pytest.raises(Refused) as caught:
        join(double, asha.referral_code, spelling)
    assert caught.value.code == "self_referral"
    assert (Participant.objects.count(), Referral.objects.count()) == (1, 0)


def test_with_a_code_of_another_campaign(alice: Cast, charlie: Cast, double: Campaign, person: Client) -> None:
    for tenant in (alice.tenant, charlie.tenant):
        stranger = make_participant(make_campaign(tenant))
        page = person.get(f"/campaign?id={double.public_id}&referralCode={stranger.referral_code}")
        assert "Nobody has the referral code" in page.content.decode()
        with pytest.raises(Refused) as caught:
            join(double, stranger.referral_code)
        assert (caught.value.code, caught.value.status) == ("code_not_found", 404)
    assert not Participant.objects.filter(email_key=MAYA).exists()


@pytest.mark.parametrize(("status", "code"), [(Status.PAUSED, "campaign_paused"), (Status.ENDED, "campaign_ended")])
def test_with_a_code_of_a_campaign_that_is_not_open(
    double: Campaign, asha: Participant, status: str, code: str
) -> None:
    Campaign.objects.filter(pk=double.pk).update(status=status)
    double.refresh_from_db()
    with pytest.raises(Refused) as caught:
        join(double, asha.referral_code)
    assert caught.value.code == code
    assert Participant.objects.count() == 1


def test_with_spaces_a_code_counts_and_in_another_case_it_is_unknown(double: Campaign, asha: Participant) -> None:
    Participant.objects.filter(pk=asha.pk).update(referral_code="aBcDeFgH")
    join(double, " aBcDeFgH\n")
    assert Referral.objects.get().referrer == asha
    for code in ("ABCDEFGH", "abcdefgh", "aBcDeFg H", "aBcDeFgH%20", "aBcDeFgH\u200b"):
        with pytest.raises(Refused):
            join(double, code, "other@example.net")
    assert Referral.objects.count() == 1


def asked(forwarded: str = "", remote: str = "203.0.113.7") -> int:
    """How long this address has to wait before it may join."""
    headers: dict[str, Any] = {"HTTP_X_FORWARDED_FOR": forwarded} if forwarded else {}
    return seconds_to_wait(RequestFactory().post("/campaign", REMOTE_ADDR=remote, **headers))


def test_one_address_joins_sixty_times_an_hour_however_often_it_tries(db: None) -> None:
    start = timezone.now().replace(minute=0, second=0, microsecond=0) + timedelta(days=1)
    allowed = 0
    for minute in range(59):
        with time_machine.travel(start + timedelta(minutes=minute), tick=False):
            allowed += sum(asked() == 0 for _ in range(10 if minute < 8 else 1))
    assert allowed == 60
    with time_machine.travel(start + timedelta(minutes=30), tick=False):
        assert asked(remote="203.0.113.8") == 0


def test_a_spoofed_forwarded_address_does_not_help(db: None, settings: Any) -> None:
    settings.TRUSTED_PROXY_COUNT = 0
    waits = [asked(f"198.51.100.{number}") for number in range(12)]
    assert [wait > 0 for wait in waits] == [False] * 10 + [True] * 2
    # Behind one proxy: what it wrote itself counts, the last one; what the client put before it does not.
    settings.TRUSTED_PROXY_COUNT = 1
    waits = [asked(f"198.51.100.{number}, 203.0.113.9", remote="10.0.0.1") for number in range(12)]
    assert [wait > 0 for wait in waits] == [False] * 10 + [True] * 2
    assert asked("198.51.100.1, 203.0.113.10", remote="10.0.0.1") == 0
    # Fewer hops than proxies, or nonsense in their place: the socket's own address.
    settings.TRUSTED_PROXY_COUNT = 2
    waits = [asked("nonsense", remote="10.0.0.2") for _ in range(11)]
    assert waits[-1] > 0


def test_ipv6_is_counted_by_the_network_of_a_customer(db: None) -> None:
    waits = [asked(remote=f"2001:db8:0:1::{number:x}") for number in range(12)]
    assert [wait > 0 for wait in waits] == [False] * 10 + [True] * 2
    assert asked(remote="2001:db8:0:2::1") == 0
    # An IPv4 address written as IPv6 is that address, and not everybody's.
    waits = [asked(remote=f"::ffff:203.0.113.{number}") for number in range(12)]
    assert waits == [0] * 12


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE", "OPTIONS", "PROPFIND"])
def test_other_methods_and_their_disguises_do_nothing(double: Campaign, asha: Participant, method: str) -> None:
    pages = [f"/campaign?id={double.public_id}", "/campaign/confirm?w=x", "/campaign/terms", "/campaign/joined", "/me/"]
    for page in [*pages, f"/r/{asha.referral_code}", "/me/mails/x"]:
        assert Client().generic(method, page).status_code == 405
        disguised = {
            "HTTP_X_HTTP_METHOD_OVERRIDE": "POST",
            "HTTP_X_HTTP_METHOD": "POST",
            "HTTP_X_METHOD_OVERRIDE": "POST",
        }
        body = {"_method": "POST", "email": MAYA}
        assert Client().get(page, body, **disguised).status_code < 500  # type: ignore[arg-type]
    assert Participant.objects.count() == 1


@pytest.mark.parametrize("host", ["evil.example", "localhost@evil.example", "localhost:80@evil.example", "", "a b"])
def test_another_host_is_refused_whatever_other_headers_say(double: Campaign, host: str) -> None:
    page = f"/campaign?id={double.public_id}"
    for headers in ({}, {"HTTP_X_FORWARDED_HOST": "localhost"}, {"HTTP_FORWARDED": "host=localhost"}):
        answer = Client().get(page, HTTP_HOST=host, **headers)  # type: ignore[arg-type]
        assert answer.status_code == 400 or (host == "" and answer.status_code == 200)
    for headers in ({"HTTP_X_FORWARDED_HOST": "evil.example"}, {"HTTP_FORWARDED": "host=evil.example"}):
        answer = Client().get(page, **headers)  # type: ignore[arg-type]
        assert answer.status_code == 200
        assert b"evil" not in answer.content
