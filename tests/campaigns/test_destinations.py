"""Where a link leads on the merchant's side: the landing page, deep links, UTM parameters; and never anywhere else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.destinations import destination
from campaigns.link_settings import check_links
from campaigns.models import Campaign
from referrals.lib.addresses import read_address
from referrals.lib.errors import Refused

CODE = "8Mnu79TD"
SHOP = "https://shop.example.com/welcome?a=1#top"
LED = f"https://shop.example.com/welcome?a=1&referralCode={CODE}#top"


def a_campaign(**fields: Any) -> Campaign:
    values = {
        "landing_mode": "redirect",
        "landing_url": SHOP,
        "allowed_hosts": ["blog.example.net"],
        "app_schemes": ["halden"],
    }
    return Campaign(**{**values, **fields})


@pytest.mark.parametrize(
    ("to", "place"),
    [
        ("/sale?x=%2F#y", f"https://shop.example.com/sale?x=%2F&referralCode={CODE}#y"),
        ("/", f"https://shop.example.com/?referralCode={CODE}"),
        ("https://shop.example.com/sale", f"https://shop.example.com/sale?referralCode={CODE}"),
        ("https://blog.example.net/post", f"https://blog.example.net/post?referralCode={CODE}"),
        ("https://BLOG.example.net:443/post", f"https://blog.example.net:443/post?referralCode={CODE}"),
        ("halden://product/7", f"halden://product/7?referralCode={CODE}"),
    ],
)
def test_deep_links_lead_where_they_may(to: str, place: str) -> None:
    assert destination(a_campaign(), CODE, to=to) == place


@pytest.mark.parametrize(
    "to",
    [
        "//evil.example.com", "///evil.example.com", "/\\evil.example.com", "\\/evil.example.com", "/\t/evil.example.com",
        "https:evil.example.com", "https:/evil.example.com", "https://evil.example.com", "http://shop.example.com/",
        "https://shop.example.com@evil.example.com/", "https://shop.example.com.evil.example.com/", "https://evilshop.example.com/",
        "https://shop.example.com\\@evil.example.com/", "https://shop.example.com:8443/", "https://blog.example.net:8443/",
        "https://sub.blog.example.net/", "javascript:alert(1)", "javascript://shop.example.com/%0aalert(1)", "data:text/html,x",
        "other://product", "/a\r\nSet-Cookie: x=y", "/a\x00b", "sale", "@evil.example.com", ".evil.example.com", "?x", "#x",
    ],
)  # fmt: skip
def test_any_other_place_falls_back_to_the_landing_page(to: str) -> None:
    assert destination(a_campaign(), CODE, to=to) == LED
    assert destination(a_campaign(landing_mode="hosted"), CODE, to=to) == ""


@given(st.one_of(st.text(max_size=60), st.text(alphabet="/\\@:?#.%ahtpsevil \t\n;", max_size=30)))
def test_no_deep_link_leaves_the_allowed_places(text: str) -> None:
    for to in (text, f"/{text}", f"https://{text}", f"https://shop.example.com{text}", f"halden:{text}"):
        made = destination(a_campaign(), CODE, to=to)
        address = read_address(made)
        assert (address is not None and address.host in {"shop.example.com", "blog.example.net"}) or made.startswith(
            "halden://"
        )


def test_without_a_landing_page_a_path_leads_nowhere() -> None:
    campaign = a_campaign(landing_mode="hosted", landing_url="")
    assert destination(campaign, CODE, to="/sale") == ""
    assert (
        destination(campaign, CODE, to="https://blog.example.net/x")
        == f"https://blog.example.net/x?referralCode={CODE}"
    )


def test_utm_parameters_of_the_address_go_before_the_links_and_those_before_the_campaigns() -> None:
    campaign = a_campaign(
        landing_url="https://shop.example.com/?utm_source=shop",
        utm={"source": "friends", "medium": "referral", "campaign": "Früh & Co"},
    )
    assert destination(campaign, CODE, utm={"source": "x", "medium": "mail"}) == (
        f"https://shop.example.com/?utm_source=shop&referralCode={CODE}&utm_campaign=Fr%C3%BCh+%26+Co&utm_medium=mail"
    )


@pytest.mark.parametrize(
    ("fields", "field", "code"),
    [
        ({"allowed_hosts": ["https://shop.example.com"]}, "allowed_hosts", "host_invalid"),
        ({"allowed_hosts": ["*.example.com"]}, "allowed_hosts", "host_invalid"),
        ({"allowed_hosts": ["localhost"]}, "allowed_hosts", "host_invalid"),
        ({"allowed_hosts": [f"h{n}.example.com" for n in range(51)]}, "allowed_hosts", "too_many"),
        ({"app_schemes": ["javascript"]}, "app_schemes", "scheme_invalid"),
        ({"script_origins": ["http://shop.example.com"]}, "script_origins", "origin_invalid"),
        ({"script_origins": ["https://shop.example.com/a"]}, "script_origins", "origin_invalid"),
        ({"script_origins": ["https://*.example.com"]}, "script_origins", "origin_invalid"),
        ({"script_origins": ["null"]}, "script_origins", "origin_invalid"),
        ({"utm": {"id": "x"}}, "utm", "unknown_field"),
        ({"utm": {"source": "a\nb"}}, "utm_source", "too_long"),
        ({"landing_url": "https://user@shop.example.com/"}, "landing_url", "landing_url"),
        ({"landing_url": "http://shop.example.com/"}, "landing_url", "landing_url"),
        ({"link_name": "admin"}, "link_name", "name_reserved"),
    ],
)
def test_settings_that_are_wrong_are_named(fields: dict[str, Any], field: str, code: str) -> None:
    with pytest.raises(Refused) as caught:
        check_links(a_campaign(**fields), fields)
    assert (caught.value.field, caught.value.code) == (field, code)


def test_settings_are_kept_in_one_form() -> None:
    campaign = a_campaign(
        allowed_hosts=["Shop.Example.com.", "bücher.example", "shop.example.com"],
        app_schemes=["Halden://"],
        script_origins=["HTTPS://Shop.example.com:443/", "https://bücher.example:8443", "http://localhost:8080"],
        utm={"source": " x ", "term": ""},
    )
    check_links(campaign, ["allowed_hosts", "app_schemes", "script_origins", "utm"])
    assert campaign.script_origins == [
        "https://shop.example.com", "https://xn--bcher-kva.example:8443", "http://localhost:8080",
    ]  # fmt: skip
    assert (campaign.allowed_hosts, campaign.app_schemes, campaign.utm) == (
        ["shop.example.com", "xn--bcher-kva.example"], ["halden"], {"source": "x"},
    )  # fmt: skip
