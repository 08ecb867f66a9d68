"""A friend's reward that was given at the checkout, by a promotion code that stands for it: one payment per debt (PRODUCT.md).

The friend remembers the rule; deciding then says `given_by_code`, so that pressing "Issue" can't pay the same again.
"""

from __future__ import annotations

from django.db import transaction

from participants.models import Participant
from participants.services import participant_happening
from referrals.events import types
from referrals.events.services import Actor, record
from rewards.deciding import redecide
from rewards.locking import lock_people


def given_by_code(*, participant: Participant, rule_key: str, actor: Actor, decided: bool = True) -> bool:
    """Note that the friend had the rule's reward by a code, and decide again unless that follows anyway. True when it was new.

    A reward that was owed is void now; one that was issued before is reversed, and the next payout nets it.
    """
    with transaction.atomic():
        lock_people(participant)
        if not Participant.objects.filter(pk=participant.pk, given_rule="").update(given_rule=rule_key):
            return False
        participant.given_rule = rule_key
        record(
            participant.tenant, actor, participant_happening(types.PARTICIPANT_GIVEN, participant, {"rule": rule_key})
        )
        if decided:
            redecide(participant, actor)
    return True
