"""Attaching a missed referral and detaching a wrong one by hand; both are history, and decide the events concerned again.

PRODUCT.md, "Attribution". What the old referrer was owed is void, what they were paid is taken back by a negative entry, and the
new one earns by the same rules and facts.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from django.db import connection, transaction
from django.utils.translation import gettext as _

from participants.codes import find_by_code
from participants.joining import bind, credited
from participants.models import Participant, Referral
from participants.services import check_email
from referrals.events import types
from referrals.events.services import Actor, Happening, record
from referrals.lib import clock
from referrals.lib.errors import Refused
from rewards import fraud
from rewards.deciding import redecide, refold
from rewards.loading import referral_of
from rewards.models import Reward
from rewards.services import award_joining
from rewards.sharing import load_shares, shares_of

REASON_LENGTH = 300


def find_referrer(participant: Participant, text: str) -> Participant:
    """The participant of the same campaign whom `text` names: an id, a referral code or an address; Refused `referrer_not_found`."""
    text = text.strip()
    rows = Participant.objects.filter(campaign=participant.campaign_id)
    if "@" in text:
        found = rows.filter(email_key=check_email(text, field="referrer").key).first()
    elif text.startswith("pt_"):
        found = rows.filter(public_id=text[:32]).first()
    else:
        found = find_by_code(participant.campaign, text)
    if found is None:
        message = _("Nobody in the campaign %(campaign)s has the id, code or address %(text)s.")
        words = {"campaign": participant.campaign.public_id, "text": text[:80]}
        raise Refused("referrer_not_found", message % words, field="referrer", status=404)
    return found


def attach(*, participant: Participant, referrer: Participant, actor: Actor, reason: str) -> Referral:
    """Make `participant` the friend of `referrer` as a whole, from the day they joined; all their events are decided again.

    Raises Refused: note_required, self_referral, referrer_not_found (another campaign), referrer_banned, referral_loop,
    already_referred (409, naming by whom: detach first).
    """
    return _attach(participant, referrer, actor, _reason(reason))


def _attach(
    participant: Participant, referrer: Participant, actor: Actor, reason: str, former: Referral | None = None
) -> Referral:
    """attach(); with the shares of a `former` bond, if it had some."""
    shares = shares_of(former) if former is not None else []
    with transaction.atomic():
        people = _lock(participant.pk, referrer.pk, *(row.participant_id for row in shares))
        friend, by = people[participant.pk], people[referrer.pk]
        _refuse(friend, by)
        parts: list[tuple[Participant, Fraction]] = [(people[row.participant_id], row.weight) for row in shares]
        for person, _part in parts:
            _refuse_loop(friend, person)
        _lock_rewards(friend, by)
        model = former.split_by if former is not None else ""
        referral = bind(
            friend, referrer=by, how="manual", since=friend.joined_at, shares=parts, split_by=model,
            visit_id=former.visit_id if former is not None and parts else None,
        )  # fmt: skip
        data = {"how": "manual", "reason": reason}
        record(friend.tenant, actor, _told(types.REFERRAL_CREATED, referral, data), *credited(referral))
        fraud.after_joining(friend, None, referred=True)
        award_joining(friend, actor, at=friend.joined_at)
        redecide(friend, actor)
    return referral


def detach(*, participant: Participant, actor: Actor, reason: str) -> Referral:
    """End the bond to the referrer, or to all who share the friend: what was earned by it is void or taken back. undo() undoes it.

    Raises Refused: note_required, not_referred (409).
    """
    reason = _reason(reason)
    with transaction.atomic():
        standing = referral_of(participant)
        if standing is None:
            raise _nobody_s(participant)
        people = _lock(participant.pk, standing.referrer_id, *(row.participant_id for row in shares_of(standing)))
        now = clock.now()
        ended = Referral.objects.filter(pk=standing.pk, detached_at=None).update(detached_at=now, standing_for=None)
        if not ended:
            raise _nobody_s(participant)
        friend = people[participant.pk]
        standing.detached_at, standing.standing_for, standing.invitee = now, None, friend
        standing.referrer = people[standing.referrer_id]
        _lock_rewards(friend, standing.referrer)
        record(friend.tenant, actor, _told(types.REFERRAL_DETACHED, standing, {"reason": reason}))
        redecide(friend, actor)
        if not standing.split_by:
            refold(standing.referrer, actor)
    return standing


def undo(*, referral: Referral, actor: Actor) -> None:
    """The opposite of what was done to this bond last; shares end with it and come back with it. Raises as attach() and detach() do."""
    reason = _("Undone")
    if referral.detached_at is None:
        detach(participant=referral.invitee, actor=actor, reason=reason)
    else:
        load_shares([referral])
        _attach(referral.invitee, referral.referrer, actor, reason, referral)


def _reason(text: str) -> str:
    text = " ".join(text.split())
    if not text:
        raise Refused("note_required", _("Say why, so that it can be explained later."), field="reason")
    if len(text) > REASON_LENGTH:
        raise Refused("too_long", _("At most %(limit)d characters fit.") % {"limit": REASON_LENGTH}, field="reason")
    return text


def _lock(*keys: int) -> dict[int, Participant]:
    """The people, locked in the order of their keys, as everything about them is."""
    rows = Participant.objects.filter(pk__in=keys).order_by("pk").select_related("campaign", "merchant")
    return {row.pk: row for row in rows.select_for_update(of=("self",), no_key=True)}


def _lock_rewards(friend: Participant, referrer: Participant) -> None:
    """All rewards that deciding again may touch, in the order of their keys; each looked up in an index of its own."""
    keys = set(Reward.objects.filter(event__participant=friend).values_list("pk", flat=True))
    if friend.campaign.counts_referrers:
        keys.update(Reward.objects.filter(participant=referrer, side="referrer").values_list("pk", flat=True))
    list(Reward.objects.filter(pk__in=keys).order_by("pk").select_for_update(of=("self",)).only("pk"))


def _refuse(friend: Participant, referrer: Participant) -> None:
    if referrer.campaign_id != friend.campaign_id:
        message = _("%(who)s is in another campaign.") % {"who": referrer}
        raise Refused("referrer_not_found", message, field="referrer", status=404)
    if referrer.pk == friend.pk or referrer.identity_key == friend.identity_key:
        raise Refused("self_referral", _("Nobody can refer themselves: this is the same person."), field="referrer")
    if referrer.is_banned:
        message = _("%(who)s is banned and cannot get rewards. Lift the ban first.") % {"who": referrer}
        raise Refused("referrer_banned", message, field="referrer")
    standing = Referral.objects.filter(standing_for=friend).select_related("referrer").first()
    if standing is not None:
        message = _("%(friend)s was already referred by %(who)s. Detach them first.")
        raise Refused(
            "already_referred",
            message % {"friend": friend, "who": standing.referrer},
            field="referrer",
            status=409,
            details={"referred_by": standing.referrer.public_id},
        )
    _refuse_loop(friend, referrer)


def _refuse_loop(friend: Participant, referrer: Participant) -> None:
    if _comes_through(referrer, friend):
        message = _("%(who)s came through %(friend)s; two people can't have referred each other.")
        raise Refused("referral_loop", message % {"who": referrer, "friend": friend}, field="referrer")


def _comes_through(person: Participant, ancestor: Participant) -> bool:
    """Whether `person` was referred by `ancestor`, as a whole or in part, or by somebody who was, however far back. One query."""
    query = """
        WITH RECURSIVE line(id) AS (
            SELECT COALESCE(s.participant_id, r.referrer_id) FROM participants_referral r
            LEFT JOIN participants_referralshare s ON s.referral_id = r.id WHERE r.standing_for_id = %s
            UNION
            SELECT COALESCE(s.participant_id, r.referrer_id) FROM line JOIN participants_referral r ON r.standing_for_id = line.id
            LEFT JOIN participants_referralshare s ON s.referral_id = r.id
        )
        SELECT 1 FROM line WHERE id = %s
    """
    with connection.cursor() as cursor:
        cursor.execute(query, [person.pk, ancestor.pk])
        return cursor.fetchone() is not None


def _nobody_s(participant: Participant) -> Refused:
    return Refused("not_referred", _("%(who)s was not referred by anybody.") % {"who": participant}, status=409)


def _told(type_: str, referral: Referral, data: dict[str, Any]) -> Happening:
    friend = referral.invitee
    return Happening(
        type_,
        "participant",
        friend.public_id,
        campaign=friend.campaign.public_id,
        participant=friend.public_id,
        referrer=referral.referrer.public_id,
        data=data,
    )
