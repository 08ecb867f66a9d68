"""What a participant's own page tells: what was earned, what clears when, and each friend in one plain sentence.

A fixed number of queries whatever the number of friends; friends come in pages of fifty. Friends are shown by first name and initial,
or by a masked address (RELIABILITY section 7; UX.md, "Participants see each friend's state").
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from django.db.models import Count, Exists, Min, OuterRef, Q, Sum
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from campaigns.rules import current_terms, main_rule
from campaigns.terms import Units
from integrations.outlook import Outlook, outlook
from participants.confirming import waiting_for
from participants.friends import friends_of
from participants.inviting import friend_reminders
from participants.models import Participant, QualifyingEvent, Referral, ReferralShare
from participants.visits import VisitCount, counts_of
from referrals.hosted.friend_words import NO_ORDER, deed, quiet_words, waits
from referrals.hosted.given import Given, opened
from referrals.hosted.offer import day_text, given_text, money_text, worth_text
from referrals.hosted.page import public_name
from referrals.hosted.payout_words import ahead_text, netted_text
from referrals.lib import clock
from referrals.lib.emails import mask_email
from referrals.lib.money import Money
from referrals.lib.pages import keyset
from rewards.balances import balances_of
from rewards.leaderboard import counting_friends
from rewards.models import Decision, Payout, PayoutItem, Reward, State
from rewards.purchases import GONE, on_its_way
from rewards.reasons import failing, reason_sentence, sentence
from rewards.sharing import TOO_SMALL

FRIENDS, REWARDS = 50, 100
# State -> (colour of the pill, its word).
PILLS: dict[str, tuple[str, str | Promise]] = {
    State.REVIEW: ("pending", gettext_lazy("In review")),
    State.DUE: ("pending", gettext_lazy("Approved")),
    State.QUEUED: ("pending", gettext_lazy("On its way")),
    State.SENDING: ("pending", gettext_lazy("On its way")),
    State.ISSUED: ("done", gettext_lazy("Rewarded")),
    State.HELD: ("pending", gettext_lazy("Being checked")),
    State.WAITING: ("pending", gettext_lazy("Waiting")),
    State.ATTENTION: ("pending", gettext_lazy("On its way")),
    State.VOID: ("no", gettext_lazy("Not eligible")),
    State.REVERSED: ("no", gettext_lazy("Taken back")),
}
# Reasons that are no refusal: the way to a reward, with the pill's colour and word.
PENDING: dict[str, tuple[str, str | Promise]] = {
    "payment_count_not_reached": ("pending", gettext_lazy("Ordered")),
    "tier_not_reached": ("pending", gettext_lazy("Counted")),
    "milestone_not_reached": ("pending", gettext_lazy("Counted")),
    "disputed": ("pending", gettext_lazy("Being checked")),
}
_COMING = {State.DUE, State.QUEUED, State.SENDING, State.WAITING, State.ATTENTION}


@dataclass(frozen=True, slots=True)
class Friend:
    """One invited person: a public name, one sentence, and a pill (its colour "done", "pending" or "no", and a word)."""

    name: str
    initials: str
    text: str
    tone: str = ""
    word: str = ""
    # What else they did that did not count, and why: a line for each reason.
    others: list[str] = field(default_factory=list)
    # Whether all that is missing is an order. Then they can be reminded: the friend's public id when that is possible now, else the day.
    waits: bool = False
    remind: str = ""
    remind_on: str = ""


@dataclass(frozen=True, slots=True)
class RewardLine:
    """One reward of the person's own: amount and kind, what for, and where it stands with its date."""

    amount: str
    what: str
    text: str
    tone: str
    word: str
    # What was set off against it, or that it came back.
    notes: list[str] = field(default_factory=list)
    # The payout's public id, when there is a receipt of it.
    receipt: str = ""
    # What was given to use: a code, a link.
    gift: Given | None = None


@dataclass(slots=True)
class Story:
    """Everything the page shows below the link."""

    earned: str
    received: str
    clearing: str
    coming: str
    # Rewards that are no money: "1 mug". The first stands for `earned` where no money was earned.
    things: list[str]
    clicks: int = 0
    joined: int = 0
    ordered: int = 0
    friends: list[Friend] = field(default_factory=list)
    next_friends: str | None = None
    previous_friends: str | None = None
    rewards: list[RewardLine] = field(default_factory=list)
    # How many came through the link and have yet to confirm their address.
    waiting: str = ""


def tell(participant: Participant, *, cursor: str = "", reminding: bool = False) -> Story:
    """The story of one participant, with the page of friends that `cursor` names. Raises PageError for a damaged cursor.

    `reminding`: whether friends can be reminded now; then the story says whom.
    """
    story = _sums(participant)
    story.clicks = counts_of([participant.pk]).get(participant.pk, VisitCount()).counted
    acted = QualifyingEvent.objects.filter(participant=OuterRef("invitee")).exclude(type="join")
    ordered = acted.exclude(type__in=NO_ORDER)
    made = Referral.objects.filter(friends_of(participant))
    counts = made.aggregate(
        joined=Count("pk"),
        ordered=Count("pk", filter=Exists(ordered)),
        acted=Count("pk", filter=Exists(acted)),
    )
    if participant.campaign.confirms_email and (number := waiting_for(participant).count()):
        story.waiting = ngettext(
            "%(n)d friend waits for confirmation: they filled in the form, and the mail to them is not answered yet.",
            "%(n)d friends wait for confirmation: they filled in the form, and the mails to them are not answered yet.",
            number,
        ) % {"n": number}
    story.joined, story.ordered = counts["joined"], counts["ordered"]
    page = keyset(made.select_related("invitee"), sort="-id", cursor=cursor, limit=FRIENDS)
    story.next_friends, story.previous_friends = page.next, page.previous
    story.friends = _friends(participant, page.rows, some_acted=counts["acted"] > 0)
    if reminding and page.rows:
        story.friends = _with_reminders(participant, page.rows, story.friends)
    story.rewards = _rewards(participant)
    return story


def _sums(participant: Participant) -> Story:
    currency = participant.campaign.currency
    balances = balances_of([participant.pk])[participant.pk]
    open_sums = Reward.objects.filter(participant=participant).aggregate(
        clearing=Sum("amount_minor", filter=Q(state=State.REVIEW)),
        clears_at=Min("review_ends_at", filter=Q(state=State.REVIEW)),
        coming=Sum("amount_minor", filter=Q(state__in=_COMING)),
        things=Count("pk", filter=Q(units__isnull=False) & ~Q(state__in=GONE)),
    )
    earned = balances.referrer.earned + balances.invitee.earned
    received = balances.referrer.redeemed + balances.invitee.redeemed

    def text(minor: int | None) -> str:
        return money_text(Money(minor, currency)) if minor else ""

    clearing = text(open_sums["clearing"])
    if clearing and open_sums["clears_at"]:
        facts = {"amount": clearing, "day": day_text(open_sums["clears_at"])}
        clearing = _("%(amount)s clears from %(day)s") % facts
    elif clearing:
        clearing = _("%(amount)s in review") % {"amount": clearing}
    units = _units(participant) if open_sums["things"] else []
    return Story(
        earned=units[0] if units and not earned else money_text(Money(earned, currency)),
        things=units[1:] if not earned else units,
        received=_("%(amount)s received") % {"amount": text(received)} if received else "",
        clearing=clearing,
        coming=_("%(amount)s on its way") % {"amount": text(open_sums["coming"])} if open_sums["coming"] else "",
    )


def _units(participant: Participant) -> list[str]:
    """What was earned that is no money, each kind summed: "2 free months"."""
    rows = Reward.objects.filter(participant=participant, units__isnull=False).exclude(state__in=GONE)
    sums = rows.values("units_label").annotate(n=Sum("units")).order_by("units_label")
    return [str(Units(row["n"], row["units_label"])) for row in sums]


def _friends(participant: Participant, referrals: Sequence[Referral], *, some_acted: bool) -> list[Friend]:
    people = [referral.invitee_id for referral in referrals]
    rewards: dict[int, list[Reward]] = defaultdict(list)
    mine = Reward.objects.filter(participant=participant, side="referrer", event__participant_id__in=people)
    for reward in mine.select_related("event").order_by("-pk")[:1000]:
        rewards[reward.event.participant_id].append(reward)
    decided: dict[int, dict[int, list[Decision]]] = defaultdict(lambda: defaultdict(list))
    decisions = Decision.objects.filter(event__participant_id__in=people, side="referrer", current=True)
    for decision in decisions.select_related("event").order_by("-event__occurred_at", "-event_id", "pk")[:2000]:
        decided[decision.event.participant_id][decision.event_id].append(decision)
    quiet = {pk for pk in people if pk not in rewards and pk not in decided} if some_acted else set()
    acted = QualifyingEvent.objects.filter(participant__in=quiet).exclude(type="join").order_by("occurred_at", "pk")
    did = dict(acted.values_list("participant", "type")) if quiet else {}
    counted = counting_friends(participant, quiet)
    rule = main_rule(current_terms(participant.campaign), "referrer")
    shares = _shares(participant, [referral.pk for referral in referrals if referral.split_by])
    return [
        _friend(
            referral.invitee,
            rewards[referral.invitee_id],
            list(decided[referral.invitee_id].values()),
            quiet_words(
                did=did.get(referral.invitee_id, ""),
                status=referral.status,
                counts=referral.invitee_id in counted,
                joined_at=referral.created_at,
                rule=rule,
                now=clock.now(),
            ),
            shares.get(referral.pk, ""),
        )
        for referral in referrals
    ]


def _with_reminders(participant: Participant, referrals: Sequence[Referral], friends: Sequence[Friend]) -> list[Friend]:
    possible = friend_reminders(participant, referrals)
    told = []
    for referral, friend in zip(referrals, friends, strict=True):
        found = possible.get(referral.pk) if friend.waits else None
        if found is not None and found.now:
            told.append(replace(friend, remind=referral.invitee.public_id))
        elif found is not None and found.on is not None:
            told.append(replace(friend, remind_on=day_text(found.on)))
        else:
            told.append(friend)
    return told


def _shares(participant: Participant, referrals: Sequence[int]) -> dict[int, str]:
    """What the participant gets of each friend who is shared, as a sentence, by referral; nobody is named. One query, or none."""
    rows = ReferralShare.objects.filter(referral__in=referrals) if referrals else ()
    people: dict[int, int] = defaultdict(int)
    mine = {}
    for row in rows:
        people[row.referral_id] += 1
        if row.participant_id == participant.pk:
            mine[row.referral_id] = row.words
    return {pk: _share_text(share, people[pk] - 1) for pk, share in mine.items()}


def _share_text(share: str, others: int) -> str:
    text = ngettext(
        "You get %(share)s of it: they opened %(n)s other person's link, too.",
        "You get %(share)s of it: they opened %(n)s other people's links, too.",
        others,
    )
    return text % {"share": share, "n": others}


def _friend(
    person: Participant,
    rewards: Sequence[Reward],
    events: Sequence[Sequence[Decision]],
    otherwise: tuple[str, str, str],
    share: str = "",
) -> Friend:
    """`events` are the current decisions of what they did, newest event first; `otherwise` is said where there are none.

    `share` says that others have a part of this friend.
    """
    shared = [share] if share else []
    name = shown_name(person)
    letters = "".join(part[0] for part in (person.first_name.strip(), person.last_name.strip()) if part)
    initials = (letters or ("" if person.erased_at else person.email[:1])).upper() or "–"
    owed = {reward.event_id for reward in rewards}
    refused = [
        _telling(rows) for rows in events if rows[0].event_id not in owed and not any(row.rewardable for row in rows)
    ]
    if rewards:
        latest = rewards[0]
        tone, word = PILLS[latest.state]
        done = deed(latest.event.type)
        text = _reward_text(latest, next((row for rows in events for row in rows if _is_of(row, latest)), None))
        return Friend(name, initials, f"{done} {text}", tone, str(word), shared + _why_not(refused))
    if refused:
        reason = refused[0].reason
        tone, word = PENDING.get(reason, ("no", _("Not eligible")))
        return Friend(name, initials, f"{_refusal(refused[0])}.", tone, str(word), shared + _why_not(refused[1:]))
    text, tone, quiet = otherwise
    if share and events:
        # Something was earned, and this part of it comes to less than the smallest coin.
        text, tone = f"{reason_sentence(TOO_SMALL, audience='participant')}.", "no"
    return Friend(name, initials, text, tone, quiet, shared, waits=not events and waits(otherwise))


def shown_name(person: Participant) -> str:
    """What a referrer reads of a friend: "Asha V.", else a masked address; nothing of somebody whose data is erased."""
    if person.erased_at is not None:
        return _("Somebody")
    return public_name(person) or mask_email(person.email)


def _telling(decisions: Sequence[Decision]) -> Decision:
    """Of what several rules said of one event, the one to tell: the next milestone that this friend counts towards, else the first."""
    ahead = []
    for decision in decisions:
        found = failing(decision.conditions, decision.reason)
        facts = found["facts"] if found is not None and decision.reason == "milestone_not_reached" else {}
        friends, needed = facts.get("friends"), facts.get("needed")
        if isinstance(friends, int) and isinstance(needed, int) and friends < needed:
            ahead.append((needed, decision))
    return min(ahead, key=lambda one: one[0])[1] if ahead else decisions[0]


def _is_of(decision: Decision, reward: Reward) -> bool:
    return (decision.event_id, decision.rule_key) == (reward.event_id, reward.rule_key)


def _refusal(decision: Decision) -> str:
    found = failing(decision.conditions, decision.reason)
    if found is None:
        return reason_sentence(decision.reason, audience="participant")
    return sentence(found, audience="participant")


def _why_not(refused: Sequence[Decision]) -> list[str]:
    """Why each of these did not count, newest first; what has the same reason stands together."""
    groups: dict[str, list[Decision]] = defaultdict(list)
    for decision in refused:
        groups[_refusal(decision)].append(decision)
    lines = []
    for why, rows in groups.items():
        facts = {"day": day_text(rows[0].event.occurred_at), "why": why, "n": len(rows)}
        lines.append(
            ngettext(
                "Order of %(day)s did not count: %(why)s.",
                "%(n)s orders did not count, the last of %(day)s: %(why)s.",
                len(rows),
            )
            % facts
        )
    return lines


def _reward_text(reward: Reward, decision: Decision | None = None, *, audience: str = "participant") -> str:
    """Where a reward stands, as a sentence: "$15 clears on 24 Nov.". `decision` has the facts of one that fell."""
    facts = {"amount": worth_text(reward.worth)}
    if reward.state == State.REVIEW:
        if reward.review_ends_at is None:
            return _("%(amount)s is in review.") % facts
        return _("%(amount)s clears on %(day)s.") % {**facts, "day": day_text(reward.review_ends_at)}
    if reward.state == State.ISSUED and reward.issued_at is not None:
        return _("%(amount)s sent on %(day)s.") % {**facts, "day": day_text(reward.issued_at)}
    if reward.state == State.HELD:
        return _("We are checking %(amount)s.") % facts
    if reward.state in {State.VOID, State.REVERSED, State.WAITING, State.ATTENTION}:
        found = on_its_way(reward, decision)
        return f"{sentence(found, audience=audience)}." if found else ""
    if reward.state == State.QUEUED:
        return _("%(amount)s is in line and leaves soon.") % facts
    if reward.state == State.SENDING:
        return _("%(amount)s is being sent.") % facts
    return _("%(amount)s is approved and on its way.") % facts


def _rewards(participant: Participant) -> list[RewardLine]:
    rows = Reward.objects.filter(participant=participant).select_related("event__participant", "payout", "rule")
    found = list(rows.order_by("-pk")[:REWARDS])
    ahead = outlook(participant.tenant, found)
    fallen = [reward.event_id for reward in found if reward.state in GONE]
    facts = {(row.event_id, row.rule_key): row for row in Decision.objects.filter(event__in=fallen, current=True)}
    back = _came_back(found)
    # What is in one payout was given as one: it stands at the first of its rewards.
    paid = {
        reward.payout_id: reward.payout for reward in found if reward.payout and reward.payout.status in Payout.GONE
    }
    given = opened(list(paid.values()))
    lines = []
    for reward in found:
        tone, word = PILLS[reward.state]
        lines.append(
            RewardLine(
                amount=given_text(reward.worth, reward.kind),
                what=what_for(reward),
                text=_reward_text(
                    reward,
                    facts.get((reward.event_id, reward.rule_key)),
                    audience="own" if reward.side == "invitee" else "participant",
                ),
                tone=tone,
                word=str(word),
                notes=_payout_notes(reward, back.get(reward.pk), ahead.get(reward.pk)),
                receipt=paid[reward.payout_id].public_id if reward.payout_id in paid else "",
                gift=given.pop(reward.payout_id, None) if reward.payout_id is not None else None,
            )
        )
    return lines


def what_for(reward: Reward) -> str:
    """What a reward is for, to its owner; a friend by their public name. Needs the event's participant."""
    if reward.side == "invitee":
        return _("For joining") if reward.event.type == "join" else _("For your order")
    return _("For inviting %(name)s") % {"name": shown_name(reward.event.participant)}


def _came_back(rewards: Sequence[Reward]) -> dict[int, Payout]:
    """The last payout that had left and came back, by reward, of those that are to be sent anew. One query, or none."""
    waiting = [reward.pk for reward in rewards if reward.state in {State.DUE, State.WAITING, State.ATTENTION}]
    if not waiting:
        return {}
    items = PayoutItem.objects.filter(reward__in=waiting, payout__status="failed", payout__paid_at__isnull=False)
    return {item.reward_id: item.payout for item in items.select_related("payout").order_by("pk")}


def _payout_notes(reward: Reward, back: Payout | None, ahead: Outlook | None) -> list[str]:
    """What else is to be said of how a reward is paid: when it will be, that it came back, or that something was set off against it."""
    if ahead is not None and (text := ahead_text(ahead)):
        return [text]
    if back is not None and back.paid_at is not None:
        return [_("It was sent on %(day)s and came back.") % {"day": day_text(back.paid_at)}]
    payout = reward.payout
    text = netted_text(payout) if payout is not None and payout.status in Payout.GONE else ""
    return [text] if text else []
