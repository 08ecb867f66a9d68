"""The leaderboard on a participant's page: first name and initial only, and without the name of those who hide it (UX.md)."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import gettext as _

from participants.models import Participant
from referrals.hosted.page import public_name
from rewards.leaderboard import rule_of, standings

PLACES = 10


@dataclass(frozen=True, slots=True)
class Place:
    """One line: rank, the name that others may see, how many friends counted, and whether it is the reader's own."""

    rank: int
    name: str
    friends: int
    me: bool


@dataclass(frozen=True, slots=True)
class Board:
    """The first places, and whether the reader hides their own name from the others."""

    places: list[Place]
    hidden: bool


def board_of(participant: Participant) -> Board | None:
    """The board of the participant's campaign as they see it; None where there is none. Two queries."""
    if rule_of(participant.campaign) is None:
        return None
    places = [
        Place(place.rank, _name(place.participant, participant), place.friends, place.participant == participant)
        for place in standings(participant.campaign, limit=PLACES)
    ]
    return Board(places, participant.hidden_on_board)


def _name(person: Participant, reader: Participant) -> str:
    if person == reader:
        return _("You")
    return _("Somebody") if person.hidden_on_board else public_name(person) or _("Somebody")


def hide_on_board(participant: Participant, *, hidden: bool) -> None:
    """Keep one's name off the board, or show it again; the place stays."""
    Participant.objects.filter(pk=participant.pk).update(hidden_on_board=hidden)
