"""The check list: every condition of a decision in words, with its facts. Shared by the pages of rewards and of purchases."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from participants.friends import shares_by_referral
from participants.models import Participant, QualifyingEvent, Referral
from referrals.web.templatetags.ui import money
from rewards.reasons import sentence

_TOGETHER = {
    "campaign": {"campaign_not_started", "campaign_paused", "campaign_ended"},
    "kept": {"refunded", "disputed"},
}
_MET = {"campaign": gettext_lazy("The campaign was running"), "kept": gettext_lazy("Not refunded or disputed")}


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the check list: `state` is ok, fail, warn or todo; `facts` is the small line under it."""

    state: str
    text: str
    facts: str = ""


def check_lines(conditions: Iterable[Mapping[str, Any]], event: QualifyingEvent, campaign: str) -> list[Check]:
    """The conditions of a decision about `event`, which comes with its participant and their referral."""
    return [_check(condition, event, campaign) for condition in _merged(conditions)]


def _merged(conditions: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Conditions that ask one thing in several steps make one line when all of them are met."""
    rows = list(conditions)
    # What went back in part is worth a line of its own.
    passed = {row["code"] for row in rows if row["passed"] and not row.get("facts", {}).get("refunded")}
    found: list[Mapping[str, Any]] = []
    said = set()
    for condition in rows:
        whole = next((name for name, codes in _TOGETHER.items() if condition["code"] in codes and codes <= passed), "")
        if not whole:
            found.append(condition)
        elif whole not in said:
            said.add(whole)
            found.append({**condition, "code": whole})
    return found


def _check(condition: Mapping[str, Any], event: QualifyingEvent, campaign: str) -> Check:
    if condition["code"] in _TOGETHER:
        return Check("ok", str(_MET[condition["code"]]), campaign if condition["code"] == "campaign" else "")
    # Unknown is neither: it holds until a person decides.
    state = {True: "ok", False: "fail"}.get(condition["passed"], "warn")
    if condition["code"] == "shared" and condition.get("facts", {}).get("held"):
        state = "warn"
    return Check(state, sentence(condition), _facts(condition, event, campaign))


def _facts(condition: Mapping[str, Any], event: QualifyingEvent, campaign: str) -> str:
    """The small line: what was looked at, where the sentence itself does not say it."""
    friend = event.participant
    code, facts = condition["code"], condition.get("facts", {})
    if code == "not_referred":
        referral = _referral(friend)
        if referral is None:
            return friend.email
        how = {"who": referral.referrer.name or referral.referrer.email, "how": referral.get_how_display()}
        return _("%(who)s · %(how)s · %(day)s") % {**how, "day": day_words(referral.created_at)}
    if code == "existing_customer":
        return friend.email
    if code == "shared":
        return _parts(facts.get("shares", []), friend)
    if code.startswith("campaign_"):
        return campaign
    for name in ("refunded", "disputed_at", "banned_at"):
        if facts.get(name) and not condition["passed"]:
            return fact_words(facts[name])
    return ""


def _parts(shares: Iterable[Mapping[str, Any]], friend: Participant) -> str:
    """ "Asha 1/3 · Ben 2/3, banned": who shares, by name as long as they still do. One query."""
    referral = _referral(friend)
    rows = shares_by_referral([referral]).get(referral.pk, ()) if referral is not None else ()
    names = {row.participant.public_id: str(row.participant) for row in rows}
    parts = []
    for share in shares:
        words = f"{names.get(str(share['participant']), share['participant'])} {share['share']}"
        parts.append(_("%(part)s, held: banned") % {"part": words} if share.get("held") else words)
    return " · ".join(parts)


def fact_words(value: Any) -> str:
    """A fact by itself: an amount, or a time."""
    if isinstance(value, dict):
        return money(int(value["amount_minor"]), str(value["currency"]))
    return day_words(datetime.fromisoformat(str(value)))


def _referral(friend: Participant) -> Referral | None:
    try:
        return friend.referral
    except Referral.DoesNotExist:
        return None


def day_words(at: datetime) -> str:
    """ "8 Nov 2026", by the merchant's clock."""
    return date_format(timezone.localtime(at), "j M Y")


def moment_words(at: datetime) -> str:
    """ "8 Nov 2026, 14:02", by the merchant's clock."""
    local = timezone.localtime(at)
    return f"{date_format(local, 'j M Y')}, {date_format(local, 'H:i')}"
