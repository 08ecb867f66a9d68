"""Signals about browsers, networks and pace."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from participants.fraud.facts import Facts

Found = tuple[str, dict[str, Any]]
# From how many other accounts on, an internet address is an office, a campus or a mobile network.
CROWD = 20
_MACHINE = re.compile(
    r"headless|phantomjs|selenium|webdriver|puppeteer|playwright|cypress|splash|htmlunit|slimerjs|electron"
    r"|^(?:curl|wget|python|go-http-client|java|okhttp|node-fetch|axios|httpx|aiohttp|libwww|scrapy|ruby|php|apache-httpclient)\b",
    re.IGNORECASE,
)


def is_machine(agent: str) -> bool:
    """Whether a browser's name is that of a program that drives pages by itself."""
    return bool(_MACHINE.search(agent))


def browser(facts: Facts) -> Iterator[Found]:
    """S04: the browser in which the referrer's own page was open."""
    if facts.same_browser:
        yield "same_browser", {}


def address(facts: Facts) -> Iterator[Found]:
    """S05: the referrer's internet address within 24 hours; little when a crowd uses it."""
    if not facts.same_address:
        return
    if facts.crowd > CROWD:
        yield "crowded_address", {"network": facts.network, "people": facts.crowd}
    else:
        yield "same_address", {"network": facts.network}


def pace(facts: Facts) -> Iterator[Found]:
    """S09: many friends in a short time, and many of them from one internet address. A crowd's address counts as two."""
    if facts.referrals_day > 20:
        yield "many_a_day", {"count": facts.referrals_day}
    elif facts.referrals_hour > 5:
        yield "many_an_hour", {"count": facts.referrals_hour}
    count = facts.address_signups
    if count < 2:
        return
    if facts.crowd > CROWD or count < 4:
        yield "address_twice", {"count": count}
    else:
        yield "address_flood" if count >= 6 else "address_often", {"count": count}


def machine(facts: Facts) -> Iterator[Found]:
    """S11: a data centre's network by the operator's list, and browsers that no person sits at."""
    if facts.hosting:
        yield "hosting_network", {"network": facts.network}
    found = _MACHINE.search(facts.agent)
    if found:
        yield "machine_browser", {"agent": found.group(0)}
