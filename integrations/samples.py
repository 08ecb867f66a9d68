"""A sample of each webhook: what "send a test" sends and docs/webhooks.md shows. A test holds them against bodies that were really made."""

from __future__ import annotations

from typing import Any

from integrations import bodies
from integrations.bodies import Json
from referrals.events import types
from referrals.lib import clock

_TAIL = "_4Zq8Ld0Xw2Rk7Tn5Yc1Vh3"
PERSON, REFERRER, FACT, REWARD, REFUND, BATCH, PAYOUT = (
    f"{prefix}{_TAIL}" for prefix in ("pt", "pt", "ev", "rw", "re", "pb", "po")
)
CAMPAIGN = "JCu82f30F1"
AT = "2026-11-20T10:00:00.000+00:00"
_MONEY = {"amount_minor": 2000, "currency": "USD"}
_PARTICIPANT: Json = {
    "id": PERSON,
    "campaign": CAMPAIGN,
    "email": "noor@example.com",
    "first_name": "Noor",
    "last_name": "Khan",
    "language": "en",
    "referral_code": "8Mnu79TD",
    "link": f"https://referrals.example.com/campaign?id={CAMPAIGN}&referralCode=8Mnu79TD",
    "short_link": "https://referrals.example.com/r/8Mnu79TD",
    "referred_by": REFERRER,
    "status": "pending",
    "source": "api",
    "joined_at": AT,
    "existing_customer": False,
    "banned": False,
    "customer_ids": ["cus_81"],
    "metadata": {"crm_id": "A-17", "plan": "pro"},
}
_REFERRER: Json = {"id": REFERRER, "referral_code": "7ZZp9eBG"}
_FACT: Json = {
    "id": FACT,
    "campaign": CAMPAIGN,
    "participant": PERSON,
    "type": "purchase",
    "amount": {"amount_minor": 5000, "currency": "USD"},
    "refunded": None,
    "source": "api",
    "external_id": "order-9",
    "occurred_at": AT,
    "metadata": {"country": "NO"},
}
_CONDITIONS: list[Json] = [
    {"code": "below_minimum_purchase", "passed": True, "facts": {"amount_minor": 5000, "minimum_minor": 1000}}
]


def _reward(status: str, **more: Any) -> Json:
    return {
        "id": REWARD,
        "campaign": CAMPAIGN,
        "participant": PERSON,
        "side": "referrer",
        "rule": "referrer-1",
        "event": FACT,
        "kind": "cash",
        "amount": _MONEY,
        "units": None,
        "units_label": None,
        "status": status,
        "reason": None,
        "review_ends_at": None,
        "payout": None,
        "created_at": AT,
        **more,
    }


def _moved(status: str, before: str | None, reason: str | None = None, **more: Any) -> Json:
    return {
        "reward": _reward(status, reason=reason, **more),
        "participant": _PARTICIPANT,
        "previous_status": before,
        "reason": reason,
        "conditions": [],
        "note": None,
    }


SAMPLES: dict[str, Json] = {
    types.PARTICIPANT_CREATED: {"participant": _PARTICIPANT, "source": "api", "referred_by": REFERRER},
    types.PARTICIPANT_BANNED: {"participant": {**_PARTICIPANT, "banned": True}, "reason": "Invites themselves"},
    types.PARTICIPANT_ERASED: {"participant": {"id": PERSON, "campaign": CAMPAIGN}},
    types.REFERRAL_CREATED: {"participant": _PARTICIPANT, "referrer": _REFERRER, "how": "code", "split_by": None},
    types.REFERRAL_STATUS_CHANGED: {
        "participant": {**_PARTICIPANT, "status": "approved"},
        "referrer": _REFERRER,
        "previous_status": "qualified",
        "status": "approved",
        "note": None,
    },
    types.EVENT_RECORDED: {
        "event": _FACT,
        "participant": _PARTICIPANT,
        "referrer": _REFERRER,
        "decisions": [
            {"rule": "referrer-1", "side": "referrer", "rewardable": True, "reason": None, "conditions": _CONDITIONS}
        ],
    },
    types.EVENT_REFUNDED: {
        "event": {**_FACT, "refunded": {"amount_minor": 5000, "currency": "USD"}},
        "participant": _PARTICIPANT,
        "refund": {"id": REFUND, "kind": "refund", "amount": {"amount_minor": 5000, "currency": "USD"}},
    },
    types.REWARD_CREATED: {**_moved("review", None, review_ends_at=AT), "conditions": _CONDITIONS},
    types.REWARD_DUE: _moved("due", "review"),
    types.REWARD_HELD: _moved("held", "due", "held_for_review"),
    types.REWARD_ISSUED: _moved("issued", "due", payout=PAYOUT),
    types.REWARD_FAILED: _moved("attention", "sending", "payout_failed", payout=PAYOUT),
    types.REWARD_VOIDED: _moved("void", "due", "refunded"),
    types.REWARD_REVERSED: _moved("reversed", "issued", "refunded", payout=PAYOUT),
    types.PAYOUT_BATCH_COMPLETED: {
        "batch": {
            "id": BATCH,
            "method": "manual",
            "note": "November",
            "created_at": AT,
            "payouts": 2,
            "statuses": {"paid": 2},
            "totals": [{"amount_minor": 4000, "currency": "USD"}],
        }
    },
    types.MILESTONE_REACHED: {
        "reward": _reward("due"),
        "participant": _PARTICIPANT,
        "friends": 5,
        "label": "Five friends",
    },
    types.CAMPAIGN_STATUS_CHANGED: {
        "campaign": {
            "id": CAMPAIGN,
            "name": "Spring refer-a-friend",
            "type": "refer_a_friend",
            "currency": "USD",
            "starts_at": None,
            "ends_at": None,
        },
        "previous_status": "active",
        "status": "paused",
    },
    types.FRAUD_FLAGGED: {
        "participant": _PARTICIPANT,
        "referrer": _REFERRER,
        "level": "high",
        "score": 80,
        "reasons": [{"code": "same_network", "name": "same_network", "points": 80}],
    },
}
ABOUT: dict[str, str] = {
    types.PARTICIPANT_CREATED: "Somebody joined a campaign.",
    types.PARTICIPANT_BANNED: "A person was banned: they earn nothing any more.",
    types.PARTICIPANT_ERASED: "A person's data was erased. Delete it on your side too.",
    types.REFERRAL_CREATED: "Somebody came through a referrer, or was attached to one.",
    types.REFERRAL_STATUS_CHANGED: "A sale in several steps came a step further, or was denied.",
    types.EVENT_RECORDED: "A purchase or another event was recorded and decided, rewarded or not.",
    types.EVENT_REFUNDED: "Money was taken back, wholly or partly.",
    types.REWARD_CREATED: "A reward was earned.",
    types.REWARD_DUE: "A reward can be issued.",
    types.REWARD_HELD: "A reward waits for a person.",
    types.REWARD_ISSUED: "A reward was issued.",
    types.REWARD_FAILED: "A reward could not be paid and needs attention.",
    types.REWARD_VOIDED: "A reward that was not issued fell.",
    types.REWARD_REVERSED: "A reward that was issued was taken back.",
    types.PAYOUT_BATCH_COMPLETED: "All payouts of a batch have come to an end.",
    types.MILESTONE_REACHED: "A referrer reached a milestone.",
    types.CAMPAIGN_STATUS_CHANGED: "A campaign was launched, paused, resumed or ended.",
    types.FRAUD_FLAGGED: "A referral looks suspicious.",
}


def sample_data(type_: str, *, is_test: bool) -> Json:
    """The `data` of a sample."""
    return {**SAMPLES[type_], "sequence": 1, "is_test": is_test}


def sample_body(type_: str, *, is_test: bool) -> str:
    """The body of a test message, of now."""
    return bodies.text(type_, clock.now(), sample_data(type_, is_test=is_test))
