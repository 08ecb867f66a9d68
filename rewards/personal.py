"""A person's own data: an export of all of it, decisions in words, and erasing it (RELIABILITY section 8, "GDPR"; docs/portal.md).

The portal, the API and the merchant's page all come here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from participants.erasing import erase_rows
from participants.models import Participant
from participants.privacy import Person, exported, person_of
from participants.services import participant_happening
from referrals.events import types
from referrals.events.services import Actor, record
from referrals.lib import clock
from referrals.lib.errors import Refused
from referrals.lib.money import Money
from rewards import lifecycle, receipts
from rewards.bans import lock_with_friends
from rewards.imports.jobs import forget_files
from rewards.models import Decision, Reward, State
from rewards.reasons import reason_sentence, sentence


@dataclass(frozen=True, slots=True)
class Open:
    """What is not paid yet: a sum for each currency that would be given up, and how many things; what is being sent can't be stopped."""

    sums: list[Money]
    things: int
    sending: int


def export(participant: Participant) -> dict[str, Any]:
    """Everything held about the person at this side of this merchant, as plain values; names and times as they are stored."""
    person = person_of(participant)
    return {
        "about": person.email,
        "business": participant.merchant.name,
        "made_at": clock.now(),
        **exported(person),
        "decisions": _decisions(person),
        "rewards": _rewards(person),
        "receipts": receipts.exported(person.keys),
    }


def _decisions(person: Person) -> list[dict[str, Any]]:
    """The current decisions about what they did and what their friends did, each condition in words. Friends are not named."""
    own = Q(event__participant__in=person.keys, side="invitee")
    rows = Decision.objects.filter(own | Q(referrer__in=person.keys, side="referrer"), current=True)
    return [
        {
            "about": "own" if row.side == "invitee" else "friend",
            "rewardable": row.rewardable,
            "reason": reason_sentence(row.reason, audience=_audience(row.side)) if row.reason else "",
            "conditions": [sentence(one, audience=_audience(row.side)) for one in row.conditions],
            "decided_at": row.decided_at,
        }
        for row in rows.order_by("pk")
    ]


def _audience(side: str) -> str:
    return "own" if side == "invitee" else "participant"


def _rewards(person: Person) -> list[dict[str, Any]]:
    return [
        {
            "side": row.side,
            "kind": row.get_kind_display(),
            "worth": str(row.worth),
            "state": row.get_state_display(),
            "reason": reason_sentence(row.reason, audience=_audience(row.side)) if row.reason else "",
            "created_at": row.created_at,
            "review_ends_at": row.review_ends_at,
            "issued_at": row.issued_at,
        }
        for row in Reward.objects.filter(participant__in=person.keys).order_by("pk")
    ]


def open_rewards(participant: Participant) -> Open:
    """What the person would give up by being erased. One query and those of person_of()."""
    rows = Reward.objects.filter(participant__in=person_of(participant).keys).order_by("currency", "pk")
    given_up = [row for row in rows if row.state in lifecycle.BEFORE_ISSUE]
    sums: dict[str, int] = {}
    for row in given_up:
        if row.amount_minor:
            sums[row.currency] = sums.get(row.currency, 0) + row.amount_minor
    money = [Money(minor, currency) for currency, minor in sorted(sums.items())]
    return Open(money, sum(1 for row in given_up if row.units), sum(1 for row in rows if row.state == State.SENDING))


def erase(*, participant: Participant, actor: Actor) -> Participant:
    """Erase the person in all campaigns of this side. It can't be undone.

    Name, address, codes, visits, mails, log-ins, payout addresses and invitations go; money history stays under ids that lead to nobody.
    What was not paid yet is given up (`recipient_erased`); what is on its way arrives. They earn nothing any more, and who joins again
    with the same address is somebody new. Refused `already_erased` (409).
    """
    with transaction.atomic():
        person = person_of(participant)
        lock_with_friends(person.keys)
        people = _unerased(person)
        if not people:
            raise Refused("already_erased", _("This person's data is erased already."), status=409)
        open_now = Reward.objects.filter(participant__in=person.keys, state__in=lifecycle.BEFORE_ISSUE).order_by("pk")
        rewards = list(open_now.select_for_update(of=("self",)).select_related("participant", "campaign", "merchant"))
        targets = [lifecycle.Target(row, State.VOID, lifecycle.ERASED) for row in rewards]
        lifecycle.move(lifecycle.ACTS["void"], targets, actor=actor)
        erase_rows(person)
        forget_files(participant.tenant)
        happenings = [participant_happening(types.PARTICIPANT_ERASED, row, {}) for row in people]
        record(participant.tenant, actor, *happenings)
    participant.refresh_from_db()
    return participant


def _unerased(person: Person) -> Sequence[Participant]:
    rows = Participant.objects.filter(pk__in=person.keys, erased_at=None).order_by("pk")
    return list(rows.select_related("campaign", "merchant"))
