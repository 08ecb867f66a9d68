"""The inspector: one reward, why it stands where it stands, what happened to it, and what can be done now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.http import QueryDict
from django.urls import reverse
from django.utils.timesince import timesince
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _

from integrations.outlook import outlook, words
from referrals.accounts.models import Role
from referrals.events.models import Event
from referrals.lib import clock
from referrals.web.access import MerchantRequest
from referrals.web.checks import Check, check_lines, day_words, moment_words
from referrals.web.reward_choice import STAGE_ACTIONS
from referrals.web.reward_pipeline import STAGE_NAMES
from referrals.web.reward_rows import KIND_ICONS, earned_for
from referrals.web.reward_state import ListState
from referrals.web.templatetags.ui import money
from referrals.web.timeline import entries_of
from rewards.lifecycle import BY_HAND
from rewards.models import Decision, LedgerEntry, Reward, State
from rewards.pipeline import STAGE_OF
from rewards.reasons import REASONS, reason_sentence

# Nobody reads further; the rest is in the event log.
_HISTORY = 30
WHY = {
    "review": gettext_lazy("Why this is in review"),
    "due": gettext_lazy("Why this is due"),
    "sending": gettext_lazy("Why this is being sent"),
    "issued": gettext_lazy("Why this was earned"),
    "attention": gettext_lazy("Why this waits for you"),
    "closed": gettext_lazy("Why this was refused"),
}
_SINCE = {
    State.REVIEW: gettext_lazy("In review for %(time)s"),
    State.DUE: gettext_lazy("Due for %(time)s"),
    State.ISSUED: gettext_lazy("Issued %(time)s ago"),
    State.HELD: gettext_lazy("On hold for %(time)s"),
    State.VOID: gettext_lazy("Declined %(time)s ago"),
    State.REVERSED: gettext_lazy("Taken back %(time)s ago"),
}
ACTIONS = {
    "approve": gettext_lazy("Approve now"),
    "issue": gettext_lazy("Issue…"),
    "hold": gettext_lazy("Hold…"),
    "release": gettext_lazy("Release"),
    "void": gettext_lazy("Decline…"),
    "reverse": gettext_lazy("Take back…"),
    "restore": gettext_lazy("Restore"),
    "retry": gettext_lazy("Try again"),
}


@dataclass(frozen=True, slots=True)
class Press:
    """A button of the inspector."""

    name: str
    label: str


def inspector_context(request: MerchantRequest, reward: Reward) -> dict[str, Any]:
    """Context of web/rewards/_inspector.html. Three queries beside the reward's own: decision, ledger, history.

    `reward` comes with campaign, participant, event, the event's participant and referral, and payout with its batch.
    """
    stage = STAGE_OF[reward.state]
    can_change = request.membership.may(Role.MANAGER)
    presses = [Press(name, _label(name, reward)) for name in possible(reward, stage)] if can_change else []
    back = QueryDict(request.POST.get("back", "")).urlencode() if request.method == "POST" else ""
    return {
        "reward": reward,
        "person": reward.participant,
        "person_name": reward.participant.name or reward.participant.email,
        "person_url": reverse("web:participant", args=[reward.participant.public_id]),
        "amount": money(reward.worth),
        "since": _since(reward),
        "summary": _summary(reward),
        "kind_icon": KIND_ICONS.get(reward.kind, "gift"),
        "why": str(_why(reward, stage)),
        "checks": checks(reward),
        "outlook": _outlook(reward),
        "note": reward.note,
        "presses": presses,
        "first_press": presses[0] if presses else None,
        "more_presses": presses[1:],
        "back": back or ListState(stage=stage).query(),
        "stage": stage,
        "stage_name": str(STAGE_NAMES[stage]),
        "stage_url": ListState(stage=stage).url(),
        "ledger": list(LedgerEntry.objects.for_tenant(request.tenant).filter(reward=reward).order_by("pk")),
        "timeline": entries_of(
            Event.objects.for_tenant(request.tenant).filter(subject_id=reward.public_id).order_by("-pk")[:_HISTORY]
        ),
    }


def _outlook(reward: Reward) -> str:
    """When and how it goes out by itself; empty when it does not. Some queries for those that do, none for the others."""
    found = outlook(reward.tenant, [reward]).get(reward.pk)
    return words(found, get_language() or "en") if found else ""


def possible(reward: Reward, stage: str) -> tuple[str, ...]:
    """The actions that can succeed from the reward's own state, not only from some state of its stage."""
    if reward.state in {State.WAITING, State.ATTENTION}:
        return ("retry", "void")
    if stage == "closed" and reward.reason not in BY_HAND:
        return ()
    return STAGE_ACTIONS[stage]


def _label(name: str, reward: Reward) -> str:
    if name == "issue":
        return _("Issue %(amount)s…") % {"amount": money(reward.worth)}
    return str(ACTIONS[name])


def _since(reward: Reward) -> str:
    words = _SINCE.get(State(reward.state))
    if words is None:
        return str(reward.get_state_display())
    return str(words) % {"time": timesince(reward.stage_at, clock.now(), depth=1)}


def _summary(reward: Reward) -> str:
    friend = reward.event.participant
    given = {"who": friend.name or friend.email, "campaign": reward.campaign.name}
    if reward.side == "invitee":
        return _("As an invited friend · %(campaign)s") % given
    return _("For inviting %(who)s · %(campaign)s") % given


def _why(reward: Reward, stage: str) -> Any:
    if reward.state == State.REVERSED:
        return _("Why this was taken back")
    if reward.state == State.HELD:
        return _("Why this is on hold")
    return WHY[stage]


def checks(reward: Reward) -> list[Check]:
    """Every condition of the decision with its facts, what a person decided, and where the review stands."""
    decision = Decision.objects.filter(event_id=reward.event_id, rule_key=reward.rule_key, current=True).first()
    lines = [_occasion(reward)]
    lines += check_lines(decision.conditions if decision else [], reward.event, reward.campaign.name)
    if reward.reason in BY_HAND or reward.state in {State.HELD, State.ATTENTION, State.WAITING}:
        lines.append(_by_hand(reward))
    review = _review(reward)
    return [*lines, review] if review else lines


def _occasion(reward: Reward) -> Check:
    event = reward.event
    parts = [day_words(event.occurred_at), money(event.amount) if event.amount else ""]
    return Check("ok", earned_for(event), " · ".join(part for part in parts if part))


def _by_hand(reward: Reward) -> Check:
    code = reward.reason
    text = reason_sentence(code) if code in REASONS else str(reward.get_state_display())
    return Check("fail" if reward.state in {State.VOID, State.REVERSED} else "warn", text, reward.note)


def _review(reward: Reward) -> Check | None:
    ends = reward.review_ends_at
    if ends is None:
        return Check("ok", _("No review period")) if reward.state in {State.DUE, State.ISSUED} else None
    if ends > clock.now():
        if reward.state in {State.DUE, State.ISSUED}:
            return Check(
                "ok",
                _("Approved before the review ended"),
                _("It would have ended %(at)s") % {"at": moment_words(ends)},
            )
        if reward.state == State.REVIEW:
            return Check("todo", _("Review period runs"), _("Ends %(at)s") % {"at": moment_words(ends)})
        return None
    return Check("ok", _("Review period over"), _("Ended %(at)s") % {"at": moment_words(ends)})
