"""Looking whether a campaign's own host name is proven and leads here: one DNS question and one request over https."""

from __future__ import annotations

from dataclasses import dataclass

import dns.exception
import dns.resolver

from campaigns.hosts import PROOF_PATH, RECORD
from referrals.lib import http

SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Found:
    """What was found: whether the TXT record is right, whether the name leads here, and what was found instead."""

    proven: bool
    leads_here: bool
    records: tuple[str, ...] = ()
    problem: str = ""


def look_at(host: str, proof: str) -> Found:
    """Ask DNS for the record and the name itself for the proof. Takes seconds: never inside a transaction."""
    records = texts_of(f"{RECORD}.{host}")
    proven = f"passalong={proof}" in records
    try:
        answer = http.request("GET", f"https://{host}{PROOF_PATH}")
    except http.HttpError as error:
        return Found(proven, False, records, str(error))
    lines = answer.body[:4000].decode("utf-8", "replace").split()
    here = answer.status == 200 and proof in lines
    return Found(proven, here, records, "" if here else f"It answered {answer.status}.")


def texts_of(name: str) -> tuple[str, ...]:
    """The TXT records of a name, at most ten, cut to size; none when DNS has none or does not answer."""
    try:
        answer = dns.resolver.resolve(name, "TXT", lifetime=SECONDS)
    except (dns.exception.DNSException, OSError):
        return ()
    return tuple(b"".join(row.strings).decode("utf-8", "replace")[:200] for row in answer)[:10]
