"""The settings of a participant's own page: mails, language, and where they are logged in."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from campaigns import services as campaigns
from campaigns.models import Campaign
from participants import mailing, portal
from participants.models import Participant, PortalSession
from referrals.events.models import Event
from referrals.hosted.browsers import browser_words
from tests.factories import ACTOR, Cast, make_campaign, make_participant
from tests.hosted.test_portal import opened, text_of


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Windows"),
        ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36", "Chrome on Linux"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605 Version/18.0 Safari/604.1", "Safari on iPhone"),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0", "Edge on Windows"),
        ("Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 SamsungBrowser/28.0 Chrome/130.0 Safari", "Samsung Internet on Android"),
        ("curl/8.0", "Unknown browser"),
        ("", "Unknown browser"),
    ],
)  # fmt: skip
def test_browsers_have_names(agent: str, words: str) -> None:
    assert browser_words(agent) == words


def test_one_browser_or_all_others_are_logged_out(
    asha: Participant, alice: Cast, browser_client: Callable[..., Client]
) -> None:
    mine, phone, work = (opened(browser_client(), asha) for _ in range(3))
    # The same address in another campaign of the merchant is the same person.
    tablet = opened(browser_client(), make_participant(make_campaign(alice.tenant, name="Autumn"), "asha@example.com"))
    bea = opened(browser_client(), make_participant(asha.campaign, "bea@example.com"))
    first, second, third, fourth, fifth = PortalSession.objects.order_by("pk").values_list("pk", flat=True)
    text = text_of(mine.get("/me/settings"))
    assert text.count("Chrome on Linux Since") == 4
    assert "This browser" in text

    def live() -> list[int]:
        return list(PortalSession.objects.filter(ended_at=None).order_by("pk").values_list("pk", flat=True))

    for which in ("", "x", "9" * 30, str(fifth)):
        assert mine.post("/me/settings/sessions", {"which": which}).status_code == 303
    assert live() == [first, second, third, fourth, fifth]
    assert mine.post("/me/settings/sessions", {"which": str(second)}).status_code == 303
    assert live() == [first, third, fourth, fifth]
    assert phone.get("/me/settings").status_code == 302
    assert mine.post("/me/settings/sessions", {"which": "others"}).status_code == 303
    assert live() == [first, fifth]
    assert [client.get("/me/settings").status_code for client in (mine, work, tablet, bea)] == [200, 302, 302, 200]


def test_when_a_session_was_used_last_is_kept_to_five_minutes(asha: Participant, person: Client) -> None:
    opened(person, asha)
    first = PortalSession.objects.get().seen_at
    person.get("/me/")
    assert PortalSession.objects.get().seen_at == first
    with time_machine.travel(timezone.now() + timedelta(minutes=6)):
        person.get("/me/")
        assert timezone.now() - PortalSession.objects.get().seen_at < timedelta(minutes=1)
        assert portal.is_fresh(PortalSession.objects.get())
    with time_machine.travel(timezone.now() + timedelta(minutes=16)):
        assert not portal.is_fresh(PortalSession.objects.get())


def test_mails_and_language_are_chosen(asha: Participant, double: Campaign, person: Client) -> None:
    campaigns.save_texts(campaign=double, language="de", actor=ACTOR, texts={"reward_header": "Für dich"})
    mailing.stop(asha, "digest")  # which this campaign does not send
    opened(person, asha)
    html = person.get("/me/settings").content.decode()
    assert 'value="friend_joined" checked' in html
    assert 'value="digest"' not in html
    answer = person.post("/me/settings/mails", {"kind": ["reward_due", "reward_issued", "x"], "language": "de"})
    assert answer.status_code == 303
    stopped = mailing.stopped_kinds(asha)
    assert {"friend_joined", "milestone", "digest"} <= stopped
    assert not stopped & {"", "reward_due", "reward_issued", "x"}
    asha.refresh_from_db()
    assert asha.language == "de"
    assert "Mails, die du möchtest" in text_of(person.get("/me/settings?done=mails"))
    fields = [event.data["fields"] for event in Event.objects.filter(type="participant.changed").order_by("pk")]
    assert fields == [["mails"], ["mails"], ["language"]]

    person.post("/me/settings/mails", {"kind": ["reward_due"], "none": "1", "language": "xx"})
    assert "" in mailing.stopped_kinds(asha)
    assert not mailing.wants(asha, "reward_due")
    asha.refresh_from_db()
    assert asha.language == "de"
    assert mailing.choose(asha, mailing.stopped_kinds(asha)) is False


@pytest.mark.parametrize("path", ["settings", "settings/mails", "settings/sessions", "payout"])
def test_nobody_else_gets_in(db: None, person: Client, path: str) -> None:
    call = person.get if path == "settings" else person.post
    answer = call(f"/me/{path}")
    assert (answer.status_code, answer["Location"]) == (302, "/me/")
