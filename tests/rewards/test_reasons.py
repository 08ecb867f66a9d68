"""Every code says what it means: to the merchant met and not met, to the participant, and what can still change it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.utils import translation

from campaigns.conditions import FIELDS
from campaigns.conditions import OPERATORS as RULE_OPERATORS
from rewards.eligibility import CODES as DECIDED
from rewards.reason_texts import ENTITIES, OPERATORS
from rewards.reasons import CODES, REASONS, can_change, failing, reason_sentence, sentence

USD_30 = {"amount_minor": 3000, "currency": "USD"}
USD_15 = {"amount_minor": 1500, "currency": "USD"}
USD_5 = {"amount_minor": 500, "currency": "USD"}
LIMIT = {"limit": USD_30, "used": USD_15, "wanted": USD_15, "granted": USD_15, "period": "all"}
# PRODUCT.md's list, in its order, and `condition_not_met` for the rule's own conditions; with facts as the core writes them.
PRODUCT: dict[str, dict[str, Any]] = {
    "not_referred": {},
    "self_referral": {},
    "existing_customer": {},
    "already_referred": {},
    "attribution_expired": {
        "days": 60,
        "since": "2026-08-01T12:00:00.000+00:00",
        "at": "2026-11-20T12:00:00.000+00:00",
    },
    "campaign_not_started": {"at": "2026-11-20T12:00:00.000+00:00"},
    "campaign_paused": {"at": "2026-11-20T12:00:00.000+00:00"},
    "campaign_ended": {"at": "2026-11-20T12:00:00.000+00:00"},
    "referrer_banned": {"banned_at": "2026-11-20T12:00:00.000+00:00"},
    "below_minimum_purchase": {"minimum": USD_30, "amount": USD_15},
    "friend_purchase_limit": {"limit": 1, "rewarded_before": 1},
    "payment_count_not_reached": {"payment": 1, "needed": 3},
    "tier_not_reached": {"friends": 2, "needed": 5},
    "milestone_not_reached": {"friends": 4, "needed": 5},
    "referrer_limit": LIMIT,
    "annual_limit": LIMIT | {"period": "year"},
    "budget_spent": LIMIT | {"period": "week"},
    "refunded": {"refunded": USD_15},
    "cancelled": {},
    "disputed": {"disputed_at": "2026-11-20T12:00:00.000+00:00"},
    "held_for_review": {},
    "fraud_denied": {},
    "denied_by_merchant": {},
    "recipient_erased": {},
    "referral_denied": {},
    "given_by_code": {},
    "in_review_until": {"until": "2026-11-24T12:00:00.000+00:00"},
    "waiting_for_recipient": {},
    "waiting_for_funds": {},
    "provider_rejected": {"message": "account closed"},
    "shared": {"people": 3, "held": 0, "shares": []},
    "share_too_small": {},
    "settled_elsewhere": {},
    "condition_not_met": {
        "failed": [{"of": "event", "field": "country", "op": "one_of", "value": ["NO", "SE"], "found": "DE"}]
    },
}
# The same when they are met.
MET: dict[str, dict[str, Any]] = {
    "below_minimum_purchase": {"minimum": USD_30, "amount": {"amount_minor": 6420, "currency": "USD"}},
    "payment_count_not_reached": {"payment": 3, "needed": 3},
    "tier_not_reached": {"friends": 6, "needed": 5},
    "milestone_not_reached": {"friends": 5, "needed": 5},
    "refunded": {},
}


def _said(code: str, facts: dict[str, Any]) -> list[str]:
    met = {"code": code, "passed": True, "facts": MET.get(code, facts) if facts else facts}
    missed = {"code": code, "passed": False, "facts": facts}
    return [
        sentence(met),
        sentence(missed),
        sentence(missed, audience="participant"),
        sentence(missed, audience="own"),
        can_change(missed).text,
    ]


def table_row(code: str) -> str:
    """A line of docs/decisions.md."""
    met, missed, referrer, _own, change = _said(code, PRODUCT[code])
    return f"| `{code}` | {met} | {missed} | {referrer} | {change} |"


def test_the_documents_table_is_the_code_s() -> None:
    lines = (Path(__file__).resolve().parents[2] / "docs" / "decisions.md").read_text().splitlines()
    with translation.override("en"):
        assert [line for line in lines if line.startswith("| `")] == [table_row(code) for code in PRODUCT]


def test_the_table_has_every_code_that_is_decided_or_documented() -> None:
    assert set(CODES) == set(PRODUCT)
    assert set(CODES) >= DECIDED
    assert {name.partition(":")[0] for name in REASONS} == set(CODES)


@pytest.mark.parametrize("code", PRODUCT)
@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("known", [True, False], ids=["with facts", "without facts"])
def test_every_sentence_is_there_and_leaves_no_fact_unfilled(code: str, language: str, known: bool) -> None:
    with translation.override(language):
        said = _said(code, PRODUCT[code] if known else {})
    assert all(said)
    for text in said:
        assert not {"%", "…", "?"} & set(text), text
        assert "_" not in text
        assert "None" not in text
        assert text == text.strip().rstrip(".")


@pytest.mark.parametrize("name", REASONS)
def test_every_row_says_what_can_change_it(name: str) -> None:
    row = REASONS[name]
    assert row.act in {"", "attach", "friend", "person", "campaign", "rules", "unban", "reward", "approve"}
    assert row.passed
    assert row.failed
    assert row.friendly
    assert row.change


@pytest.mark.parametrize("name", REASONS)
def test_the_participant_s_sentences_are_in_german(name: str) -> None:
    row = REASONS[name]
    with translation.override("en"):
        english = [str(row.friendly), str(row.own)]
    with translation.override("de"):
        german = [str(row.friendly), str(row.own)]
    assert all(there != here for there, here in zip(german, english, strict=True) if here)


@pytest.mark.parametrize(
    ("code", "facts", "text"),
    [
        ("payment_count_not_reached", {"payment": 1, "needed": 3}, "The next payments: number 3 earns the reward"),
        (
            "payment_count_not_reached",
            {"payment": 4, "needed": 3},
            "Nothing, unless an earlier payment is refunded and this one moves up",
        ),
        ("milestone_not_reached", {"friends": 4, "needed": 5}, "1 more friend who counts"),
        ("milestone_not_reached", {"friends": 2, "needed": 5}, "3 more friends who count"),
        ("milestone_not_reached", {"friends": 6, "needed": 5}, "Nothing: the milestone belongs to friend number 5"),
        ("tier_not_reached", {"friends": 0, "needed": 3}, "3 more friends who count"),
        ("below_minimum_purchase", {}, "Nothing, unless the amount is corrected"),
        (
            "in_review_until",
            {"until": "2026-11-24T12:00:00.000+00:00"},
            "It becomes due by itself on 24 Nov 2026. Approve it now, if you need not wait",
        ),
    ],
)
def test_what_can_change_it_is_particular(code: str, facts: dict[str, Any], text: str) -> None:
    assert can_change({"code": code, "passed": False, "facts": facts}).text == text


def test_a_limit_says_what_it_cut() -> None:
    facts = LIMIT | {"granted": USD_5, "period": "month"}
    met = {"code": "budget_spent", "passed": True, "facts": facts}
    assert sentence(met) == "Cut to $5.00 of $15.00 by the campaign's budget for that month, $30.00"
    assert sentence({**met, "facts": LIMIT}) == "Within the campaign's budget as a whole: $15.00 of $30.00 before this"
    spent = facts | {"used": USD_30, "granted": {"amount_minor": 0, "currency": "USD"}}
    assert reason_sentence("budget_spent", spent) == "The campaign's budget for that month is spent: $30.00 of $30.00"


def test_the_rule_s_own_conditions_are_named_with_what_was_found() -> None:
    failed = [
        {"of": "event", "field": "country", "op": "one_of", "value": ["NO", "SE"], "found": "DE"},
        {"of": "event", "field": "first", "op": "is", "value": "true", "found": "false"},
        {"of": "invitee", "field": "metadata.plan", "op": "is_not", "value": "free", "found": None},
    ]
    assert reason_sentence("condition_not_met", {"failed": failed}) == (
        "Does not meet the rule's conditions: event country is one of NO, SE (found: DE);"
        " event first is yes (found: no); friend plan is not free (found: nothing)"
    )


def test_every_operator_of_the_rules_has_words() -> None:
    assert set(OPERATORS) == set(RULE_OPERATORS)
    assert set(ENTITIES) == set(FIELDS)


def test_a_code_of_a_later_release_is_shown_as_it_is() -> None:
    assert reason_sentence("moon_in_wrong_phase") == "moon in wrong phase"
    assert can_change({"code": "moon_in_wrong_phase", "passed": False}).text == "Nothing"


def test_the_reason_is_the_condition_that_is_named_or_else_the_first_that_failed() -> None:
    conditions = [
        {"code": "not_referred", "passed": True, "facts": {}},
        {"code": "refunded", "passed": False, "facts": {}},
        {"code": "disputed", "passed": False, "facts": {}},
    ]
    named, first = failing(conditions, "disputed"), failing(conditions)
    assert named is not None
    assert first is not None
    assert (named["code"], first["code"]) == ("disputed", "refunded")
    assert failing(conditions[:1]) is None
