"""Which kinds of payout addresses a participant can choose among: those that the merchant can pay to; and the forms for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from campaigns.rules import current_terms
from integrations.methods import options
from participants.destination_kinds import BY_NAME, KINDS, Field, Kind, names
from participants.models import Participant
from rewards.files.formats import FORMATS
from rewards.lifecycle import BEFORE_ISSUE
from rewards.models import PayoutBatch, Reward

# Where cash is paid and no company is connected: the merchant pays by hand, and has to know where to.
BY_HAND = "paypal"


@dataclass(frozen=True, slots=True)
class Filled:
    """What was typed into the form of one kind, and what is wrong with it, by field ("" is the form as a whole)."""

    kind: str
    values: Mapping[str, str]
    errors: Mapping[str, str]


def offered(participant: Participant) -> list[Kind]:
    """The kinds that some way of paying of this merchant takes, for what this person can earn; in the order of the table. Four queries.

    A file can be made by everybody: its kinds count for a merchant who has paid by such a file before.
    """
    campaign = participant.campaign
    wanted: set[str] = {rule.kind for rule in current_terms(campaign)}
    waiting = Reward.objects.filter(participant=participant, state__in=BEFORE_ISSUE)
    wanted |= set(waiting.order_by().values_list("kind", flat=True).distinct())
    taken: set[str] = set()
    for option in options(campaign.tenant):
        method = option.method
        if method.kinds & wanted and (not method.currencies or campaign.currency in method.currencies):
            taken.update(names(method.destination))
    if "cash" in wanted:
        used = PayoutBatch.objects.for_tenant(campaign.tenant).filter(method__in=FORMATS).order_by()
        for name in used.values_list("method", flat=True).distinct():
            taken.update(FORMATS[name].kinds)
    found = [
        kind for kind in KINDS if kind.name in taken and (not kind.currencies or campaign.currency in kind.currencies)
    ]
    return found or ([BY_NAME[BY_HAND]] if "cash" in wanted else [])


def forms(kinds: list[Kind], filled: Filled | None) -> list[dict[str, Any]]:
    """A form for each kind, for the template; what was typed stays."""
    return [
        {
            "name": kind.name,
            "label": kind.label,
            "summary": kind.summary,
            "open": filled is not None and filled.kind == kind.name,
            "error": filled.errors.get("", "") if filled is not None and filled.kind == kind.name else "",
            "fields": [_field(kind, field, filled) for field in kind.fields],
        }
        for kind in kinds
    ]


def _field(kind: Kind, field: Field, filled: Filled | None) -> dict[str, Any]:
    mine = filled if filled is not None and filled.kind == kind.name else None
    wrong = list(mine.errors) if mine else []
    return {
        "id": f"payout-{kind.name}-{field.name}",
        "name": field.name,
        "label": field.label,
        "hint": field.hint,
        "type": field.input_type,
        "mode": field.input_mode,
        "autocomplete": field.autocomplete or "off",
        "limit": field.limit,
        "choices": field.choices,
        "value": mine.values.get(field.name, "") if mine else "",
        "error": mine.errors.get(field.name, "") if mine else "",
        "first": bool(wrong) and wrong[0] == field.name,
        "optional": not _asked(field),
    }


def _asked(field: Field) -> bool:
    """Whether the field must be filled in."""
    try:
        field.check("")
    except ValueError:
        return True
    return bool(field.choices)
