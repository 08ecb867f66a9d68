"""What became of invitations: invited, sent, opened, joined, converted. Opened is a click, as no mail of ours has a tracking pixel."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import datetime

from django.db.models import Count, Exists, OuterRef, Q, QuerySet

from participants.models import Invite, InviteLine, InviteList, Participant, QualifyingEvent

CHUNK = 1000


@dataclass(frozen=True, slots=True)
class Funnel:
    """How many have an invitation, of how many the mail waits or was sent, and what those did; `converted`: a friend of theirs paid."""

    invited: int = 0
    waiting: int = 0
    sent: int = 0
    opened: int = 0
    joined: int = 0
    converted: int = 0
    failed: int = 0
    left_out: int = 0


def funnel(rows: QuerySet[Invite]) -> Funnel:
    """The counts over these invitations. One query."""
    # Who was there before their invitation was made did not join by it.
    people = Participant.objects.filter(
        campaign=OuterRef("campaign"), email_key=OuterRef("email_key"), joined_at__gte=OuterRef("created_at")
    )
    paid = QualifyingEvent.objects.filter(
        participant__referral__referrer__campaign=OuterRef("campaign"),
        participant__referral__referrer__email_key=OuterRef("email_key"),
        amount_minor__gt=0,
    )
    asked = Q(state="sent") | Q(participant__isnull=False)
    found = rows.annotate(has_joined=Exists(people), has_converted=Exists(paid)).aggregate(
        invited=Count("pk"),
        waiting=Count("pk", filter=Q(state="queued")),
        sent=Count("pk", filter=Q(state="sent")),
        opened=Count("pk", filter=Q(opened_at__isnull=False)),
        joined=Count("pk", filter=asked & Q(has_joined=True)),
        converted=Count("pk", filter=asked & Q(has_joined=True, has_converted=True)),
        failed=Count("pk", filter=Q(state="failed")),
        left_out=Count("pk", filter=Q(state="left_out")),
    )
    return Funnel(**{field.name: found[field.name] for field in fields(Funnel)})


@dataclass(frozen=True, slots=True)
class Outcome:
    """One line of a list and what became of it. `state` is one of Invite.STATES, or left_out for who never got an invitation."""

    line: InviteLine
    state: str
    reason: str
    joined_at: datetime | None
    converted: bool


def outcomes(row: InviteList) -> Iterator[Outcome]:
    """Every readable line of a list in its order, a thousand at a time. Three queries for each thousand."""
    number = 0
    while True:
        lines = list(row.lines.filter(number__gt=number).select_related("invite").order_by("number")[:CHUNK])
        if not lines:
            return
        number = lines[-1].number
        yield from _outcomes(row, lines)


def _outcomes(row: InviteList, lines: Sequence[InviteLine]) -> Iterator[Outcome]:
    keys = {line.email_key for line in lines if line.invite_id}
    people = Participant.objects.filter(campaign=row.campaign_id, email_key__in=keys)
    joined = dict(people.values_list("email_key", "joined_at"))
    paid = QualifyingEvent.objects.filter(participant__referral__referrer__in=people, amount_minor__gt=0)
    converted = set(paid.values_list("participant__referral__referrer__email_key", flat=True))
    for line in lines:
        invite = line.invite
        if invite is None:
            yield Outcome(line, "left_out" if line.reason else "ready", line.reason, None, False)
            continue
        key = line.email_key
        asked = invite.state == "sent" or invite.participant_id is not None
        yield Outcome(line, invite.state, invite.reason, joined.get(key) if asked else None, asked and key in converted)
