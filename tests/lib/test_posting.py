"""Messages leave for public addresses only, whatever their names resolve to at that moment (RELIABILITY section 6, row 22)."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from referrals.lib.http import is_public
from referrals.lib.posting import Post, Sender


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "100.100.100.200", "0.1.2.3", "224.0.0.1",
        "255.255.255.255", "192.0.0.8", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.9", "240.0.0.1", "192.88.99.1", "::1", "::",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::1", "2002:7f00:1::", "2001:0:7f00:1::", "fe80::1%eth0",
        "fc00::1", "ff02::1", "2001:db8::1", "3fff::1", "5f00::1", "100::1", "2001:20::1", "fec0::1", "::10.0.0.1", "4000::1", "nonsense",
    ],
)  # fmt: skip
def test_what_is_not_the_public_internet(address: str) -> None:
    assert is_public(address) is False


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "::ffff:8.8.8.8"])
def test_what_is(address: str) -> None:
    assert is_public(address) is True


def test_a_name_that_leads_inside_is_refused_at_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {"rebinding.example.com": ["10.0.0.1"], "mixed.example.com": ["8.8.8.8", "127.0.0.1"]}

    def resolve(host: Any, port: Any, *args: Any, **kwargs: Any) -> list[Any]:
        name = host.decode() if isinstance(host, bytes) else host
        if name not in names:
            raise socket.gaierror(-2, "no such name")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in names[name]]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    hosts = ["rebinding.example.com", "mixed.example.com", "127.0.0.1", "[::1]", "0x7f000001", "nowhere.example.com"]
    with Sender() as sender:
        errors = [sender.send(Post(f"https://{host}/", {}, b"{}")).error for host in hosts]
    assert errors[:4] == ["blocked_address"] * 4
    assert errors[5] == "unknown_host"
    assert errors[4] in {"unknown_host", "blocked_address"}
