"""One event, explained: for each rule the conditions with their facts, the amount and how it came about, what was decided before, what
happened, and what can still change it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from django.db.models import Q
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from campaigns.rules import rules_of
from participants.models import QualifyingEvent, ReferralShare
from referrals.accounts.models import Role
from referrals.events import types
from referrals.events.models import Event
from referrals.lib.money import Money
from referrals.web.access import MerchantRequest
from referrals.web.checks import Check, check_lines
from referrals.web.purchase_list import TONES, reference_of, referrer_of, shares_of, source_words, why_words
from referrals.web.reward_panel import ACTIONS, possible
from referrals.web.reward_rows import earned_for
from referrals.web.reward_state import ListState
from referrals.web.templatetags.ui import money
from referrals.web.timeline import Entry, entries_of
from rewards.explain import amount_words, by_rule, changes
from rewards.models import Decision, Reward, State
from rewards.pipeline import STAGE_OF
from rewards.purchases import LIVE, OUTCOME_WORDS, on_its_way, standing_of
from rewards.reasons import Change, can_change, failing, sentence

_HISTORY = 60
# A source that tells of it later than this gets a line for the moment itself.
_LATE = timedelta(minutes=5)
_RANKS = {"participant": 0, "event": 1, "reward": 3, "payout": 4}
SIDES: dict[str, str | Promise] = {
    "referrer": gettext_lazy("For the one who invited them"),
    "invitee": gettext_lazy("For the friend"),
}
LINKS: dict[str, str | Promise] = {
    "attach": gettext_lazy("Attach a referrer"),
    "friend": gettext_lazy("Open the friend's page"),
    "person": gettext_lazy("Open their page"),
    "campaign": gettext_lazy("Open the campaign"),
    "rules": gettext_lazy("See the rules"),
    "unban": gettext_lazy("Lift the ban"),
    "reward": gettext_lazy("Decide"),
    "approve": gettext_lazy("Open the reward"),
}


@dataclass(frozen=True, slots=True)
class Possible:
    """One thing that can still change the outcome: what it is about, the sentence, and the page where, if there is one."""

    about: str
    text: str
    url: str = ""
    label: str = ""


@dataclass(frozen=True, slots=True)
class Earlier:
    """A decision that a later one replaced: when, its outcome in words, and what the next one changed."""

    at: datetime
    text: str
    changed: list[str]


@dataclass(frozen=True, slots=True)
class Given:
    """One reward that a rule led to, with what can be done with it in one press (name and label); the part, of a friend who is shared."""

    reward: Reward
    presses: list[tuple[str, str]] = field(default_factory=list)
    share: str = ""


@dataclass(frozen=True, slots=True)
class RuleLine:
    """One rule's answer about the event."""

    side: str
    amount: str
    checks: list[Check]
    earlier: list[Earlier]
    given: list[Given]


def purchase_context(request: MerchantRequest, event: QualifyingEvent) -> dict[str, Any]:
    """Context of web/purchases/_inspector.html and show.html: a fixed number of queries beside the event's own.

    `event` comes with its campaign, and its participant with their referral, its referrer and visit.
    """
    decisions = list(Decision.objects.filter(event=event).order_by("pk"))
    rewards = list(
        Reward.objects.filter(event=event).select_related("participant", "payout__batch", "campaign").order_by("pk")
    )
    refunds = list(event.refunds.order_by("-occurred_at", "-pk")[:_HISTORY])
    shares = shares_of(event)
    current = [row for row in decisions if row.current]
    standing = standing_of(current, rewards)
    can_act = request.membership.may(Role.MANAGER)
    rules = _rules(event, decisions, rewards, shares, can_act)
    return {
        "event": event,
        "person": event.participant,
        "referrer": referrer_of(event),
        "shares": shares,
        "what": earned_for(event),
        "source": source_words(event.source),
        "reference": reference_of(event),
        "references": [row.reference for row in event.references.order_by("pk")[:20]],
        "tone": TONES[standing.outcome],
        "outcome": str(OUTCOME_WORDS[standing.outcome]),
        "why": why_words(standing),
        "refunded": Money(event.refunded_minor, event.currency) if event.refunded_minor else None,
        "kept": event.kept if event.refunded_minor else None,
        "rules": rules,
        "changes": _changes(event, current, rewards, shares, can_act),
        "timeline": _timeline(request, event, decisions, rewards),
        "refunds": [
            {
                "row": row,
                "amount": event.amount if row.amount_minor is None else Money(row.amount_minor, event.currency),
            }
            for row in refunds
        ],
        "can_act": can_act,
        "can_refund": can_act and event.amount_minor is not None and event.refunded_minor < event.amount_minor,
        "back": ListState(stage="due").query(),
    }


def _rules(
    event: QualifyingEvent,
    decisions: Sequence[Decision],
    rewards: Sequence[Reward],
    shares: Sequence[ReferralShare],
    can_act: bool,
) -> list[RuleLine]:
    parts = {share.participant_id: share.words for share in shares}
    terms = {one.key: one for _pk, one in rules_of(event.version_id, event.currency)}
    lines = []
    for key, rows in by_rule(decisions).items():
        latest = rows[-1]
        given = _rewards_of(latest, rewards, shares)
        lines.append(
            RuleLine(
                side=str(SIDES[latest.side]),
                amount=amount_words(terms.get(key), event, latest),
                checks=check_lines(latest.conditions, event, event.campaign.name),
                earlier=_earlier(rows, event.currency),
                given=[
                    Given(
                        row,
                        _presses(row) if can_act else [],
                        parts.get(row.participant_id, "") if row.side == "referrer" else "",
                    )
                    for row in given
                ],
            )
        )
    return sorted(lines, key=lambda line: line.side != str(SIDES["referrer"]))


def _presses(reward: Reward) -> list[tuple[str, str]]:
    """What may be done here; issuing is done where one sees to whom and how."""
    return [(name, str(ACTIONS[name])) for name in possible(reward, STAGE_OF[reward.state]) if name != "issue"]


def _rewards_of(decision: Decision, rewards: Iterable[Reward], shares: Sequence[ReferralShare]) -> list[Reward]:
    """The rewards of a decision: of a friend who is shared one for each, in their order; else the one that stands, or the latest.

    A friend who changed referrers has more, of which those do not count any more.
    """
    found = [row for row in rewards if (row.rule_key, row.side) == (decision.rule_key, decision.side)]
    order = {share.participant_id: share.position for share in shares}
    mine = [row for row in found if row.participant_id in order]
    if mine and decision.side == "referrer":
        return sorted(mine, key=lambda row: order[row.participant_id])
    latest = max(found, key=lambda row: (row.state in LIVE, row.pk), default=None)
    return [latest] if latest is not None else []


def _earlier(rows: Sequence[Decision], currency: str) -> list[Earlier]:
    """What was decided before, newest first, each with what the next decision changed."""
    return [
        Earlier(row.decided_at, _outcome_words(row, currency), changes(row, following, currency))
        for row, following in reversed(list(pairwise(rows)))
    ]


def _outcome_words(decision: Decision, currency: str) -> str:
    if decision.rewardable and not decision.amount_minor:
        return _("Rewardable")
    if decision.rewardable:
        return _("Rewardable: %(amount)s") % {"amount": money(decision.amount_minor, currency)}
    why = failing(decision.conditions, decision.reason)
    return _("Not rewardable: %(why)s") % {"why": sentence(why) if why else decision.reason}


def _changes(
    event: QualifyingEvent,
    current: Sequence[Decision],
    rewards: Sequence[Reward],
    shares: Sequence[ReferralShare],
    can_act: bool,
) -> list[Possible]:
    """What can still change the outcome, each thing once: the failing conditions, and what the rewards wait for."""
    found: dict[tuple[str, str], Possible] = {}

    def add(condition: Mapping[str, Any], reward: Reward | None) -> None:
        change = can_change(condition)
        url, label = _where(change, event, reward) if can_act else ("", "")
        found.setdefault((change.code, change.text), Possible(sentence(condition), change.text, url, label))

    for decision in current:
        given = _rewards_of(decision, rewards, shares)
        for condition in decision.conditions:
            if not condition["passed"]:
                add(condition, given[0] if given else None)
        for reward in given:
            if waits := on_its_way(reward, decision):
                add(waits, reward)
            elif reward.state in {State.DUE, State.ISSUED}:
                line = _settled(reward)
                found.setdefault((reward.state, line.about), line)
    if not current:
        text = _("Nothing for this event: it keeps the rules it was recorded under. Add a rule for later ones")
        url = reverse("web:campaign_rules", args=[event.campaign.public_id]) if can_act else ""
        return [Possible(_("No rule of the campaign is about this"), text, url, str(LINKS["rules"]))]
    return list(found.values())


def _settled(reward: Reward) -> Possible:
    amount, url = money(reward.worth), reverse("web:reward", args=[reward.public_id])
    if reward.state == State.DUE:
        text = _("Issue it. A refund before that makes it void")
        return Possible(_("%(amount)s is due") % {"amount": amount}, text, url, _("Open the reward"))
    text = _("A refund or a lost dispute takes it back from the next payout")
    return Possible(_("%(amount)s is issued") % {"amount": amount}, text, url, _("Open the reward"))


def _where(change: Change, event: QualifyingEvent, reward: Reward | None) -> tuple[str, str]:
    """The address where a thing can be changed, and the words of the link; empty when there is no such page."""
    referrer = referrer_of(event)
    person = reward.participant if reward else event.participant
    pages = {
        "attach": ("web:participant_attach", event.participant.public_id),
        "friend": ("web:participant", event.participant.public_id),
        "person": ("web:participant", person.public_id),
        "campaign": ("web:campaign", event.campaign.public_id),
        "rules": ("web:campaign_rules", event.campaign.public_id),
        "unban": ("web:participant_unban", _banned(event, referrer, person)),
        "reward": ("web:reward", reward.public_id if reward else ""),
        "approve": ("web:reward", reward.public_id if reward else ""),
    }
    name, public_id = pages.get(change.act, ("", ""))
    return (reverse(name, args=[public_id]), str(LINKS[change.act])) if name and public_id else ("", "")


def _banned(event: QualifyingEvent, referrer: Any, person: Any) -> str:
    """Whose ban it is: the referrer's for a condition, the recipient's for a reward that a ban holds."""
    for one in (person, referrer, event.participant):
        if one is not None and one.is_banned:
            return str(one.public_id)
    return ""


def _timeline(
    request: MerchantRequest, event: QualifyingEvent, decisions: Sequence[Decision], rewards: Sequence[Reward]
) -> list[Entry]:
    """What happened, newest first: the visit, the join, the event, refunds, decisions, rewards and payouts. One query."""
    friend = event.participant
    payouts = {row.payout.public_id for row in rewards if row.payout}
    subjects = [event.public_id, *(row.public_id for row in rewards), *payouts]
    joined = Q(
        subject_id=friend.public_id, type__in=[types.PARTICIPANT_CREATED, types.REFERRAL_CREATED, types.REFERRAL_SHARED]
    )
    told = Event.objects.for_tenant(request.tenant).filter(Q(subject_id__in=subjects) | joined)
    rows = list(told.order_by("-pk")[:_HISTORY])
    entries = entries_of(rows, viewpoint=friend.public_id)
    # What one transaction wrote has almost the same time: a decision stands between its event and the reward.
    ranked = [(_RANKS.get(row.subject_type, 3), entry) for row, entry in zip(rows, entries, strict=True)]
    ranked += [(2, _decided(row, event)) for row in decisions]
    referral = getattr(friend, "referral", None)
    if referral is not None and referral.visit is not None:
        channel = referral.visit.channel
        text = _("Opened the link (%(channel)s)") % {"channel": channel} if channel else _("Opened the link")
        ranked.append((0, Entry("mouse-pointer-click", "", text, "", referral.visit.occurred_at)))
    if event.recorded_at - event.occurred_at > _LATE:
        ranked.append((0, Entry("clock", "", _("It happened; we heard of it later"), "", event.occurred_at)))
    ranked.sort(key=lambda pair: (pair[1].at.replace(microsecond=0), pair[0]), reverse=True)
    return [entry for _rank, entry in ranked[:_HISTORY]]


def _decided(decision: Decision, event: QualifyingEvent) -> Entry:
    side = str(SIDES[decision.side])
    text = _("%(side)s: %(outcome)s") % {"side": side, "outcome": _outcome_words(decision, event.currency)}
    icon, tone = ("circle-check", "issued") if decision.rewardable else ("circle-x", "")
    return Entry(icon, tone, text, "", decision.decided_at)
