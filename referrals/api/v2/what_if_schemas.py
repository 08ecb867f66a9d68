"""What-if as JSON Schema (API.md, "campaigns/{id}/what-if")."""

from __future__ import annotations

from referrals.api.schema import Schema, array, instant, record, ref, text, whole
from rewards.models import WhatIf
from rewards.whatif.differences import KINDS

_ID = "wi_4Zq8Ld0Xw2Rk7Tn5Yc1Vh3"
_SUM = record(
    {
        "rewards": whole("How many rewards.", 12),
        "amount": ref("Money"),
        "units": array(
            record({"units": whole("How many.", 1), "label": text("Of what.", "free month")}),
            "Rewards that are no money.",
        ),
    }
)
_ABOUT = {
    "now": "What there is.",
    "then": "What there would be.",
    "difference": "`then` less `now`; below zero for fewer.",
    "created": "Rewards there would be and are not.",
    "gone": "Rewards there are and would not be.",
    "larger": "Rewards that would be larger: how many, and by how much.",
    "smaller": "Rewards that would be smaller: how many, and by how much.",
}
_SUMS = {name: _SUM | {"description": about} for name, about in _ABOUT.items()}
_WORTH: Schema = {
    "anyOf": [
        record(
            {
                "amount": {"anyOf": [ref("Money"), {"type": "null"}]},
                "units": whole("Units of something.", None, null=True),
                "label": text("Of what.", ""),
            }
        ),
        {"type": "null"},
    ]
}
_EXAMPLE = record(
    {
        "event": text("Ask `GET /api/v2/decisions?event=` for its decisions.", "ev_4Zq8Ld0Xw2Rk7Tn5Yc1Vh3"),
        "type": text("What happened.", "purchase"),
        "external_id": text("The source's id.", "order-10482"),
        "participant": text("Who did it.", "pt_4Zq8Ld0Xw2Rk7Tn5Yc1Vh3"),
        "occurred_at": instant("When."),
        "before": _WORTH,
        "after": _WORTH,
        "decided": text("The reason that stands in the recorded decision; empty for a reward.", ""),
        "reason": text(
            "The condition that would fail, `rule_removed` or `other_event`; empty when all would be met.", ""
        ),
        "facts": {
            "type": "object",
            "description": "Of that condition.",
            "additionalProperties": True,
            "examples": [{}],
        },
    }
)
_RULE = record(
    {
        "id": text("The rule's id; null for a new one.", "rule_4Zq8Ld0Xw2Rk7Tn5Yc1Vh3", null=True),
        "number": whole("Its place among the rules that were sent; null for a removed one.", 1, null=True),
        "status": text("What happens to it.", "changed", enum=["unchanged", "changed", "new", "removed"]),
        "side": text("Who is rewarded.", "referrer", enum=["referrer", "invitee"]),
        "rule": ref("Rule"),
        **_SUMS,
        "examples": record({kind: array(_EXAMPLE, "The first ten by time.") for kind in KINDS}),
    }
)
WHAT_IF = record(
    {
        "id": text("Its id.", _ID),
        "campaign": text("The campaign.", "JCu82f30F1"),
        "status": text("How far it is.", "done", enum=[name for name, _label in WhatIf.STATES]),
        "progress": record(
            {"events": whole("How many events there are.", 1200), "done": whole("How many are done.", 1200)}
        ),
        "created_at": instant("When it was asked."),
        "finished_at": instant("When the answer was there.", null=True),
        "expires_at": instant("Until when the answer is kept."),
        "result": {
            "anyOf": [
                record(
                    {
                        "currency": text("Of all amounts.", "USD"),
                        "rules": array(_RULE, "Rule by rule, in the order sent; then the removed ones."),
                        "totals": array(
                            record(
                                {
                                    "side": text("Who is rewarded.", "referrer"),
                                    "currency": text("ISO 4217.", "USD"),
                                    **_SUMS,
                                }
                            ),
                            "By side and currency.",
                        ),
                    }
                ),
                {"type": "null"},
            ]
        },
    },
    about="What a campaign's events would have earned under other rules.",
)
