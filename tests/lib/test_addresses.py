"""Addresses survive byte for byte, and nothing that two parsers read differently is one."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from referrals.lib.addresses import app_address, app_scheme, ascii_host, is_host_name, read_address, with_pairs

CODE = {"referralCode": "8Mnu79TD"}


@pytest.mark.parametrize(
    ("url", "made"),
    [
        ("https://shop.example.com", "https://shop.example.com/?referralCode=8Mnu79TD"),
        ("https://shop.example.com?", "https://shop.example.com/?referralCode=8Mnu79TD"),
        ("https://shop.example.com#top", "https://shop.example.com/?referralCode=8Mnu79TD#top"),
        ("HTTPS://Shop.Example.COM/A", "https://shop.example.com/A?referralCode=8Mnu79TD"),
        ("https://shop.example.com:8443/a/", "https://shop.example.com:8443/a/?referralCode=8Mnu79TD"),
        ("https://shop.example.com/a?x=1&y=%26z#part", "https://shop.example.com/a?x=1&y=%26z&referralCode=8Mnu79TD#part"),
        ("https://shop.example.com/?referralCode=old&b=", "https://shop.example.com/?b=&referralCode=8Mnu79TD"),
        ("https://shop.example.com/?referral%43ode=old", "https://shop.example.com/?referralCode=8Mnu79TD"),
        # Semicolons, plus signs, empty values, lower-case and double escapes, a question mark in the query, a slash that is none.
        (
            "https://shop.example.com/%2fa%2Fb;v=1/?q=a+b%20c;d&e&f=&g=%c3%A4%2520&h=?/#!/x?y=1",
            "https://shop.example.com/%2fa%2Fb;v=1/?q=a+b%20c;d&e&f=&g=%c3%A4%2520&h=?/&referralCode=8Mnu79TD#!/x?y=1",
        ),
        (
            "https://bücher.example/Käse?größe=ß|x#Überblick",
            "https://xn--bcher-kva.example/K%C3%A4se?gr%C3%B6%C3%9Fe=%C3%9F|x&referralCode=8Mnu79TD#%C3%9Cberblick",
        ),
        ("https://مثال.example/سلة", "https://xn--mgbh0fb.example/%D8%B3%D9%84%D8%A9?referralCode=8Mnu79TD"),
        ("http://[::1]:3000/x", "http://[::1]:3000/x?referralCode=8Mnu79TD"),
    ],
)  # fmt: skip
def test_everything_but_the_code_survives(url: str, made: str) -> None:
    address = read_address(url)
    assert address is not None
    assert with_pairs(address, CODE, instead=CODE).text() == made


@pytest.mark.parametrize(
    "url",
    [
        "", "shop.example.com", "//evil.example.com", "///evil.example.com", "/\\evil.example.com", "\\\\evil.example.com",
        "https:evil.example.com", "https:/evil.example.com", "https:///evil.example.com", "https://", "https://?x", "https://.",
        "https://shop@evil.example.com/", "https://shop.example.com:pw@evil.example.com/", "https://shop.example.com\\@evil.example.com/",
        "https://shop.example.com%2f@evil.example.com/", "https://evil.example.com\\.shop.example.com/", "https://ev\til.example.com/",
        "https://evil.example.com\x00.shop.example.com/", " https://evil.example.com", "https://evil.example.com\n",
        "https://shop.example.com/\r\nSet-Cookie: a=b", "https://[::1", "https://shop.example.com:99999/", "https://shop.example.com:x/",
        "https://shop.example.com:0/", "javascript:alert(1)", "java\nscript:alert(1)", "data:text/html,x", "ftp://shop.example.com/",
        "vbscript:x", "https://shop_example.com/", "https://①②⑦.⓪.⓪.①/", "https://shop。example。com@evil.example.com/",
        "https://shop.example.com\u2028.evil.example.com/", "https://ex%61mple.com/", "https://a\u202eb.example.com/", "https://-a.example.com",
        "https://shop.example.com/" + "a" * 2000,
    ],
)  # fmt: skip
def test_what_parsers_read_differently_is_no_address(url: str) -> None:
    assert read_address(url) is None


@example("https://shop.example.com#@evil.example.com")
@example("https://shop.example.com?@evil.example.com")
@given(st.one_of(st.text(max_size=60), st.text(alphabet="/\\@:?#.[]%ahtps \t\n;", max_size=30)))
def test_no_text_makes_a_dangerous_address(text: str) -> None:
    for url in (text, f"https://{text}", f"https://shop.example.com{text}", f"https://shop.example.com/{text}"):
        address = read_address(url)
        if address is None:
            continue
        made = with_pairs(address, CODE, instead=CODE).text()
        parts = urlsplit(made)
        assert (parts.scheme, parts.hostname) == (address.scheme, address.host)
        assert made.isascii()
        assert not any(ord(c) <= 32 or c in '\\"<>' for c in made)
        assert parts.query.endswith("referralCode=8Mnu79TD")


@pytest.mark.parametrize(
    ("text", "host", "public"),
    [
        ("Shop.Example.COM.", "shop.example.com", True),
        ("bücher.example", "xn--bcher-kva.example", True),
        ("localhost", "localhost", False),
        ("127.0.0.1", "127.0.0.1", False),
        ("2130706433", "2130706433", False),
        ("1.2.3.0x10", "1.2.3.0x10", False),
        ("shop.example.com/x", "", False),
        ("*.example.com", "", False),
        ("a..example.com", "", False),
        ("", "", False),
    ],
)
def test_host_names(text: str, host: str, public: bool) -> None:
    assert ascii_host(text) == host
    assert (bool(host) and is_host_name(host)) is public


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("halden://product/7", "halden://product/7?referralCode=8Mnu79TD"),
        ("halden://product?x=1#a", "halden://product?x=1&referralCode=8Mnu79TD#a"),
        ("halden://p?referralCode=old", "halden://p?referralCode=8Mnu79TD"),
        ("other://product", ""),
        ("javascript://%0aalert(1)", ""),
        ("halden:product", ""),
        ("halden://a b", ""),
        ("HALDEN://x", "halden://x?referralCode=8Mnu79TD"),
    ],
)
def test_links_into_an_app(text: str, made: str) -> None:
    assert app_address(text, ["halden", "javascript"], CODE) == made


@pytest.mark.parametrize(
    "text", ["javascript", "data:", "https://", "file", "intent", "blob", "1app", "", "a", "my app"]
)
def test_dangerous_schemes_are_no_apps(text: str) -> None:
    assert app_scheme(text) == ""


def test_an_apps_scheme_is_written_in_many_ways() -> None:
    assert {app_scheme(text) for text in ("halden", "Halden://", " halden: ")} == {"halden"}
