"""Traces of browsers: what is kept of an internet address, and for how long (docs/fraud.md)."""

from __future__ import annotations

import base64
import ipaddress
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from pathlib import Path

from django.conf import settings
from django.utils.crypto import salted_hmac

from participants.fraud.models import Trace
from participants.models import Participant
from referrals.lib import clock
from referrals.lib.requests import truncate_ip

LIFE = timedelta(days=90)
# Networks of a house, a machine or a proxy nobody named: they say nothing about where a person is.
_INSIDE = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.168.0.0/16 ::/128 ::1/128 fc00::/7 fe80::/10"
    ).split()
)
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Seen:
    """Who was at the browser: its internet address, its name, and ids that are the same again. Any of them may be unknown ("")."""

    ip: str = ""
    agent: str = ""
    devices: tuple[str, ...] = ()


def is_outside(ip: str) -> bool:
    """Whether an address belongs to the internet, and so to somebody: neither private nor this machine's."""
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return not any(address in network for network in _INSIDE if network.version == address.version)


def keep(participant: Participant, seen: Seen) -> bool:
    """Keep what was seen of a participant's browser, the address as a keyed hash and a shortened network. One INSERT, or none.

    Returns whether there was anything to keep.
    """
    ip = seen.ip if is_outside(seen.ip) else ""
    agent = "".join(char for char in seen.agent if char.isprintable())[:200]
    devices = [device for device in dict.fromkeys(seen.devices) if device]
    if not (ip or agent or devices):
        return False
    now = clock.now()
    Trace.objects.bulk_create(
        Trace(
            merchant_id=participant.merchant_id,
            is_test=participant.is_test,
            participant=participant,
            at=now,
            address=_keyed(participant, "address", _one_line(ip)) if ip else "",
            browser=_keyed(participant, "browser", device) if device else "",
            network=_network(ip) if ip else None,
            agent=agent,
            hosting=bool(ip) and is_hosting(ip),
        )
        for device in devices or [""]
    )
    return True


def _network(ip: str) -> str:
    """The shortened network: of the IPv4 address, where one is written as IPv6."""
    return truncate_ip(_one_line(ip)) if "/" not in _one_line(ip) else truncate_ip(ip)


def _one_line(ip: str) -> str:
    """What one line of a provider has: an IPv4 address, or an IPv6 network of 64 bits."""
    address = ipaddress.ip_address(ip)
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network(f"{address}/64", strict=False))
    return str(address)


def _keyed(participant: Participant, kind: str, text: str) -> str:
    """22 characters that are the same for the same text and the same side of the same merchant, and can't be turned back."""
    salt = f"participants.fraud.{kind}.{participant.merchant_id}.{participant.is_test:d}"
    return base64.urlsafe_b64encode(salted_hmac(salt, text, algorithm="sha256").digest()[:16]).decode().rstrip("=")


def is_hosting(ip: str) -> bool:
    """Whether an address lies in the operator's list of data centres, VPNs and Tor exits (FRAUD_NETWORKS_FILE)."""
    path = str(settings.FRAUD_NETWORKS_FILE)
    if not path:
        return False
    try:
        changed = Path(path).stat().st_mtime_ns
    except OSError:
        return False
    address = ipaddress.ip_address(ip)
    return any(address in network for network in _ranges(path, changed) if network.version == address.version)


@lru_cache(maxsize=2)
def _ranges(path: str, _changed: int) -> tuple[Network, ...]:
    """The list's networks, one a line; what is no network, and what follows a #, is passed over."""
    found = []
    for line in Path(path).read_text(encoding="utf-8", errors="replace").splitlines():
        text = line.split("#", 1)[0].strip()
        try:
            found.append(ipaddress.ip_network(text, strict=False))
        except ValueError:
            continue
    return tuple(found)


def shown(network: str | None) -> str:
    """A shortened network with its length: 203.0.113.0/24."""
    return f"{network}/{48 if ':' in network else 24}" if network else ""


def forget() -> int:
    """Delete traces older than 90 days. Returns how many went."""
    gone, _each = Trace.objects.filter(at__lt=clock.wall() - LIFE).delete()
    return gone
