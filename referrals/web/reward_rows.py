"""Rows of the rewards table, ready to print: the template only places texts (PERFORMANCE.md, section 4: formatting dominates)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from html import escape
from typing import Any, TypedDict

from django.db.models import QuerySet
from django.template.loader import get_template
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _

from campaigns.models import RewardRule
from participants.models import QualifyingEvent
from referrals.lib import clock
from referrals.lib.money import Money, exponent_of
from referrals.web.templatetags.ui import ago, avatar, icon, money, stage_tag
from rewards.models import Reward, State
from rewards.pipeline import STAGES

KIND_ICONS = {
    "cash": "banknote",
    "coupon": "ticket-percent",
    "store_credit": "wallet",
    "gift_card": "gift",
    "custom": "sparkles",
}
# Ids of events whose source gave them none: without a name of their own, of joining, of a status, of a closed leaderboard.
_OURS = ("auto:", "join:", "status:", "leaderboard:")
# What one press in a row does, by the reward's state: the action's name, its words, its key.
ROW_ACTIONS: dict[str, tuple[str, Any, str]] = {
    State.REVIEW: ("approve", gettext_lazy("Approve"), "i"),
    State.DUE: ("issue", gettext_lazy("Issue"), "i"),
    State.WAITING: ("retry", gettext_lazy("Try again"), ""),
    State.ATTENTION: ("retry", gettext_lazy("Try again"), ""),
    State.HELD: ("release", gettext_lazy("Release"), "i"),
    State.VOID: ("restore", gettext_lazy("Restore"), ""),
}
_CHECKED, _KEY = " checked", ' data-key="i"'
_ONE_OF_SEVERAL = frozenset(state for states in STAGES.values() if len(states) > 1 for state in states)
# Only what a row prints: no metadata, no note, no JSON is read for a list.
_FIELDS = (
    "public_id",
    "side",
    "kind",
    "amount_minor",
    "currency",
    "units",
    "units_label",
    "state",
    "stage_at",
    "review_ends_at",
    "participant__email",
    "participant__first_name",
    "participant__last_name",
    "event__type",
    "event__external_id",
    "event__source",
    "event__amount_minor",
    "event__currency",
    "event__participant__email",
    "event__participant__first_name",
    "event__participant__last_name",
)


class Row(TypedDict):
    """One reward as the table prints it, every text translated and in the reader's locale; `html` is the finished <tr>."""

    id: str
    name: str
    email: str
    avatar: SafeString
    amount: str
    minor: int
    currency: str
    exponent: int
    kind: str
    kind_icon: SafeString
    earned: str
    by: str
    since: SafeString
    extra: SafeString
    url: str
    select_label: str
    action: str
    action_text: str
    action_label: str
    action_key: str
    checked: bool
    html: SafeString


class _Words:
    """What many rows say, translated once for a page."""

    def __init__(self) -> None:
        self.language = get_language() or "en"
        self.select = _("Select %(name)s, %(amount)s")
        self.act = _("%(action)s: %(amount)s to %(name)s")
        self.clears = _("clears {time}")
        self.friend = _("as the invited friend")
        self.kinds = {value: (str(words), icon(KIND_ICONS.get(value, "gift"), 13)) for value, words in RewardRule.KINDS}
        self.actions = {state: (name, str(words), key) for state, (name, words, key) in ROW_ACTIONS.items()}
        self.url = reverse("web:reward", args=["-"])

    def money(self, minor: int, currency: str) -> str:
        return money_text(minor, currency, self.language)


def for_rows(rewards: QuerySet[Reward]) -> QuerySet[Reward]:
    """The queryset with everything that make_rows() reads, in one query."""
    return rewards.select_related("participant", "event__participant").only(*_FIELDS)


def make_rows(
    rewards: Iterable[Reward],
    *,
    ticked: Iterable[str] = (),
    all_but: Iterable[str] | None = None,
    with_ticks: bool = True,
    with_buttons: bool = True,
) -> list[Row]:
    """Rows for the table. Ticked are those in `ticked`, or, when `all_but` is given, all except those in it (public ids)."""
    chosen, left_out = set(ticked), None if all_but is None else set(all_but)
    now, words = clock.now(), _Words()
    line, tick, button = (_fragment(name) for name in ("_row", "_row_tick", "_row_button"))
    rows = []
    for reward in rewards:
        checked = reward.public_id in chosen if left_out is None else reward.public_id not in left_out
        row = _row(reward, words, now, checked)
        # Escaped once for all fragments; format_map() puts values in and reads none of them as a pattern.
        safe = {name: value if isinstance(value, SafeString) else escape(str(value)) for name, value in row.items()}
        safe["checked"] = _CHECKED if checked else ""
        safe["key"] = _KEY if row["action_key"] else ""
        safe["tick"] = tick.format_map(safe) if with_ticks else ""
        safe["button"] = button.format_map(safe) if with_buttons and row["action"] else ""
        row["html"] = SafeString(line.format_map(safe))
        rows.append(row)
    return rows


def _fragment(name: str) -> str:
    """A file with {placeholders}: fifty rows of fifteen values cost a Django template more than all the queries of the page
    (PERFORMANCE.md, section 4)."""
    template: Any = get_template(f"web/rewards/{name}.html")
    return str(template.template.source).strip()


def _row(reward: Reward, words: _Words, now: datetime, checked: bool) -> Row:
    person = reward.participant
    shown = person.name
    name = shown or person.email
    amount = words.money(reward.amount_minor, reward.currency) if reward.units is None else str(reward.worth)
    action, action_text, key = words.actions.get(reward.state, ("", "", ""))
    kind, kind_icon = words.kinds[reward.kind]
    return {
        "id": reward.public_id,
        "name": name,
        "email": person.email if shown else "",
        "avatar": avatar(name, person.email),
        "amount": amount,
        "minor": reward.amount_minor,
        "currency": reward.currency,
        "exponent": exponent_of(reward.currency),
        "kind": kind,
        "kind_icon": kind_icon,
        "earned": earned_for(reward.event),
        "by": _by(reward, words),
        "since": ago(reward.stage_at, now),
        "extra": _extra(reward, words, now),
        "url": words.url.replace("/-/", f"/{reward.public_id}/"),
        "select_label": words.select % {"name": name, "amount": amount},
        "action": action,
        "action_text": action_text,
        "action_label": words.act % {"action": action_text, "amount": amount, "name": name},
        "action_key": key,
        "checked": checked,
        "html": SafeString(""),
    }


def _extra(reward: Reward, words: _Words, now: datetime) -> SafeString:
    """The second line under the date: when the review ends, or which of a tab's several states it is."""
    if reward.state == State.REVIEW and reward.review_ends_at is not None:
        return format_html("<small>{}</small>", format_html(words.clears, time=ago(reward.review_ends_at, now)))
    if reward.state in _ONE_OF_SEVERAL:
        return format_html("<br>{}", stage_tag(reward.state))
    return SafeString("")


def _by(reward: Reward, words: _Words) -> str:
    """Whose doing it was, and what they paid: "Maya Chen · $64.20"."""
    event = reward.event
    friend = event.participant
    own = reward.side == "invitee" and friend.pk == reward.participant_id
    who = words.friend if own else friend.name or friend.email
    if event.amount_minor is None:
        return who
    return f"{who} · {words.money(event.amount_minor, event.currency)}"


def named_by_source(external_id: str) -> str:
    """The name that an event has at its source; "" for one that we made up ourselves."""
    return "" if external_id.startswith(_OURS) else external_id


def earned_for(event: QualifyingEvent) -> str:
    """What was done, in a few words: "Purchase 10482", "Joined"."""
    if event.type == "join":
        return _("Joined")
    reference = named_by_source(event.external_id)
    if event.type == "purchase":
        return _("Purchase %(reference)s") % {"reference": reference} if reference else _("Purchase")
    words = event.type.replace("_", " ")
    return f"{words[:1].upper()}{words[1:]} {reference}".rstrip()


@lru_cache(maxsize=4096)
def money_text(minor: int, currency: str, language: str) -> str:
    """Money in the active language. Lists repeat few amounts many times, and Babel is the slowest part of a row."""
    return money(Money(minor, currency))
