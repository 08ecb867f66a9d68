"""Twelve honest patterns that look a little like fraud: people who live, study, work and shop together, or like their privacy."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from random import Random

from bench.fraud_people import FIRST, LAST, MAIL, NOW, person, strangers
from participants.fraud.facts import Facts


def friends(rng: Random) -> Facts:
    """Two people who know each other and share nothing else."""
    return strangers(rng)


def couple(rng: Random) -> Facts:
    """They live together; half share a last name. The referrer has had the link for days before, and rarely opens their page."""
    last = rng.choice(LAST)
    other = last if rng.random() < 0.5 else ""
    return strangers(
        rng, referrer=person(rng, last=last), friend=person(rng, last=other), same_address=rng.random() < 0.12
    )


def family(rng: Random) -> Facts:
    """A parent, a grown child or a cousin: one last name, sometimes one roof."""
    last = rng.choice(LAST)
    pair = {"referrer": person(rng, last=last), "friend": person(rng, last=last)}
    return strangers(rng, **pair, same_address=rng.random() < 0.08, address_signups=1 + (rng.random() < 0.1))


def campus(rng: Random) -> Facts:
    """Students behind one address, some with addresses of the university, in the week of a keen referrer."""
    domain = "" if rng.random() < 0.5 else "students.uni-example.edu"
    return strangers(
        rng,
        referrer=person(rng, domain=domain),
        friend=person(rng, domain=domain),
        same_address=rng.random() < 0.5,
        crowd=rng.randint(25, 400),
        address_signups=rng.choice((1, 1, 2, 3)),
        referrals_hour=rng.choice((1, 1, 2, 4)),
        referrals_day=rng.choice((1, 2, 4, 8)),
    )


def office(rng: Random) -> Facts:
    """Colleagues behind one address with addresses of the company."""
    domain = f"{rng.choice(LAST).lower()}-works.example.com"
    return strangers(
        rng,
        referrer=person(rng, domain=domain),
        friend=person(rng, domain=domain),
        same_address=rng.random() < 0.5,
        crowd=rng.randint(21, 120) if rng.random() < 0.9 else rng.randint(2, 20),
        address_signups=rng.choice((1, 1, 2)),
    )


def same_surname(rng: Random) -> Facts:
    """Strangers with one common last name."""
    last = rng.choice(("Kim", "Smith", "Khan", "Nguyen"))
    return strangers(rng, referrer=person(rng, last=last), friend=person(rng, last=last))


def kiosk(rng: Random) -> Facts:
    """A tablet in the shop: many people join at one address, through many referrers, who are elsewhere."""
    return strangers(
        rng,
        crowd=rng.randint(5, 60),
        address_signups=rng.choice((1, 1, 1, 2)),
        clicked_at=None,
        unclicked_hour=rng.choice((1, 1, 2, 3)),
    )


def relay(rng: Random) -> Facts:
    """Hide My Email: a random forwarding address, no last name."""
    local = "".join(rng.choice("abcdefghijklmnopqrstuvwxyz0123456789") for _ in range(10))
    return strangers(rng, friend=person(rng, local=local, domain="privaterelay.appleid.com"))


def privacy_plus(rng: Random) -> Facts:
    """Somebody who gives every shop a tag of its own, at Gmail or at their own domain."""
    domain = rng.choice(("gmail.com", "lee-family.example.net"))
    local = f"{rng.choice(FIRST).lower()}.{rng.choice(LAST).lower()}+halden"
    return strangers(rng, friend=person(rng, local=local, domain=domain))


def mobile_network(rng: Random) -> Facts:
    """Telephones behind one carrier's address."""
    return strangers(
        rng, same_address=rng.random() < 0.3, crowd=rng.randint(30, 5000), address_signups=rng.choice((1, 1, 2))
    )


def newsletter_day(rng: Random) -> Facts:
    """A popular person's post: a dozen friends in an afternoon, each from home; they order quickly."""
    count = rng.randint(4, 14)
    return strangers(
        rng,
        referrals_hour=rng.randint(1, min(count, 9)),
        referrals_day=count,
        siblings=tuple(person(rng).email for _ in range(count)),
        ordered_at=NOW + timedelta(minutes=rng.randint(2, 40)),
        shared_at=NOW - timedelta(days=rng.randint(1, 90)),
    )


def gift_and_big_order(rng: Random) -> Facts:
    """A wedding or an office order: ten times the average or more; or the smallest order that counts."""
    average = rng.randint(3000, 6000)
    amount, minimum = (average * rng.randint(8, 30), None) if rng.random() < 0.5 else (2000, 2000)
    return strangers(rng, amount=amount, average=average, minimum=minimum, friend=person(rng, domain=rng.choice(MAIL)))


HONEST: dict[str, Callable[[Random], Facts]] = {
    make.__name__: make
    for make in (
        friends,
        couple,
        family,
        campus,
        office,
        same_surname,
        kiosk,
        relay,
        privacy_plus,
        mobile_network,
        newsletter_day,
        gift_and_big_order,
    )
}
