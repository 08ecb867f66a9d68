"""What a person decides about a suspicious referral: approve, hold, deny, ban, trust the pair, block a domain or a network; and undo.

Each is one transaction under the friend's lock, needs a reason, leaves a FraudAction that knows how to go back, and an Event.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from participants.fraud.assessing import pair_of, standing_referral
from participants.fraud.lists import PUBLIC_MAIL
from participants.fraud.models import FraudAction, FraudBlock, FraudCase, FraudReason, Trace, TrustedPair
from participants.fraud.presets import HIGH, MEDIUM
from participants.fraud.scoring import FAILED, TRUSTED
from participants.fraud.traces import shown
from participants.models import Participant, Referral
from referrals.accounts.tenancy import Tenant
from referrals.events import types
from referrals.events.services import Actor, Happening, record
from referrals.lib import clock
from referrals.lib.errors import Refused
from rewards import bans, fraud, lifecycle
from rewards.locking import lock_all
from rewards.models import Decision, Reward, State

NOTE_LENGTH = 300
# Referrals of one pair over a merchant's campaigns: more than anybody has.
MOST_REFERRALS = 20
UNDECIDED = frozenset({FraudCase.OPEN, FraudCase.HELD})


def approve(*, case: FraudCase, actor: Actor, note: str, confirmed: bool = False) -> FraudAction:
    """Let a referral pass: its held rewards go on, and the same findings do not hold this friend again.

    Raises Refused: note_required, invalid_state (decided meanwhile), confirm_high (High needs `confirmed`).
    """
    note = _note(note)
    with transaction.atomic():
        friend, row = _locked(case)
        _undecided(row)
        if row.level == HIGH and not confirmed:
            raise Refused(
                "confirm_high",
                _("This referral is rated High. Tick that you have looked at the reasons."),
                field="confirmed",
            )
        before = _before(row, friend)
        moved = _release_all(friend, actor, note)
        row.status, row.cleared = FraudCase.APPROVED, sorted(_findings(friend) | set(row.cleared))
        _save(row, friend, holds=False)
        return _acted(row, "approve", actor, note, before | _moved(moved))


def approve_many(*, tenant: Tenant, case_ids: Collection[int], actor: Actor, note: str) -> tuple[int, int]:
    """Approve the Medium ones among these cases. Returns (approved, left out): High and unchecked ones are looked at one by one."""
    note = _note(note)
    rows = FraudCase.objects.for_tenant(tenant).filter(pk__in=case_ids).order_by("participant_id")
    approved = left = 0
    with transaction.atomic():
        for row in rows:
            if row.level == MEDIUM and row.status in UNDECIDED:
                approve(case=row, actor=actor, note=note)
                approved += 1
            else:
                left += 1
    return approved, left


def hold(*, case: FraudCase, actor: Actor, note: str) -> FraudAction:
    """Keep a referral on hold, out of the queue of what is to decide. Raises Refused: note_required, invalid_state."""
    note = _note(note)
    with transaction.atomic():
        friend, row = _locked(case)
        if row.status not in {FraudCase.OPEN, FraudCase.APPROVED}:
            raise _wrong_state(row)
        before = _before(row, friend)
        moved = fraud.hold_open(friend, actor, note)
        row.status = FraudCase.HELD
        _save(row, friend, holds=True)
        return _acted(row, "hold", actor, note, before | _moved(moved))


def deny(*, case: FraudCase, actor: Actor, note: str) -> FraudAction:
    """Decline a referral as fraud: what has not left is void with `fraud_denied`; what comes later waits.

    Raises Refused: note_required, invalid_state.
    """
    note = _note(note)
    with transaction.atomic():
        friend, row = _locked(case)
        _undecided(row)
        before = _before(row, friend)
        rows = fraud.rewards_of(friend, *lifecycle.BEFORE_ISSUE)
        targets = [lifecycle.Target(reward, State.VOID, "fraud_denied") for reward in rows]
        moved = lifecycle.move(lifecycle.ACTS["void"], targets, actor=actor, note=note)
        row.status = FraudCase.DENIED
        _save(row, friend, holds=True)
        return _acted(row, "deny", actor, note, before | _moved(moved))


def ban(*, case: FraudCase, actor: Actor, note: str) -> FraudAction:
    """Ban the referrer: what they have open is held, what comes is not rewarded. The referral stays on hold."""
    note = _note(note)
    with transaction.atomic():
        # Locks the referrer and all their friends, this one among them, in the order of their keys.
        bans.ban(participant=case.referrer, actor=actor, reason=note)
        friend, row = _locked(case)
        before = _before(row, friend)
        if row.status == FraudCase.OPEN:
            row.status = FraudCase.HELD
        _save(row, friend, holds=friend.fraud_holds)
        return _acted(row, "ban", actor, note, before)


def trust(*, case: FraudCase, actor: Actor, note: str) -> FraudAction:
    """Never flag these two again, in any campaign and either way round; what suspicion held goes on.

    Raises Refused: note_required, invalid_state, not_referred (detached meanwhile).
    """
    note = _note(note)
    with transaction.atomic():
        referral = _referral(case.participant)
        if referral.shares.filter(participant=case.referrer_id).exists():
            # The pair that was found suspicious, of those who share the friend.
            referral.referrer = case.referrer
        friends = sorted({*_same_pair(referral), case.participant_id})
        lock_all(friends)
        friend, row = _locked(case)
        _undecided(row)
        before = _before(row, friend)
        one, other = pair_of(referral)
        TrustedPair.objects.get_or_create(
            merchant_id=row.merchant_id,
            is_test=row.is_test,
            one=one,
            other=other,
            defaults={"note": note, "added_by": actor.label[:300]},
        )
        moved = _release_all(friend, actor, note)
        row.status = FraudCase.OPEN
        _save(row, friend, holds=False)
        for person in Participant.objects.filter(pk__in=friends).order_by("pk"):
            fraud.look_again(person)
        row.refresh_from_db()
        row.status = FraudCase.APPROVED
        _save(row, friend, holds=False)
        return _acted(row, "trust", actor, note, before | _moved(moved) | {"one": one, "other": other})


def block(*, case: FraudCase, kind: str, actor: Actor, note: str) -> FraudAction:
    """Block the friend's mail domain ("domain") or the network they joined from ("network"): whoever comes from there is held as High.

    Raises Refused: note_required, nothing_to_block (no network is known, or a mail service that anybody uses).
    """
    note = _note(note)
    with transaction.atomic():
        friend, row = _locked(case)
        value = block_value(friend, kind)
        if not value:
            raise Refused("nothing_to_block", _("Nothing is known here that could be blocked."), field="kind")
        before = _before(row, friend)
        made = add_block(tenant=row.tenant, kind=kind, value=value, actor=actor, note=note)
        fraud.look_again(friend)
        row.refresh_from_db()
        return _acted(row, f"block_{kind}", actor, note, before | {"block": value, "made": made})


def block_value(friend: Participant, kind: str) -> str:
    """What block() would block: the mail domain, or the shortened network of joining; "" if there is nothing, or it is everybody's."""
    if kind == "domain":
        from_domain = friend.email_key.rpartition("@")[2]
        return "" if from_domain in PUBLIC_MAIL else from_domain
    trace = Trace.objects.filter(participant=friend, network__isnull=False).order_by("at", "pk").first()
    return shown(trace.network) if trace is not None else ""


def add_block(*, tenant: Tenant, kind: str, value: str, actor: Actor, note: str) -> bool:
    """Put a domain, network or web site on the block list; False when it stands there already."""
    with transaction.atomic():
        _row, made = FraudBlock.objects.get_or_create(
            merchant=tenant.merchant,
            is_test=tenant.is_test,
            kind=kind,
            value=value,
            defaults={"note": note, "added_by": actor.label[:300]},
        )
        if made:
            _lists(tenant, actor, {"change": "blocked", "kind": kind, "value": value, "note": note})
    return made


def remove_block(*, block: FraudBlock, actor: Actor) -> None:
    """Take an entry off the block list. Whoever was held by it is decided one by one."""
    with transaction.atomic():
        if FraudBlock.objects.filter(pk=block.pk).delete()[0]:
            _lists(block.tenant, actor, {"change": "unblocked", "kind": block.kind, "value": block.value})


def remove_trust(*, pair: TrustedPair, actor: Actor) -> None:
    """Stop trusting a pair: what they do from now on is scored again."""
    with transaction.atomic():
        if TrustedPair.objects.filter(pk=pair.pk).delete()[0]:
            _lists(pair.tenant, actor, {"change": "untrusted", "kind": "pair", "value": str(pair)})


def undo(*, action: FraudAction, actor: Actor) -> FraudCase:
    """Take the last decision about a case back, by the opposite entries; what was paid meanwhile stays paid.

    Raises Refused 409 invalid_state when it was undone before, or when something was decided after it.
    """
    with transaction.atomic():
        if action.kind == "ban":
            _unban(action, actor)
        friend, row = _locked(action.case)
        last = FraudAction.objects.filter(case=row, undone_at=None).order_by("-pk").first()
        if last is None or last.pk != action.pk:
            raise Refused(
                "invalid_state", _("Something was decided after that. Reload to see the referral as it is."), status=409
            )
        FraudAction.objects.filter(pk=last.pk, undone_at=None).update(undone_at=clock.now())
        row.status, row.cleared = last.before["status"], last.before["cleared"]
        _save(row, friend, holds=last.before["holds"])
        _UNDO.get(last.kind, _nothing)(last, friend, actor)
        _tell(row, types.FRAUD_UNDONE, actor, {"action": last.kind})
        row.refresh_from_db()
        return row


def _unban(action: FraudAction, actor: Actor) -> None:
    """Before the friend's own row is locked: unbanning locks all friends in the order of their keys."""
    referrer = action.case.referrer
    if Participant.objects.filter(pk=referrer.pk, banned_at__isnull=False).exists():
        bans.unban(participant=referrer, actor=actor, note=_("Undone"))


def _hold_again(action: FraudAction, friend: Participant, actor: Actor) -> None:
    rows = _still(action, friend, State.REVIEW, State.DUE)
    targets = [lifecycle.Target(row, State.HELD, fraud.SUSPECT) for row in rows]
    lifecycle.move(lifecycle.ACTS["hold"], targets, actor=actor, note=_("Undone"))


def _release_again(action: FraudAction, friend: Participant, actor: Actor) -> None:
    now = clock.now()
    targets = [fraud.released(row, now) for row in _still(action, friend, State.HELD)]
    lifecycle.move(lifecycle.ACTS["release"], targets, actor=actor, note=_("Undone"))


def _restore(action: FraudAction, friend: Participant, actor: Actor) -> None:
    """Void rewards stand again where they stood, unless the facts forbid them meanwhile."""
    rows = [row for row in _still(action, friend, State.VOID) if row.reason == "fraud_denied"]
    forbidden = set(
        Decision.objects.filter(event__in=[row.event_id for row in rows], current=True, rewardable=False).values_list(
            "event_id", "rule_key"
        )
    )
    standing = [row for row in rows if (row.event_id, row.rule_key) not in forbidden]
    lifecycle.move(lifecycle.ACTS["restore"], lifecycle.back(standing), actor=actor, note=_("Undone"))


def _untrust(action: FraudAction, friend: Participant, actor: Actor) -> None:
    before = action.before
    TrustedPair.objects.for_tenant(action.tenant).filter(one=before["one"], other=before["other"]).delete()
    fraud.look_again(friend)
    _hold_again(action, friend, actor)


def _unblock(action: FraudAction, friend: Participant, actor: Actor) -> None:
    if action.before["made"]:
        kind = action.kind.removeprefix("block_")
        found = FraudBlock.objects.for_tenant(action.tenant).filter(kind=kind, value=action.before["block"]).first()
        if found is not None:
            remove_block(block=found, actor=actor)
    fraud.look_again(friend)


def _nothing(action: FraudAction, friend: Participant, actor: Actor) -> None:
    """Nothing beside the case itself."""


_UNDO: dict[str, Callable[[FraudAction, Participant, Actor], None]] = {
    "approve": _hold_again,
    "hold": _release_again,
    "deny": _restore,
    "trust": _untrust,
    "block_domain": _unblock,
    "block_network": _unblock,
}


def _note(text: str) -> str:
    text = " ".join(text.split())
    if not text:
        raise Refused("note_required", _("Say why, so that it can be explained later."), field="note")
    if len(text) > NOTE_LENGTH:
        raise Refused("too_long", _("At most %(limit)d characters fit.") % {"limit": NOTE_LENGTH}, field="note")
    return text


def _locked(case: FraudCase) -> tuple[Participant, FraudCase]:
    """The friend, locked, and the case as it stands under that lock."""
    friend = fraud.lock_friend(case.participant)
    row = FraudCase.objects.select_related("participant", "referrer", "campaign", "merchant").get(pk=case.pk)
    row.participant = friend
    return friend, row


def _undecided(row: FraudCase) -> None:
    if row.status not in UNDECIDED:
        raise _wrong_state(row)


def _wrong_state(row: FraudCase) -> Refused:
    message = _("The referral of %(who)s is %(state)s; that can't be done now. Undo the last decision first.")
    words = {"who": row.participant, "state": row.get_status_display().lower()}
    return Refused("invalid_state", message % words, status=409)


def _referral(friend: Participant) -> Referral:
    referral = standing_referral(friend)
    if referral is None:
        raise Refused("not_referred", _("%(who)s was not referred by anybody.") % {"who": friend}, status=409)
    return referral


def _same_pair(referral: Referral) -> list[int]:
    """Friends whose referral is between these two mailboxes, in any campaign and either way round."""
    one, other = pair_of(referral)
    people = {one, other}
    rows = Referral.objects.for_tenant(referral.tenant).filter(
        standing_for__identity_key__in=people, referrer__identity_key__in=people
    )
    return list(rows.order_by("invitee_id").values_list("invitee_id", flat=True)[:MOST_REFERRALS])


def _findings(friend: Participant) -> set[str]:
    """The names of what was found; what could not be checked is never let pass for good."""
    names = FraudReason.objects.filter(evaluation__participant=friend, evaluation__current=True)
    return set(names.values_list("name", flat=True)) - {FAILED, TRUSTED}


def _release_all(friend: Participant, actor: Actor, note: str) -> list[Reward]:
    """A person lets the whole referral pass: whatever waits for one goes on."""
    now = clock.now()
    rows = [row for row in fraud.rewards_of(friend, State.HELD) if row.reason == fraud.SUSPECT]
    return lifecycle.move(lifecycle.ACTS["release"], [fraud.released(row, now) for row in rows], actor=actor, note=note)


def _still(action: FraudAction, friend: Participant, *states: str) -> list[Reward]:
    """Those of the moved rewards that still stand in one of these states, locked."""
    moved = set(action.before.get("rewards", ()))
    return [row for row in fraud.rewards_of(friend, *states) if row.public_id in moved]


def _before(row: FraudCase, friend: Participant) -> dict[str, Any]:
    return {"status": row.status, "cleared": list(row.cleared), "holds": friend.fraud_holds}


def _moved(rewards: Sequence[Reward]) -> dict[str, Any]:
    return {"rewards": [reward.public_id for reward in rewards]}


def _save(row: FraudCase, friend: Participant, *, holds: bool) -> None:
    row.save(update_fields=["status", "cleared"])
    friend.fraud_holds = holds
    Participant.objects.filter(pk=friend.pk).update(fraud_holds=holds)


def _acted(row: FraudCase, kind: str, actor: Actor, note: str, before: dict[str, Any]) -> FraudAction:
    action = FraudAction.objects.create(
        merchant_id=row.merchant_id,
        is_test=row.is_test,
        case=row,
        kind=kind,
        note=note,
        actor=(actor.label or actor.kind)[:300],
        before=before,
    )
    _tell(row, types.FRAUD_DECIDED, actor, {"action": kind, "note": note})
    return action


def _tell(row: FraudCase, type_: str, actor: Actor, data: dict[str, Any]) -> None:
    record(
        row.tenant,
        actor,
        Happening(
            type_,
            "participant",
            row.participant.public_id,
            campaign=row.campaign.public_id,
            participant=row.participant.public_id,
            referrer=row.referrer.public_id,
            data=data | {"level": row.level, "score": row.score},
        ),
    )


def _lists(tenant: Tenant, actor: Actor, data: dict[str, Any]) -> None:
    record(tenant, actor, Happening(types.FRAUD_LISTS_CHANGED, "merchant", tenant.merchant.public_id, data=data))
