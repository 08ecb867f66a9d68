"""Facts to a level: ask every signal, count what rests on the same evidence once, cap at 100 (RELIABILITY section 11.2, INV-18)."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from participants.fraud.facts import RULES_VERSION, Facts, inputs_hash
from participants.fraud.presets import HIGH, LOW, MEDIUM, PRESETS, UNKNOWN
from participants.fraud.signals import SAME_EVIDENCE, SIGNALS, VARIANTS, Signal

log = logging.getLogger(__name__)
MOST = 100
# Not signals, but reasons that a person or a failure gives.
TRUSTED, FAILED = "trusted", "check_failed"


@dataclass(frozen=True, slots=True)
class Reason:
    """What one signal found: its code, the form it found, the points that it adds, and masked evidence."""

    code: str
    name: str
    points: int
    evidence: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Assessment:
    """The answer about one referral. `score` is the sum of the reasons' points, at most 100."""

    level: str
    score: int
    reasons: tuple[Reason, ...]
    inputs_hash: str
    rules_version: int = RULES_VERSION

    @property
    def suspicious(self) -> bool:
        """Whether a person has to look before anything is paid: all but Low. What could not be checked is not fine."""
        return self.level != LOW


def assess(facts: Facts, preset: str, *, signals: Sequence[Signal] = SIGNALS) -> Assessment:
    """Score one referral. The same facts and preset give the same answer; a signal that raises makes the level `unknown`."""
    found: list[Reason] = []
    failed: list[Reason] = []
    for signal in signals:
        try:
            for name, evidence in signal.check(facts):
                found.append(Reason(signal.code, name, signal.variants[name].points, evidence))
        except Exception:
            log.exception("The signal %s can't be checked; the referral is held.", signal.code)
            failed.append(Reason(signal.code, FAILED, 0, {}))
    reasons = without_doubles(found)
    score = min(MOST, sum(reason.points for reason in reasons))
    level = UNKNOWN if failed else PRESETS[preset].level(score)
    return Assessment(level, score, (*reasons, *failed), inputs_hash(facts, preset))


def unknown(inputs: str = "") -> Assessment:
    """The answer when not even the facts could be read: hold, and ask again later."""
    return Assessment(UNKNOWN, 0, (Reason("", FAILED, 0, {}),), inputs)


def trusted() -> Assessment:
    """The answer about a pair that the merchant trusts: no signal is asked."""
    return Assessment(LOW, 0, (Reason("", TRUSTED, 0, {}),), "")


def without_doubles(found: Iterable[Reason]) -> tuple[Reason, ...]:
    """The reasons with points trimmed where several rest on the same evidence; their sum is the score before the cap."""
    left = [most for _names, most in SAME_EVIDENCE]
    reasons = []
    for reason in found:
        groups = [at for at, (names, _most) in enumerate(SAME_EVIDENCE) if reason.name in names]
        points = min([reason.points, *(left[at] for at in groups)])
        for at in groups:
            left[at] -= points
        reasons.append(Reason(reason.code, reason.name, points, reason.evidence))
    return tuple(reasons)


class _Blanks(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return "?"


def sentence(name: str, evidence: Mapping[str, Any]) -> str:
    """A reason in plain words for the merchant. One that a later release knows is shown by its name."""
    if name == TRUSTED:
        return _("You trust this pair")
    if name == FAILED:
        return _("Could not be checked, so it waits; it is tried again every few minutes")
    known = VARIANTS.get(name)
    if known is None:
        return name.replace("_", " ")
    words = _Blanks(evidence)
    if name == "lookalike_letters":
        words["where"] = _("name") if evidence.get("where") == "name" else _("address")
    return str(known[1].sentence) % words


def level_label(level: str) -> str:
    """A level in plain words; "" for what was not evaluated."""
    return {LOW: _("Low"), MEDIUM: _("Medium"), HIGH: _("High"), UNKNOWN: _("Not checked")}.get(level, "")
