"""Signals about who they say they are: addresses, names, where money goes."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Any

from participants.fraud.facts import Facts, Person
from participants.fraud.lists import DISPOSABLE, PUBLIC_MAIL, RELAYS, decoded_domain, mixes_scripts, under
from referrals.lib.emails import mask_email

Found = tuple[str, dict[str, Any]]
_FILLING = re.compile(r"[\d._+\-]+")


def fold(text: str) -> str:
    """A name for comparing: NFKC, without case, accents and doubled blanks."""
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    return " ".join("".join(char for char in plain if not unicodedata.combining(char)).split())


def plus_variant(facts: Facts) -> Iterator[Found]:
    """S02: the same mailbox but for a tag after the +, as the referrer's or as another friend's."""
    local, domain = facts.friend.local, facts.friend.domain
    for other in (facts.referrer.email, *facts.siblings):
        theirs, _at, their_domain = other.rpartition("@")
        same = (theirs.split("+", 1)[0], their_domain) == (local.split("+", 1)[0], domain)
        if same and theirs != local and ("+" in local or "+" in theirs):
            yield "plus_variant", {"other": mask_email(other)}
            return


def payout(facts: Facts) -> Iterator[Found]:
    """S03: paid to the referrer's own destination, or to one that three people or more share."""
    if facts.same_payout:
        yield "same_payout", {}
    if facts.payout_sharers >= 3:
        yield "payout_crowd", {"people": facts.payout_sharers}


def names(facts: Facts) -> Iterator[Found]:
    """S06: the referrer's name, or an address built like theirs or like another friend's."""
    mine, theirs = _name(facts.friend), _name(facts.referrer)
    if mine[1] and mine == theirs and mine[0]:
        yield "same_name", {}
    elif mine[1] and mine[1] == theirs[1]:
        yield "same_surname", {}
    stem = _stem(facts.friend.local)
    if len(stem) < 4:
        return
    if stem == _stem(facts.referrer.local):
        yield "similar_address", {"other": mask_email(facts.referrer.email)}
        return
    for other in facts.siblings:
        # Numbers that count up: maya17, maya18. Two people of one name without numbers are two people.
        local = other.rpartition("@")[0]
        if local != facts.friend.local and stem == _stem(local) and _digits(local) and _digits(facts.friend.local):
            yield "similar_address", {"other": mask_email(other)}
            return


def company(facts: Facts) -> Iterator[Found]:
    """S07: both at one company's domain."""
    domain = facts.friend.domain
    public = under(domain, PUBLIC_MAIL) or under(domain, RELAYS) or under(domain, DISPOSABLE)
    if domain and domain == facts.referrer.domain and not public:
        yield "same_company", {"domain": decoded_domain(domain)}


def mailbox(facts: Facts) -> Iterator[Found]:
    """S08: a throw-away or forwarding address, and letters that pretend to be others."""
    friend = facts.friend
    domain = decoded_domain(friend.domain)
    if under(friend.domain, DISPOSABLE):
        yield "disposable_address", {"domain": domain}
    elif under(friend.domain, RELAYS):
        yield "relay_address", {"domain": domain}
    if any(mixes_scripts(label) for label in domain.split(".")) or mixes_scripts(friend.local):
        yield "lookalike_letters", {"where": "address"}
    elif any(mixes_scripts(word) for word in f"{friend.first_name} {friend.last_name}".split()):
        yield "lookalike_letters", {"where": "name"}


def _name(person: Person) -> tuple[str, str]:
    return fold(person.first_name), fold(person.last_name)


def _stem(local: str) -> str:
    """The letters of a local part: what stays when the counting is taken away."""
    return fold(_FILLING.sub("", local.split("+", 1)[0]))


def _digits(local: str) -> bool:
    return any(char.isdigit() for char in local)
