"""The Links page of a campaign."""

from __future__ import annotations

from typing import Any

import pytest

from campaigns.models import Campaign
from participants.models import Visit
from tests.factories import Cast, make_campaign, make_participant


def _url(campaign: Campaign) -> str:
    return f"/app/campaigns/{campaign.public_id}/links/"


def _form(campaign: Campaign, **changes: Any) -> dict[str, Any]:
    return {
        "revision": campaign.revision,
        "landing_mode": "hosted",
        "landing_url": "",
        "allowed_hosts": "",
        "app_schemes": "",
        "script_origins": "",
        "consent": "always",
        "link_name": "",
        "own_codes": "on",
        **changes,
    }


def test_everything_is_saved_and_an_example_is_shown(alice: Cast, campaign: Campaign) -> None:
    answer = alice.client.post(
        _url(campaign),
        _form(
            campaign, landing_mode="redirect", landing_url="https://shop.example.com/welcome?x=%2F#top", utm_source="friends",
            consent="ask",
            allowed_hosts="Blog.example.com\n\n shop.example.net ", app_schemes="halden://",
            script_origins="https://Shop.example.com/", link_name="halden", own_codes="",
        ),
    )  # fmt: skip
    assert answer["Location"] == _url(campaign)
    campaign.refresh_from_db()
    assert (campaign.landing_mode, campaign.landing_url) == ("redirect", "https://shop.example.com/welcome?x=%2F#top")
    assert (campaign.allowed_hosts, campaign.app_schemes) == (["blog.example.com", "shop.example.net"], ["halden"])
    assert campaign.script_origins == ["https://shop.example.com"]
    assert (campaign.utm, campaign.consent, campaign.link_name, campaign.own_codes) == (
        {"source": "friends"},
        "ask",
        "halden",
        False,
    )
    html = alice.client.get(_url(campaign)).content.decode()
    assert "https://shop.example.com/welcome?x=%2F&amp;referralCode=8Mnu79TD&amp;utm_source=friends#top" in html
    assert "blog.example.com\nshop.example.net</textarea>" in html


def test_machines_are_counted_apart(alice: Cast, campaign: Campaign) -> None:
    asha = make_participant(campaign)
    for number, reason in enumerate(["", "", "bot", "prefetch", "head"]):
        Visit.objects.create(
            merchant=campaign.merchant, campaign=campaign, referrer=asha, visitor=f"v{number}", hidden_reason=reason
        )
    html = alice.client.get(_url(campaign)).content.decode()
    assert '<dt>Clicks</dt><dd class="num">2</dd><dd>3 bots hidden</dd>' in html
    assert "3 bots hidden" in alice.client.get(f"/app/campaigns/{campaign.public_id}/").content.decode()


@pytest.mark.parametrize(
    ("changes", "field", "message"),
    [
        ({"landing_mode": "redirect"}, "landing_url", "Enter the full address of your page, beginning with https://."),
        ({"landing_mode": "redirect", "landing_url": "javascript:alert(1)"}, "landing_url", None),
        ({"landing_mode": "redirect", "landing_url": "//evil.example.com"}, "landing_url", None),
        ({"landing_url": "https://a@shop.example.com/"}, "landing_url", None),
        ({"allowed_hosts": "https://x.example.com/"}, "allowed_hosts", None),
        ({"app_schemes": "javascript"}, "app_schemes", None),
        ({"script_origins": "shop.example.com"}, "script_origins", None),
        ({"utm_term": "x" * 101}, "utm_term", None),
        ({"consent": "maybe"}, "consent", None),
        ({"link_name": "Halden!"}, "link_name", None),
        ({"link_name": "taken"}, "link_name", "Another campaign has this name. Choose another one."),
    ],
)
def test_what_is_wrong_is_said_at_its_field(
    alice: Cast, campaign: Campaign, changes: dict[str, str], field: str, message: str | None
) -> None:
    make_campaign(alice.tenant, link_name="taken")
    answer = alice.client.post(_url(campaign), _form(campaign, **changes))
    assert answer.status_code in {409, 422}
    errors = answer.context["form"].errors
    assert list(errors) == [field]
    assert message is None or errors[field] == [message]
    name, value = list(changes.items())[-1]
    assert answer.context["form"][name].value() == value
    after = Campaign.objects.get(pk=campaign.pk)
    assert (after.revision, after.landing_mode, after.link_name) == (campaign.revision, "hosted", "")


def test_a_copy_has_no_name_of_its_own(alice: Cast, campaign: Campaign) -> None:
    Campaign.objects.filter(pk=campaign.pk).update(link_name="halden", consent="ask")
    alice.client.post(f"/app/campaigns/{campaign.public_id}/copy/")
    copy = Campaign.objects.exclude(pk=campaign.pk).get()
    assert (copy.link_name, copy.consent) == ("", "ask")
