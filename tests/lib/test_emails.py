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
        ("MAYA@BÜCHER.example.com", "maya@xn--bcher-kva.example.com", "maya@xn--bcher-kva.example.com"),
        ("maya@xn--bcher-kva.example.com", "maya@xn--bcher-kva.example.com", "maya@xn--bcher-kva.example.com"),
        # Full-width letters, dots and plus of an East Asian keyboard; a ligature; a letter and its accent apart.
        ("ｍａｙａ＋ｘ@ｅｘａｍｐｌｅ.com", "maya+x@example.com", "maya@example.com"),
        ("ma．ya@example。com", "ma.ya@example.com", "ma.ya@example.com"),
        ("ﬁn@example.com", "fin@example.com", "fin@example.com"),
        ("ma\u0301ya@example.com", "máya@example.com", "máya@example.com"),
        ("+tag@example.com", "+tag@example.com", "+tag@example.com"),
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
        "asha＠verma@example.com",
        "asha＠example.com",
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(EmailError):
        parse_email(text)


@pytest.mark.parametrize(
    ("text", "identity"),
    [
        ("a.sha@gmail.com", "asha@gmail.com"),
        ("asha@googlemail.com", "asha@gmail.com"),
        ("as.ha+x@googlemail.com", "asha@gmail.com"),
        ("asha@protonmail.com", "asha@proton.me"),
        ("asha@protonmail.ch", "asha@proton.me"),
        ("asha@pm.me", "asha@proton.me"),
        ("asha+shop@proton.me", "asha@proton.me"),
        ("asha@me.com", "asha@icloud.com"),
        ("asha@mac.com", "asha@icloud.com"),
        ("asha+shop@icloud.com", "asha@icloud.com"),
        ("asha@ya.ru", "asha@yandex.ru"),
        ("asha@yandex.com", "asha@yandex.ru"),
        ("asha@yandex.kz", "asha@yandex.ru"),
        ("asha+shop@outlook.com", "asha@outlook.com"),
        ("asha+shop@hotmail.com", "asha@hotmail.com"),
        ("asha+shop@fastmail.com", "asha@fastmail.com"),
        ("shop@asha.fastmail.com", "asha@fastmail.com"),
        ("shop+1@asha.fastmail.fm", "asha@fastmail.fm"),
        ("asha+shop@halden.example", "asha@halden.example"),
    ],
)
def test_the_same_mailbox_is_the_same_person(text: str, identity: str) -> None:
    assert parse_email(text).identity == identity


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a.sha@example.com", "asha@example.com"),
        ("a.sha@outlook.com", "asha@outlook.com"),
        ("a.sha@proton.me", "asha@proton.me"),
        ("a.sha@icloud.com", "asha@icloud.com"),
        ("asha@outlook.com", "asha@hotmail.com"),
        ("asha@fastmail.com", "asha@fastmail.fm"),
        ("asha-shop@yahoo.com", "asha@yahoo.com"),
        ("asha@mail.example.com", "asha@example.com"),
        ("asha@asha.example.com", "asha@example.com"),
        ("asha_v@gmail.com", "ashav@gmail.com"),
        ("asha@gmail.com.example.com", "asha@gmail.com"),
        ("ásha@example.com", "asha@example.com"),
    ],
)
def test_two_mailboxes_are_two_people(one: str, other: str) -> None:
    assert parse_email(one).identity != parse_email(other).identity


def test_a_masked_address_tells_its_owner_enough() -> None:
    assert mask_email("maya.chen@example.com") == "m•••@example.com"
