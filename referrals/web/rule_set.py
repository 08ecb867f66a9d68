"""All rules of a campaign as forms: as they stand, or as they were posted with the button that was pressed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from campaigns import services
from campaigns.terms import RuleTerms
from referrals.web.rule_forms import RuleForm, rule_initial
from referrals.web.rule_rows import edited

# Buttons that change what the form shows and check nothing.
_OWN = re.compile(r"rule-([0-9]{1,2}):([a-z0-9-]{1,40})\Z", re.ASCII)
FRESH = {
    "side": "referrer",
    "trigger": "first_event",
    "kind": "cash",
    "amount_type": "fixed",
    "counts": "purchase",
    "within_unit": "days",
    "review_days": 14,
    "cond-mode": "all",
}


@dataclass(frozen=True, slots=True)
class RuleSet:
    """The forms in their order, and the id of the button that is to have the focus ("" for none, or for a field)."""

    forms: list[RuleForm]
    focus: str = ""


def opened(current: Sequence[RuleTerms], currency: str) -> RuleSet:
    """The rules in force."""
    return RuleSet(
        [
            RuleForm(initial=rule_initial(rule), currency=currency, prefix=f"rule-{number}", base=rule)
            for number, rule in enumerate(current)
        ]
    )


def posted(data: Mapping[str, Any], current: Sequence[RuleTerms], currency: str) -> RuleSet:
    """The rules as they were sent. `step` says what to do: check them, or add or remove a rule, a tier, a condition.

    A row that was added or removed is no reason to complain about the others, so only checking says what is wrong.
    """
    step, bases = data.get("step", ""), {rule.key: rule for rule in current}
    raw = data.get("count", "")
    count = min(int(raw), services.MAX_RULES) if raw.isascii() and raw.isdigit() and len(raw) < 4 else len(current)
    own = _OWN.match(step)
    checking = own is None and step != "add" and not step.startswith("remove-")
    forms: list[RuleForm] = []
    focus = ""
    for index in range(count):
        if step == f"remove-{index}":
            continue
        stem, prefix = f"rule-{index}-", f"rule-{len(forms)}"
        values = {name.removeprefix(stem): data[name] for name in data if name.startswith(stem)}
        place = ""
        if own is not None and int(own[1]) == index:
            values, place = edited(values, own[2])
        base = bases.get(str(values.get("key", "")))
        if checking:
            typed = {f"{prefix}-{name}": value for name, value in values.items()}
            forms.append(RuleForm(typed, currency=currency, prefix=prefix, base=base))
        else:
            forms.append(RuleForm(initial=values, currency=currency, prefix=prefix, base=base))
        if place and not _give_focus(forms[-1], place):
            focus = f"{prefix}-{place}"
    if step == "add" and len(forms) < services.MAX_RULES:
        fresh = RuleForm(initial=FRESH, currency=currency, prefix=f"rule-{len(forms)}")
        _give_focus(fresh, "side")
        forms.append(fresh)
    return RuleSet(forms, focus)


def problems_of(forms: Sequence[RuleForm]) -> list[tuple[str, str]]:
    """What is wrong with checked rules, in their order: (the id of the place, the sentence), for a summary above a long page."""
    found: list[tuple[str, str]] = []
    for number, form in enumerate(forms, start=1):
        for part in (form, *form.tiers, *form.conditions.tests()):
            if not part.is_bound or getattr(part, "is_left_out", False):
                continue
            for bound in part:
                facts = {"n": number, "field": bound.label}
                found += [
                    (bound.id_for_label, _("Rule %(n)d, %(field)s: %(text)s") % {**facts, "text": text})
                    for text in bound.errors
                ]
        if not any(place.startswith(f"id_{form.prefix}-") for place, _text in found):
            title = f"{form.prefix}-title"
            found += [
                (title, _("Rule %(n)d: %(text)s") % {"n": number, "text": text}) for text in form.non_field_errors()
            ]
    return found


def _give_focus(form: RuleForm, name: str) -> bool:
    """Put the focus on a field, by its name within the rule; False when it is none of its fields."""
    for part in (form, *form.tiers, *form.conditions.tests()):
        for field in part.fields:
            if part.add_prefix(field) == f"{form.prefix}-{name}":
                part.fields[field].widget.attrs["autofocus"] = True
                return True
    return False
