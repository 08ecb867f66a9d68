"""History in words."""

from __future__ import annotations

from typing import Any

import lucide
import pytest
from django.utils import timezone

from referrals.events import types
from referrals.events.models import Event
from referrals.web.timeline import WORDS, entries_of

USD = {"amount_minor": 1500, "currency": "USD"}


def _said(type_: str, data: dict[str, Any] | None = None, **fields: Any) -> str:
    viewpoint = fields.pop("viewpoint", "pt_me")
    event = Event(type=type_, data=data or {}, actor_kind="system", created_at=timezone.now(), **fields)
    (entry,) = entries_of([event], viewpoint=viewpoint)
    return entry.text


@pytest.mark.parametrize(
    ("type_", "data", "text"),
    [
        (types.PARTICIPANT_CREATED, {"source": "hosted"}, "Joined on the campaign's page"),
        (types.PARTICIPANT_CREATED, {"source": "elsewhere"}, "Joined"),
        (types.PARTICIPANT_BANNED, {"reason": "Own orders"}, "Banned: Own orders"),
        (types.EVENT_RECORDED, {"type": "purchase", **USD}, "Bought for $15.00"),
        (types.EVENT_RECORDED, {"type": "purchase", "amount_minor": None, "currency": "USD"}, "Bought something"),
        (types.EVENT_RECORDED, {"type": "signed_up"}, "signed up recorded"),
        (types.EVENT_REFUNDED, USD, "$15.00 refunded"),
        (types.EVENT_REFUNDED, {"amount_minor": None, "currency": "USD"}, "Payment refunded in full"),
        (types.EVENT_DISPUTED, {"kind": "dispute"}, "Payment disputed with the bank"),
        (types.EVENT_DISPUTED, {"kind": "dispute_won"}, "Dispute won: the payment stands"),
        (types.REWARD_CREATED, USD, "Earned $15.00"),
        (types.REWARD_DUE, {}, "The reward became due"),
        (types.REWARD_VOIDED, {**USD, "reason": "refunded"}, "$15.00 cancelled: Refunded, cancelled or deleted"),
        (types.REWARD_VOIDED, {**USD, "reason": "denied_by_merchant", "note": "Staff"}, "$15.00 cancelled: Staff"),
        (
            types.REWARD_CHANGED,
            {"from_minor": 359, "to_minor": 239, "currency": "EUR"},
            "Reward changed from €3.59 to €2.39",
        ),
        (types.REWARD_CHANGED, {}, "The reward's amount changed"),
        (types.PAYOUT_CREATED, USD, "Payout of $15.00 made"),
        (types.CAMPAIGN_CHANGED, {"fields": ["name", "ends_at"]}, "Changed: name, end"),
        (types.CAMPAIGN_CHANGED, {"fields": ["terms"], "language": "de"}, "Texts changed (de)"),
        (types.CAMPAIGN_STATUS_CHANGED, {"from": "paused", "to": "active"}, "Resumed"),
        (types.CAMPAIGN_STATUS_CHANGED, {"from": "draft", "to": "active"}, "Went live"),
        (types.CAMPAIGN_RULES_PUBLISHED, {"version": 2, "rules": [{}]}, "Version 2 of the rules published, 1 rule"),
        (types.CAMPAIGN_CREATED, {"copied_from": "x"}, "Copied from another campaign"),
        (types.REFERRAL_SHARED, {"share": "1/3", "who": "Asha"}, "1/3 credited to Asha, whose link was opened"),
        ("something.new_here", {}, "something new here"),
    ],
)
def test_each_happening_has_its_sentence(type_: str, data: dict[str, Any], text: str) -> None:
    assert _said(type_, data) == text


def test_whose_page_it_is_changes_the_sentence() -> None:
    names = {"participant_ref": "pt_friend", "referrer_ref": "pt_me"}
    purchase = {"type": "purchase", **USD}

    assert (
        _said(types.REFERRAL_CREATED, {"how": "code"}, **names) == "Invited a friend who joined (referral link or code)"
    )
    assert _said(types.EVENT_RECORDED, purchase, **names) == "A friend's purchase of $15.00 was recorded"
    assert _said(types.EVENT_RECORDED, purchase, viewpoint="pt_friend", **names) == "Bought for $15.00"
    assert _said(types.REFERRAL_CREATED, {}, viewpoint="pt_friend", **names) == "Came through a referral"


@pytest.mark.parametrize(
    ("kind", "label", "by"),
    [
        ("user", "alice@example.com", "alice@example.com"),
        ("system", "", "Passalong"),
        ("participant", "", "The participant"),
        ("api_key", "", "api key"),
    ],
)
def test_who_did_it(kind: str, label: str, by: str) -> None:
    event = Event(type=types.REWARD_DUE, data={}, actor_kind=kind, actor_label=label, created_at=timezone.now())

    assert entries_of([event])[0].by == by


@pytest.mark.parametrize("type_", sorted(WORDS))
def test_every_icon_exists_and_damaged_facts_break_nothing(type_: str) -> None:
    icon, tone, _text = WORDS[type_]

    assert lucide._render_icon(icon, 14)
    assert tone in {"", "review", "due", "sending", "issued", "problem"}
    assert _said(type_, {"amount_minor": "x", "currency": 5, "fields": [], "to": "active"})


def test_whatever_a_person_or_campaign_lives_through_has_words() -> None:
    own = {
        name
        for name in types.ALL_TYPES
        if name.split(".")[0] in {"participant", "referral", "event", "reward", "campaign"}
    }

    assert own - set(WORDS) == set()
