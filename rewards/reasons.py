"""What a condition says, to the merchant and to the participant, passed or failed, and what can still change it.

The sentences are rows of rewards.reason_texts; here the row is picked by the facts, and the facts fill its blanks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.translation import get_language
from django.utils.translation import gettext as _

from referrals.lib.days import day_text
from referrals.lib.money import Money
from rewards.reason_texts import CODES, ENTITIES, OPERATORS, PERIODS, REASONS, Reason

__all__ = ["CODES", "REASONS", "Change", "Reason", "can_change", "reason_sentence", "sentence"]
Facts = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Change:
    """What can still change a failing condition: the sentence, and where: attach, friend, person, campaign, rules, unban, reward, approve
    or "" (nowhere)."""

    code: str
    text: str
    act: str


def sentence(condition: Mapping[str, Any], *, audience: str = "merchant") -> str:
    """One condition of a decision in plain words.

    `audience` is "merchant", "participant" (the referrer, about a friend) or "own" (the friend, about themselves).
    A code from a later release is shown as it is rather than hidden.
    """
    code, facts = str(condition["code"]), condition.get("facts") or {}
    row = _row(code, facts, passed=bool(condition["passed"]))
    if row is None:
        return code.replace("_", " ")
    missed = {"participant": row.friendly, "own": row.own or row.friendly}.get(audience, row.failed)
    return str((row.passed if condition["passed"] else missed) % _shown(facts))


def reason_sentence(code: str, facts: Facts | None = None, *, audience: str = "merchant") -> str:
    """A failing code in plain words; facts fill its blanks."""
    return sentence({"code": code, "passed": False, "facts": facts or {}}, audience=audience)


def can_change(condition: Mapping[str, Any]) -> Change:
    """What can still change a failing condition, for the merchant."""
    code, facts = str(condition["code"]), condition.get("facts") or {}
    row = _row(code, facts, passed=False)
    if row is None:
        return Change(code, _("Nothing"), "")
    return Change(code, str(row.change % _shown(facts)), row.act)


def failing(conditions: Iterable[Mapping[str, Any]], reason: str = "") -> Mapping[str, Any] | None:
    """The condition that is a decision's reason: the one of that code, else the first that failed; None when all are met."""
    failed = [condition for condition in conditions if not condition["passed"]]
    return next((one for one in failed if one["code"] == reason), failed[0] if failed else None)


def _row(code: str, facts: Facts, *, passed: bool) -> Reason | None:
    """The code's own row, or the one that its facts pick; ":bare" where a blank would stay empty."""
    pick = _PICK.get(code)
    found = pick(facts) if pick else ""
    # To be past what was asked for is no miss where more than that is enough.
    name = f"{code}:{found}" if found and not (passed and found == "past") else code
    needed = _NEEDED.get(name, ())
    if any(facts.get(fact) is None for fact in needed):
        name = f"{code}:bare"
    return REASONS.get(name) or REASONS.get(code)


# The facts without which a row's blanks would stay empty.
_NEEDED: dict[str, tuple[str, ...]] = {
    "attribution_expired": ("days",),
    "below_minimum_purchase": ("amount", "minimum"),
    "condition_not_met": ("failed",),
    "friend_purchase_limit": ("limit",),
    "payment_count_not_reached": ("payment", "needed"),
    "tier_not_reached": ("friends", "needed"),
    "tier_not_reached:past": ("last",),
    "milestone_not_reached": ("friends", "needed"),
    "referrer_limit": ("limit", "used"),
    "annual_limit": ("limit", "used"),
    "budget_spent": ("limit", "used", "period"),
    "in_review_until": ("until",),
    "shared": ("people",),
    "provider_rejected": ("message",),
}


def _minor(value: object) -> int | None:
    return int(value["amount_minor"]) if isinstance(value, Mapping) and "amount_minor" in value else None


def _cut(facts: Facts) -> str:
    granted, wanted = _minor(facts.get("granted")), _minor(facts.get("wanted"))
    return "cut" if granted and wanted and granted < wanted else ""


def _past(own: str, needed: str) -> Callable[[Facts], str]:
    def pick(facts: Facts) -> str:
        here, there = facts.get(own), facts.get(needed)
        return "past" if isinstance(here, int) and isinstance(there, int) and here > there else ""

    return pick


def _part(facts: Facts) -> str:
    return "part" if _minor(facts.get("refunded")) else ""


def _held(facts: Facts) -> str:
    return "held" if facts.get("held") else ""


_PICK: dict[str, Callable[[Facts], str]] = {
    "payment_count_not_reached": _past("payment", "needed"),
    "tier_not_reached": _past("friends", "needed"),
    "milestone_not_reached": _past("friends", "needed"),
    "referrer_limit": _cut,
    "annual_limit": _cut,
    "budget_spent": _cut,
    "refunded": _part,
    "shared": _held,
}


class _Blanks(dict[str, Any]):
    """A fact that an old row lacks shows as dots instead of breaking its page."""

    def __missing__(self, key: str) -> str:
        return "…"


def _shown(facts: Facts) -> _Blanks:
    locale = (get_language() or "en").replace("-", "_")
    found = _Blanks({name: _show(name, value, locale) for name, value in facts.items()})
    friends, needed = facts.get("friends"), facts.get("needed")
    if isinstance(friends, int) and isinstance(needed, int):
        found["more"] = max(needed - friends, 1)
    return found


def _show(name: str, value: object, locale: str) -> Any:
    if isinstance(value, Mapping) and "amount_minor" in value:
        return Money(value["amount_minor"], value["currency"]).format(locale)
    if name == "period":
        return str(PERIODS.get(str(value), value))
    if name == "failed" and isinstance(value, list | tuple):
        return "; ".join(_miss(one) for one in value)
    if isinstance(value, str) and len(value) > 18 and value[4] == "-":
        return day_text(datetime.fromisoformat(value), locale)
    return value


def _miss(one: Mapping[str, Any]) -> str:
    """One attribute that did not fit, with what was found: "event country is one of NO, SE (found: DE)"."""
    of = str(ENTITIES.get(str(one.get("of")), one.get("of", "")))
    what = f"{of} {str(one.get('field', '')).removeprefix('metadata.').replace('_', ' ')}".strip()
    op = str(one.get("op", ""))
    words = {
        "what": what,
        "op": str(OPERATORS.get(op, op.replace("_", " "))),
        "value": _plain(one.get("value")),
        "found": _plain(one.get("found")) or _("nothing"),
    }
    return (_("%(what)s %(op)s %(value)s (found: %(found)s)") % words).replace("  ", " ")


def _plain(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, list | tuple):
        return ", ".join(_plain(one) for one in value)
    if value in {"true", "false"}:
        return _("yes") if value == "true" else _("no")
    return str(value)
