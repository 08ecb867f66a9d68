"""Somebody who was invited takes part: they become a participant, with the code that was kept for them (ADR 14)."""

from __future__ import annotations

from django.db import IntegrityError, transaction

from participants.models import Invite, Participant
from referrals.events.services import Actor
from rewards import services

SOURCE = "invite"


def accept(
    *, invite: Invite, actor: Actor, language: str = "", cookie_code: str = "", visitor: str = ""
) -> Participant:
    """The participant behind an invitation, made now if there is none; idempotent. `invite` comes with its campaign.

    Their code is the one that was kept, unless they had joined by themselves before: then that code leads to theirs.
    Raises Refused for a campaign that is not open.
    """
    if invite.participant is not None:
        return invite.participant
    first, _space, last = invite.name.partition(" ")
    with transaction.atomic():
        joined = services.join(
            campaign=invite.campaign,
            email=invite.email,
            actor=actor,
            source=SOURCE,
            first_name=first,
            last_name=last.strip(),
            language=language,
            cookie_code=cookie_code,
            visitor=visitor,
        )
        person = joined.participant
        person.campaign = invite.campaign
        if joined.created:
            _give_code(person, invite.code)
        Invite.objects.filter(pk=invite.pk, participant=None).update(participant=person)
        invite.participant = person
    return person


def _give_code(person: Participant, code: str) -> None:
    """Nobody else has the code, but for a chance of one in ten thousand millions: then they keep the one they were born with."""
    try:
        with transaction.atomic():
            Participant.objects.filter(pk=person.pk).update(referral_code=code)
    except IntegrityError:
        return
    person.referral_code = code
