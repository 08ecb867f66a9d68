"""Banning a referrer, and taking it back: what they have not been given yet is held, and goes on afterwards."""

from __future__ import annotations

from collections.abc import Collection

from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from participants.models import Participant, Referral
from participants.services import lock_person, participant_happening
from referrals.events import types
from referrals.events.services import Actor, record
from referrals.lib import clock
from referrals.lib.errors import Refused
from rewards import lifecycle
from rewards.deciding import redecide, refold
from rewards.locking import lock_all
from rewards.models import Reward, State
from rewards.sharing import sharers_friends


def ban(*, participant: Participant, actor: Actor, reason: str) -> Participant:
    """Stop a person from earning: their rewards that have not left are held, and new events fail `referrer_banned`. unban() undoes it."""
    if not reason.strip():
        raise Refused("note_required", _("Say why, so that it can be explained later."), field="reason")
    with transaction.atomic():
        row = _locked_person(participant.pk)
        if row.banned_at is not None:
            raise Refused("invalid_state", _("%(who)s is already banned.") % {"who": row}, status=409)
        row.banned_at, row.ban_reason = clock.now(), reason.strip()[:300]
        row.save(update_fields=["banned_at", "ban_reason"])
        record(row.tenant, actor, participant_happening(types.PARTICIPANT_BANNED, row, {"reason": row.ban_reason}))
        opened = lifecycle.ACTS["hold"].sources
        open_rewards = _locked_rewards(Q(participant=row, state__in=opened))
        targets = [
            lifecycle.Target(reward, State.HELD, lifecycle.BANNED) for reward in open_rewards if reward.state in opened
        ]
        lifecycle.move(lifecycle.ACTS["hold"], targets, actor=actor, note=row.ban_reason)
    return row


def unban(*, participant: Participant, actor: Actor, note: str = "") -> Participant:
    """Undo a ban: what it held goes on, and what happened meanwhile is decided again."""
    with transaction.atomic():
        row = _locked_person(participant.pk)
        if row.erased_at is not None:
            raise Refused("already_erased", _("This person's data is erased; that can't be undone."), status=409)
        if row.banned_at is None:
            raise Refused("invalid_state", _("%(who)s is not banned.") % {"who": row}, status=409)
        row.banned_at, row.ban_reason = None, ""
        row.save(update_fields=["banned_at", "ban_reason"])
        record(row.tenant, actor, participant_happening(types.PARTICIPANT_UNBANNED, row, {"note": note}))
        now = clock.now()
        refused = Participant.objects.filter(
            referral__referrer=row, qualifying_events__decisions__reason="referrer_banned"
        )
        keys = {*refused.values_list("pk", flat=True), *sharers_friends(row.pk)}
        friends = list(Participant.objects.filter(pk__in=keys).order_by("pk"))
        # Also those that deciding again may touch, all in the order of their keys.
        locked = _locked_rewards(Q(participant=row, state=State.HELD), Q(event__participant__in=friends))
        held = [reward for reward in locked if (reward.participant_id, reward.reason) == (row.pk, lifecycle.BANNED)]
        targets = [
            lifecycle.Target(reward, lifecycle.pipeline_state(reward, now))
            for reward in held
            if reward.state == State.HELD
        ]
        lifecycle.move(lifecycle.ACTS["release"], targets, actor=actor, note=note)
        for friend in friends:
            redecide(friend, actor, since=now)
        refold(row, actor)
    return row


def _locked_person(participant_id: int) -> Participant:
    lock_with_friends([participant_id])
    return lock_person(participant_id)


def lock_with_friends(people: Collection[int]) -> None:
    """These people's rows, and of those whom they invited, so that what a friend does meanwhile is decided before or after."""
    friends = Referral.objects.filter(referrer__in=people).values_list("invitee_id", flat=True)
    shared = {pk for person in people for pk in sharers_friends(person)}
    lock_all({*people, *friends, *shared})


def _locked_rewards(*which: Q) -> list[Reward]:
    """The rewards that match one of the conditions, locked in the order of their keys. Each is looked up in an index of its own."""
    keys = {pk for condition in which for pk in Reward.objects.filter(condition).values_list("pk", flat=True)}
    rows = Reward.objects.filter(pk__in=keys).order_by("pk")
    return list(rows.select_for_update(of=("self",)).select_related("participant", "campaign", "merchant"))
