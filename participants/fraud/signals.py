"""The table of signals S01 to S15: what each looks for, its points, and what it says to the merchant (RELIABILITY section 11.2).

Pure: facts in, findings out. A new signal is a new entry in SIGNALS and its check; nothing else changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from participants.fraud import conduct, identity, technical
from participants.fraud.facts import Facts

Text = str | Promise
Found = tuple[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Variant:
    """One form of a signal: its points, and its sentence with the evidence's names as blanks."""

    points: int
    sentence: Text


@dataclass(frozen=True, slots=True)
class Signal:
    """One signal. `check` yields the names of the variants that it found, each with masked evidence."""

    code: str
    check: Callable[[Facts], Iterator[Found]]
    variants: Mapping[str, Variant] = field(default_factory=dict)


def _hard(_facts: Facts) -> Iterator[Found]:
    """S01 is decided by the rules, not by points: `self_referral` (rewards.eligibility)."""
    yield from ()


SIGNALS: tuple[Signal, ...] = (
    Signal("S01", _hard),
    Signal(
        "S02",
        identity.plus_variant,
        {"plus_variant": Variant(35, _("The address is %(other)s with another tag after the +"))},
    ),
    Signal(
        "S03",
        identity.payout,
        {
            "same_payout": Variant(80, _("Both are paid to the same place")),
            "payout_crowd": Variant(60, _("%(people)s people are paid to the same place")),
        },
    ),
    Signal(
        "S04",
        technical.browser,
        {"same_browser": Variant(60, _("Joined in the browser that the referrer's own page was open in"))},
    ),
    Signal(
        "S05",
        technical.address,
        {
            "same_address": Variant(40, _("Same internet address as the referrer within a day (%(network)s)")),
            "crowded_address": Variant(
                15, _("Same internet address as the referrer, which %(people)s others used too (%(network)s)")
            ),
        },
    ),
    Signal(
        "S06",
        identity.names,
        {
            "same_name": Variant(30, _("Same first and last name as the referrer")),
            "same_surname": Variant(10, _("Same last name as the referrer")),
            "similar_address": Variant(20, _("The address is built like %(other)s")),
        },
    ),
    Signal("S07", identity.company, {"same_company": Variant(10, _("Both have an address at %(domain)s"))}),
    Signal(
        "S08",
        identity.mailbox,
        {
            "disposable_address": Variant(30, _("A throw-away address (%(domain)s)")),
            "lookalike_letters": Variant(40, _("Letters that look like others, in the %(where)s")),
            "relay_address": Variant(5, _("An address that forwards to another (%(domain)s)")),
        },
    ),
    Signal(
        "S09",
        technical.pace,
        {
            "many_an_hour": Variant(25, _("%(count)s friends of this referrer joined within an hour")),
            "many_a_day": Variant(40, _("%(count)s friends of this referrer joined within a day")),
            "address_twice": Variant(
                10, _("%(count)s friends of this referrer joined from one internet address within a day")
            ),
            "address_often": Variant(
                25, _("%(count)s friends of this referrer joined from one internet address within a day")
            ),
            "address_flood": Variant(
                50, _("%(count)s friends of this referrer joined from one internet address within a day")
            ),
        },
    ),
    Signal(
        "S10",
        conduct.timing,
        {
            "hasty_joining": Variant(30, _("Joined %(seconds)s seconds after opening the link")),
            "hasty_order": Variant(15, _("Ordered %(seconds)s seconds after the referrer got their link")),
        },
    ),
    Signal(
        "S11",
        technical.machine,
        {
            "hosting_network": Variant(25, _("Came from a network on your list of data centres (%(network)s)")),
            "machine_browser": Variant(40, _("Joined with a program, not a person's browser (%(agent)s)")),
        },
    ),
    Signal(
        "S12",
        conduct.source,
        {
            "blocked": Variant(100, _("On your block list: %(what)s")),
            "banned_host": Variant(60, _("Came from a site on your block list (%(host)s)")),
            "coupon_site": Variant(30, _("Came from a site that collects codes (%(host)s)")),
            "code_without_clicks": Variant(
                30, _("The code was used %(count)s times within an hour without a click on the link")
            ),
            "paid_click": Variant(30, _("Came through a paid advertisement (%(parameter)s)")),
        },
    ),
    Signal(
        "S13",
        conduct.circle,
        {
            "circle": Variant(70, _("%(people)s people invited each other in a circle")),
            "mutual": Variant(50, _("They invited each other, in different campaigns")),
        },
    ),
    Signal(
        "S14",
        conduct.money,
        {
            "many_refunds": Variant(
                30, _("%(refunded)s of %(sales)s purchases by this referrer's friends were taken back")
            ),
            "just_enough": Variant(20, _("The order is just the minimum purchase")),
            "unusual_order": Variant(20, _("The order is %(times)s times the campaign's average")),
        },
    ),
    Signal(
        "S15",
        conduct.recipient,
        {"same_recipient": Variant(40, _("Name and postcode are those of the referrer's own orders"))},
    ),
)

BY_CODE: dict[str, Signal] = {signal.code: signal for signal in SIGNALS}
VARIANTS: dict[str, tuple[str, Variant]] = {
    name: (signal.code, variant) for signal in SIGNALS for name, variant in signal.variants.items()
}
# Findings that rest on the same evidence, and the most points that they make together.
SAME_EVIDENCE: tuple[tuple[frozenset[str], int], ...] = (
    (frozenset({"same_browser", "same_address", "crowded_address"}), 70),
    # People who work in one place share its address and its domain: that is one finding.
    (frozenset({"crowded_address", "same_company", "address_twice"}), 25),
    (frozenset({"plus_variant", "similar_address"}), 35),
    (frozenset({"same_payout", "payout_crowd"}), 80),
    (frozenset({"circle", "mutual"}), 70),
)
