"""Drawn people and moments for the fraud figures: names, addresses, paces, as they are in shops that have nothing to do with fraud."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from participants.fraud.facts import Facts, Person

FIRST = (
    "Asha Maya Noor Jonas Lena Omar Priya Wei Sofia Lucas Emma Noah Olivia Liam Ava Ethan Mia Aiden Zoe "
    "Ivan Olga Hana Yuki Kenji Amara "
    "Kofi Zainab Fatima Hassan Ali Elif Deniz Marta Paulo Ines Hugo "
    "Chloe Louis Anna Peter Eva Milan Nina Viktor Greta Bjorn Astrid Leif Carmen"
).split()
LAST = (
    "Rao Khan Patel Sharma Chen Wang Kim Park Sato Tanaka Garcia Lopez Silva Santos Rossi "
    "Bianchi Muller Schmidt Weber Becker Dubois "
    "Martin Bernard Novak Svoboda Kowalski Nowak Ivanova Petrov Hansen Larsen Nilsson Berg "
    "Smith Jones Brown Taylor Wilson Clark Lewis Walker "
    "Mensah Okafor Diallo Yilmaz Kaya Haddad Nasser Cohen Levi"
).split()
MAIL = ("gmail.com", "outlook.com", "yahoo.com", "icloud.com", "gmx.de", "proton.me", "orange.fr", "naver.com")
BROWSERS = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 Version/18.1 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 Chrome/131.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/131.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/18.1 Safari/605.1.15",
)
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


def person(rng: Random, *, first: str = "", last: str = "", domain: str = "", local: str = "") -> Person:
    """Somebody with a name and an address of the usual forms; one in eight gives no last name."""
    first, last = first or rng.choice(FIRST), last or rng.choice(LAST)
    forms = (
        f"{first}.{last}",
        f"{first}{last}{rng.randint(1, 99)}",
        f"{first[0]}{last}",
        f"{last}{rng.randint(1950, 2007)}",
        f"{first}{rng.randint(100, 9999)}",
        f"{rng.choice(('blue', 'sun', 'river', 'coffee', 'cat', 'moon'))}{rng.choice(FIRST)}{rng.randint(1, 999)}",
    )
    address = f"{local or rng.choice(forms)}@{domain or rng.choice(MAIL)}".lower()
    return Person(address, address, first, "" if rng.random() < 1 / 8 else last)


def strangers(rng: Random, **known: Any) -> Facts:
    """An ordinary referral: two people, each at home, at a person's pace. What `known` names is not drawn."""
    referrer = known.pop("referrer", None) or person(rng)
    friend = known.pop("friend", None) or person(rng)
    clicked = NOW
    joined = clicked + timedelta(seconds=max(2.0, rng.lognormvariate(3.6, 0.8)))
    ordered = joined + timedelta(minutes=rng.lognormvariate(4, 2))
    average = rng.randint(3000, 9000)
    minimum = rng.choice((None, 2000, 3000))
    amount = round(average * rng.lognormvariate(-0.15, 0.55))
    sales = rng.choice((0, 0, 1, 2, 3, 6, 12))
    day = min(rng.choice((1, 1, 1, 1, 2, 2, 3)), 1 + rng.randint(0, 3))
    facts = Facts(
        referrer,
        friend,
        siblings=tuple(person(rng).email for _ in range(rng.randint(0, 6))),
        network=f"198.51.{rng.randint(0, 255)}.0",
        crowd=rng.choice((0, 0, 0, 1, 3)),
        agent=rng.choice(BROWSERS),
        address_signups=1,
        referrals_hour=1,
        referrals_day=day,
        shared_at=clicked - timedelta(hours=rng.lognormvariate(3, 1.5)),
        clicked_at=clicked,
        joined_at=joined,
        ordered_at=ordered,
        sales=sales,
        sales_refunded=sum(rng.random() < 0.06 for _ in range(sales)),
        amount=amount,
        minimum=minimum,
        average=average,
    )
    return replace(facts, **known)
