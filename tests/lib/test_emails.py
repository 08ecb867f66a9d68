"""Addresses: which are one mailbox, which one person, and which are none at all."""

from __future__ import annotations

import pytest

from referrals.lib.emails import EmailError, mask_email, parse_email


@pytest.mark.parametrize(
    ("text", "key", "identity"),
    [
        ("Asha@Example.COM", "asha@example.com", "asha@example.com"),
        ("asha+news@example.com", "asha+news@example.com", "asha@example.com"),
        ("A.sha.V@gmail.com", "a.sha.v@gmail.com", "ashav@gmail.com"),
        ("asha.v+1@googlemail.com", "asha.v+1@googlemail.com", "ashav@gmail.com"),
        ("maya@bücher.example.com", "maya@xn--bcher-kva.example.com", "maya@xn--bcher-kva.example.com"),
    ],
)
def test_addresses_are_folded(text: str, key: str, identity: str) -> None:
    email = parse_email(text)
    assert (email.key, email.identity) == (key, identity)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "asha",
        "\ufdfa" * 20 + "@example.com",
        "\ufdfa@example.com",
        "asha@",
        "asha@localhost",
        "a@b@example.com",
        "asha@example.com\r\nBcc: x@example.com",
        "asha\u202e@example.com",
        '"a b"@example.com',
        "asha@[127.0.0.1]",
        "a" * 250 + "@example.com",
        "asha @example.com",
        "asha\u200b@example.com",
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(EmailError):
        parse_email(text)


def test_a_masked_address_tells_its_owner_enough() -> None:
    assert mask_email("maya.chen@example.com") == "m•••@example.com"
