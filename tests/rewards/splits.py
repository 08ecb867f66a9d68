"""A campaign whose friends are shared: whose links somebody opened before joining, and what everybody has of it."""

from __future__ import annotations

from datetime import timedelta

from campaigns.models import Campaign
from participants.models import Participant
from participants.visits import visit_row
from referrals.lib import clock
from rewards import services
from rewards.models import Reward, State
from tests.factories import ACTOR, make_participant

FALLEN = {State.VOID, State.REVERSED}


def make_referrers(campaign: Campaign, names: str = "abc") -> dict[str, Participant]:
    """Participants by a letter."""
    return {name: make_participant(campaign, f"{name}@example.com", first_name=name.upper()) for name in names}


def open_links(people: dict[str, Participant], opened: str, visitor: str) -> None:
    """Somebody opens these people's links in this order, one an hour, the last an hour ago."""
    for n, name in enumerate(opened):
        at = clock.now() - timedelta(hours=len(opened) - n)
        visit_row(referrer=people[name], visitor=visitor, at=at).save()


def make_shared_friend(
    people: dict[str, Participant], opened: str = "abc", email: str = "maya@example.net"
) -> Participant:
    """A friend who joined after opening these people's links in this order."""
    visitor = email.partition("@")[0].ljust(22, "v")[:22]
    open_links(people, opened, visitor)
    campaign = Campaign.objects.select_related("merchant", "version").get(pk=people[opened[0]].campaign_id)
    return services.join(campaign=campaign, email=email, actor=ACTOR, source="hosted", visitor=visitor).participant


def has(friend: Participant, *, fallen: bool = False) -> dict[str, int]:
    """Minor units of the friend's rewards to referrers, by the letter of who gets them; those that stand, or those that fell."""
    found: dict[str, int] = {}
    for reward in Reward.objects.filter(event__participant=friend, side="referrer").order_by("participant_id", "pk"):
        if (reward.state in FALLEN) is fallen:
            letter = Participant.objects.get(pk=reward.participant_id).email[0]
            found[letter] = found.get(letter, 0) + reward.amount_minor
    return found
