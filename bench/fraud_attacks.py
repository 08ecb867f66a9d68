"""Fourteen attacks, drawn with the care that real ones are made with: some hide one trace, few hide all."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from random import Random

from bench.fraud_people import FIRST, NOW, person, strangers
from participants.fraud.facts import Facts, Person
from participants.fraud.lists import DISPOSABLE

_DISPOSABLE = sorted(DISPOSABLE)


def _throwaway(rng: Random) -> Person:
    return person(rng, domain=rng.choice(_DISPOSABLE))


def second_mailbox(rng: Random) -> Facts:
    """Invites themselves at another provider, in the browser that their own page is open in."""
    me = person(rng)
    again = person(rng, first=me.first_name, last=me.last_name, local=me.local if rng.random() < 0.5 else "")
    return strangers(
        rng,
        referrer=me,
        friend=again,
        same_browser=rng.random() < 0.95,
        same_address=rng.random() < 0.9,
        address_signups=1,
    )


def private_window(rng: Random) -> Facts:
    """Invites themselves in a private window at home, with the own name and in a hurry."""
    me = person(rng)
    again = person(
        rng,
        first=me.first_name,
        last=me.last_name,
        local=f"{me.local}{rng.randint(1, 99)}" if rng.random() < 0.7 else "",
    )
    return strangers(
        rng,
        referrer=me,
        friend=again,
        same_address=rng.random() < 0.95,
        clicked_at=NOW,
        joined_at=NOW + timedelta(seconds=rng.uniform(1, 12)),
        shared_at=NOW - timedelta(seconds=rng.uniform(10, 600)),
        ordered_at=NOW + timedelta(seconds=rng.uniform(15, 300)),
        same_recipient=rng.random() < 0.7,
    )


def plus_addresses(rng: Random) -> Facts:
    """Tags at a domain of the own, one after the other, from home."""
    name = rng.choice(FIRST).lower()
    domain = f"own-{rng.randint(1, 99)}.example.com"
    made = rng.randint(2, 6)
    return strangers(
        rng,
        referrer=person(rng, local=name, domain=domain),
        friend=person(rng, local=f"{name}+{made}", domain=domain),
        siblings=tuple(f"{name}+{n}@{domain}" for n in range(1, made)),
        same_address=rng.random() < 0.9,
        address_signups=made,
        referrals_hour=made,
        referrals_day=made,
    )


def throw_away_mail(rng: Random) -> Facts:
    """A handful of throw-away mailboxes from one line, in a hurry."""
    made = rng.randint(3, 9)
    return strangers(
        rng,
        friend=_throwaway(rng),
        siblings=tuple(_throwaway(rng).email for _ in range(made)),
        same_address=rng.random() < 0.75,
        address_signups=made if rng.random() < 0.85 else 1,
        referrals_hour=made,
        referrals_day=made,
    )


def script_burst(rng: Random) -> Facts:
    """A script that joins dozens from one address."""
    made = rng.randint(15, 200)
    return strangers(
        rng,
        address_signups=made,
        referrals_hour=made,
        referrals_day=made,
        joined_at=NOW + timedelta(seconds=rng.uniform(0.2, 4)),
        siblings=tuple(f"user{n}@mail.example.org" for n in range(40)),
        friend=person(rng, local=f"user{made}", domain="mail.example.org"),
    )


def headless_browser(rng: Random) -> Facts:
    """Headless browsers in a data centre, faster than a person."""
    made = rng.randint(3, 30)
    return strangers(
        rng,
        agent=rng.choice(
            ("Mozilla/5.0 (X11; Linux x86_64) HeadlessChrome/131.0.0.0 Safari/537.36", "python-requests/2.32")
        ),
        hosting=rng.random() < 0.7,
        joined_at=NOW + timedelta(seconds=rng.uniform(0.3, 3.5)),
        referrals_hour=made,
        referrals_day=made,
        address_signups=rng.choice((1, 2, 5)),
    )


def ring(rng: Random) -> Facts:
    """Accounts that invite each other in a circle."""
    return strangers(rng, cycle=rng.randint(3, 12), same_address=rng.random() < 0.4, address_signups=rng.randint(1, 4))


def mutual_pair(rng: Random) -> Facts:
    """Two accounts of one person that invite each other in every campaign."""
    return strangers(
        rng,
        mutual=True,
        same_address=rng.random() < 0.8,
        same_browser=rng.random() < 0.6,
        same_recipient=rng.random() < 0.5,
    )


def lookalikes(rng: Random) -> Facts:
    """One name over and over, with letters of other alphabets and numbers that count up."""
    name = rng.choice(("Anna", "Peter", "Maya", "Petra"))
    number = rng.randint(2, 60)
    base = f"{name}.{rng.choice(('karlsson', 'moreau', 'fischer'))}".lower()
    friend = person(rng, first=name.replace("a", "а").replace("e", "е"), local=f"{base}{number}", domain="gmail.com")
    return strangers(
        rng,
        friend=friend,
        siblings=tuple(f"{base}{n}@gmail.com" for n in range(1, number)),
        referrals_hour=min(number, rng.randint(1, 12)),
        referrals_day=min(number, 18),
        address_signups=rng.choice((1, 3, 7)),
        same_address=rng.random() < 0.5,
    )


def coupon_site(rng: Random) -> Facts:
    """The code stands on a site that collects codes: strangers use it all day, without the link."""
    used = rng.randint(8, 90)
    return strangers(
        rng,
        source_host=rng.choice(("retailmenot.com", "www.mydealz.de", "forum.example.org")),
        clicked_at=None,
        unclicked_hour=used,
        referrals_hour=used,
        referrals_day=used * 3,
    )


def brand_ads(rng: Random) -> Facts:
    """An affiliate buys advertisements on the shop's own name."""
    used = rng.randint(6, 60)
    return strangers(rng, paid_click=rng.choice(("gclid", "msclkid")), referrals_hour=used, referrals_day=used * 4)


def refund_farm(rng: Random) -> Facts:
    """Buys the smallest order through fresh accounts, keeps the reward, sends the goods back."""
    sales = rng.randint(5, 30)
    return strangers(
        rng,
        sales=sales,
        sales_refunded=round(sales * rng.uniform(0.35, 0.95)),
        amount=2000,
        minimum=2000,
        same_recipient=rng.random() < 0.8,
        same_address=rng.random() < 0.5,
        referrals_day=rng.randint(1, 8),
        referrals_hour=1,
    )


def one_wallet(rng: Random) -> Facts:
    """Many accounts, one place where the money goes."""
    return strangers(rng, same_payout=True, payout_sharers=rng.randint(2, 9), address_signups=rng.randint(1, 3))


def one_doorstep(rng: Random) -> Facts:
    """New mailboxes, other browsers and networks, but the parcel goes to the own name and door."""
    me = person(rng)
    friend = person(rng, first=me.first_name, last=me.last_name)
    return strangers(
        rng,
        referrer=me,
        friend=friend,
        same_recipient=True,
        same_address=rng.random() < 0.3,
        amount=2000,
        minimum=rng.choice((None, 2000)),
    )


ATTACKS: dict[str, Callable[[Random], Facts]] = {
    make.__name__: make
    for make in (
        second_mailbox,
        private_window,
        plus_addresses,
        throw_away_mail,
        script_burst,
        headless_browser,
        ring,
        mutual_pair,
        lookalikes,
        coupon_site,
        brand_ads,
        refund_farm,
        one_wallet,
        one_doorstep,
    )
}
