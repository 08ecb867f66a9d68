"""Each signal by its facts, the sum of them, and what they judge of drawn people (RELIABILITY section 11.2, INV-18)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.fraud import count, main
from bench.fraud_attacks import ATTACKS
from bench.fraud_honest import HONEST
from participants.fraud.facts import Facts, Person
from participants.fraud.lists import DISPOSABLE, PLUS_MAIL, PUBLIC_MAIL, RELAYS, under
from participants.fraud.presets import HIGH, LOW, MEDIUM, PRESETS, RANK, UNKNOWN
from participants.fraud.scoring import Reason, assess, sentence, trusted, unknown, without_doubles
from participants.fraud.signals import BY_CODE, SIGNALS, VARIANTS, Signal

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
ASHA = Person("asha.rao@example.com", "asha.rao@example.com", "Asha", "Rao")
MAYA = Person("maya.khan@example.net", "maya.khan@example.net", "Maya", "Khan")
PLAIN = Facts(ASHA, MAYA)


def somebody(email: str, first: str = "Maya", last: str = "Khan") -> Person:
    """A person with an address."""
    return Person(email, email, first, last)


def found(**facts: Any) -> list[tuple[str, str, int]]:
    """What the signals find in two strangers with these facts."""
    return [(reason.code, reason.name, reason.points) for reason in assess(replace(PLAIN, **facts), "balanced").reasons]


def test_two_strangers_are_low() -> None:
    answer = assess(PLAIN, "balanced")
    assert (answer.level, answer.score, answer.reasons, answer.suspicious) == (LOW, 0, (), False)


CASES: list[tuple[str, dict[str, Any], list[tuple[str, str, int]]]] = [
    ("S02 a tag of the referrer's", {"friend": somebody("asha.rao+2@example.com", "", "")},
     [("S02", "plus_variant", 35), ("S06", "similar_address", 0), ("S07", "same_company", 10)]),
    ("S02 a tag of another friend's", {"friend": somebody("m+2@example.net"), "siblings": ("m+1@example.net",)},
     [("S02", "plus_variant", 35)]),
    ("S02 one tag for each shop is fine", {"friend": somebody("maya+halden@example.net")}, []),
    ("S03 the referrer's account", {"same_payout": True}, [("S03", "same_payout", 80)]),
    ("S03 three share one", {"payout_sharers": 3}, [("S03", "payout_crowd", 60)]),
    ("S03 two share one", {"payout_sharers": 2}, []),
    ("S03 both are one finding", {"same_payout": True, "payout_sharers": 9}, [("S03", "same_payout", 80), ("S03", "payout_crowd", 0)]),
    ("S04 the same browser", {"same_browser": True}, [("S04", "same_browser", 60)]),
    ("S05 the same address", {"same_address": True, "crowd": 20}, [("S05", "same_address", 40)]),
    ("S05 a crowd's address", {"same_address": True, "crowd": 21}, [("S05", "crowded_address", 15)]),
    ("S04 and S05 are 70", {"same_browser": True, "same_address": True}, [("S04", "same_browser", 60), ("S05", "same_address", 10)]),
    ("S06 the same name", {"friend": somebody("x@example.net", "asha", "RÁO")}, [("S06", "same_name", 30)]),
    ("S06 the same last name", {"friend": somebody("x@example.net", "Maya", "Rao")}, [("S06", "same_surname", 10)]),
    ("S06 no name is no finding", {"friend": somebody("x@example.net", "", ""), "referrer": somebody("y@example.com", "", "")}, []),
    ("S06 a similar address", {"friend": somebody("asharao7@example.net", "", "")}, [("S06", "similar_address", 20)]),
    ("S06 counting up", {"friend": somebody("maya18@example.net"), "siblings": ("maya17@example.net",)}, [("S06", "similar_address", 20)]),
    ("S06 two of one name", {"friend": somebody("maya@example.net"), "siblings": ("maya@example.org",)}, []),
    ("S07 one company", {"friend": somebody("maya@example.com")}, [("S07", "same_company", 10)]),
    ("S07 a public mailbox", {"friend": somebody("maya@gmail.com"), "referrer": somebody("asha@gmail.com", "Asha", "Rao")}, []),
    ("S08 throw-away", {"friend": somebody("maya@mailinator.com")}, [("S08", "disposable_address", 30)]),
    ("S08 below a throw-away", {"friend": somebody("maya@x7.mailinator.com")}, [("S08", "disposable_address", 30)]),
    ("S08 throw-away, little known", {"friend": somebody("maya@0clickemail.com")}, [("S08", "disposable_address", 30)]),
    ("S08 forwarding", {"friend": somebody("a1b2c3@privaterelay.appleid.com")}, [("S08", "relay_address", 5)]),
    ("S08 lookalike name", {"friend": somebody("maya@example.net", "Mаya")}, [("S08", "lookalike_letters", 40)]),
    ("S08 lookalike domain", {"friend": somebody("maya@xn--pypal-4ve.example")}, [("S08", "lookalike_letters", 40)]),
    ("S08 a Russian name", {"friend": somebody("maya@example.net", "Майя", "Ханова")}, []),
    ("S08 a Japanese name beside Latin", {"friend": somebody("maya@example.net", "花子Hanako")}, []),
    ("S09 five an hour", {"referrals_hour": 5}, []),
    ("S09 six an hour", {"referrals_hour": 6}, [("S09", "many_an_hour", 25)]),
    ("S09 twenty-one a day", {"referrals_hour": 6, "referrals_day": 21}, [("S09", "many_a_day", 40)]),
    ("S09 two from one address", {"address_signups": 2}, [("S09", "address_twice", 10)]),
    ("S09 four from one address", {"address_signups": 4}, [("S09", "address_often", 25)]),
    ("S09 six from one address", {"address_signups": 6}, [("S09", "address_flood", 50)]),
    ("S09 six among a crowd", {"address_signups": 6, "crowd": 50}, [("S09", "address_twice", 10)]),
    ("S10 two seconds", {"clicked_at": NOW, "joined_at": NOW + timedelta(seconds=2)}, [("S10", "hasty_joining", 30)]),
    ("S10 three seconds", {"clicked_at": NOW, "joined_at": NOW + timedelta(seconds=3)}, []),
    ("S10 two clocks", {"clicked_at": NOW, "joined_at": NOW - timedelta(seconds=1)}, []),
    ("S10 ordered at once", {"shared_at": NOW, "ordered_at": NOW + timedelta(seconds=59)}, [("S10", "hasty_order", 15)]),
    ("S11 a data centre", {"hosting": True, "network": "203.0.113.0"}, [("S11", "hosting_network", 25)]),
    ("S11 headless", {"agent": "Mozilla/5.0 HeadlessChrome/131.0"}, [("S11", "machine_browser", 40)]),
    ("S11 a script", {"agent": "python-requests/2.32.3"}, [("S11", "machine_browser", 40)]),
    ("S12 blocked", {"blocked": "example.net"}, [("S12", "blocked", 100)]),
    ("S12 a banned site", {"source_host": "bad.example", "banned_host": True}, [("S12", "banned_host", 60)]),
    ("S12 a coupon site", {"source_host": "www.retailmenot.com"}, [("S12", "coupon_site", 30)]),
    ("S12 ten without clicks", {"unclicked_hour": 10}, []),
    ("S12 eleven without clicks", {"unclicked_hour": 11}, [("S12", "code_without_clicks", 30)]),
    ("S12 an advertisement", {"paid_click": "gclid"}, [("S12", "paid_click", 30)]),
    ("S13 a circle", {"cycle": 3}, [("S13", "circle", 70)]),
    ("S13 each other", {"mutual": True}, [("S13", "mutual", 50)]),
    ("S14 four purchases", {"sales": 4, "sales_refunded": 4}, []),
    ("S14 three of ten", {"sales": 10, "sales_refunded": 3}, [("S14", "many_refunds", 30)]),
    ("S14 two of ten", {"sales": 10, "sales_refunded": 2}, []),
    ("S14 just enough", {"amount": 2000, "minimum": 2000, "average": 100}, [("S14", "just_enough", 20)]),
    ("S14 ten times", {"amount": 50000, "average": 5000}, [("S14", "unusual_order", 20)]),
    ("S15 the referrer's door", {"same_recipient": True}, [("S15", "same_recipient", 40)]),
]  # fmt: skip


@pytest.mark.parametrize(("facts", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_signal_by_its_facts(facts: dict[str, Any], expected: list[tuple[str, str, int]]) -> None:
    assert found(**facts) == expected


def test_a_mailbox_for_anybody_is_not_thrown_away() -> None:
    """The list of throw-away domains is somebody else's: an update must not make everybody with a Gmail address a suspect."""
    assert len(DISPOSABLE) > 9000
    assert not [domain for domain in PUBLIC_MAIL | PLUS_MAIL | RELAYS if under(domain, DISPOSABLE)]


def test_there_is_one_entry_for_each_signal_of_the_specification() -> None:
    assert [signal.code for signal in SIGNALS] == [f"S{number:02}" for number in range(1, 16)]
    assert {name for _code, name, _points in (item for case in CASES for item in case[2])} == set(VARIANTS)
    assert BY_CODE["S01"].variants == {}  # a hard rule: eligibility's self_referral


def test_office_address_and_domain_are_one_finding() -> None:
    office = found(friend=somebody("maya@example.com"), same_address=True, crowd=50, address_signups=3)
    assert [(name, points) for _code, name, points in office] == [
        ("crowded_address", 15), ("same_company", 10), ("address_twice", 0),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("preset", "levels"),
    [
        ("relaxed", {49: LOW, 50: MEDIUM, 84: MEDIUM, 85: HIGH}),
        ("balanced", {33: LOW, 34: MEDIUM, 66: MEDIUM, 67: HIGH}),
        ("strict", {19: LOW, 20: MEDIUM, 49: MEDIUM, 50: HIGH}),
    ],
)
def test_a_preset_sets_where_levels_begin(preset: str, levels: dict[int, str]) -> None:
    assert {score: PRESETS[preset].level(score) for score in levels} == levels


def test_every_finding_has_a_sentence_with_its_evidence() -> None:
    for case in CASES:
        for reason in assess(replace(PLAIN, **case[1]), "balanced").reasons:
            text = sentence(reason.name, reason.evidence)
            assert text
            assert "%(" not in text
            assert "?" not in text
            assert "asha.rao@" not in text  # addresses are masked
    assert sentence("of_a_later_release", {}) == "of a later release"
    assert trusted().level == LOW
    assert (unknown().level, unknown().suspicious) == (UNKNOWN, True)


def drawn(rng: Random) -> Facts:
    """Anybody from the generator, honest or not."""
    make = rng.choice([*HONEST.values(), *ATTACKS.values()])
    return make(rng)


@settings(max_examples=200, deadline=None)
@given(st.integers(min_value=0), st.sampled_from(sorted(PRESETS)))
def test_the_score_is_the_sum_of_its_reasons_and_the_same_again(seed: int, preset: str) -> None:
    facts = drawn(Random(seed))
    first, second = assess(facts, preset), assess(facts, preset)
    assert first == second
    assert first.score == min(100, sum(reason.points for reason in first.reasons))
    assert first.level == PRESETS[preset].level(first.score)
    assert first.inputs_hash != assess(replace(facts, crowd=facts.crowd + 1), preset).inputs_hash


FINDINGS = st.lists(st.sampled_from(sorted(VARIANTS)), unique=True)


def total(names: list[str]) -> int:
    """The score of findings in the table's order."""
    order = list(VARIANTS)
    reasons = [Reason(VARIANTS[n][0], n, VARIANTS[n][1].points, {}) for n in sorted(names, key=order.index)]
    return min(100, sum(reason.points for reason in without_doubles(reasons)))


@settings(max_examples=500, deadline=None)
@given(FINDINGS, st.sampled_from(sorted(VARIANTS)), st.sampled_from(sorted(PRESETS)))
def test_one_more_finding_never_lowers_the_level(names: list[str], more: str, preset: str) -> None:
    before, after = total(names), total([*{*names, more}])
    assert after >= before
    assert RANK[PRESETS[preset].level(after)] >= RANK[PRESETS[preset].level(before)]


@pytest.mark.parametrize("code", [signal.code for signal in SIGNALS])
def test_a_signal_that_raises_holds(code: str) -> None:
    def broken(_facts: Facts) -> Any:
        raise RuntimeError("seeded")

    signals = [Signal(s.code, broken if s.code == code else s.check, s.variants) for s in SIGNALS]
    answer = assess(PLAIN, "relaxed", signals=signals)
    assert (answer.level, answer.suspicious) == (UNKNOWN, True)
    assert [(reason.code, reason.name, reason.points) for reason in answer.reasons] == [(code, "check_failed", 0)]


def test_the_generated_people_are_judged_as_demanded() -> None:
    """RELIABILITY section 11.2: attacks at Medium or above 95 %, High 85 %; honest at High 0.5 %, Medium or above 5 %."""
    honest = count(HONEST, number=700, seed=7)
    attacks = count(ATTACKS, number=300, seed=7)
    assert (len(HONEST), len(ATTACKS)) == (12, 14)
    assert attacks.share(MEDIUM, HIGH, UNKNOWN) >= 0.95
    assert attacks.share(HIGH) >= 0.85
    assert honest.share(HIGH) <= 0.005
    assert honest.share(MEDIUM, HIGH, UNKNOWN) <= 0.05


def test_the_table_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    main(["20", "3"])
    printed = capsys.readouterr().out
    assert all(name in printed for name in (*HONEST, *ATTACKS))
    assert "balanced   attacks at Medium or above" in printed
