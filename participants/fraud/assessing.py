"""assess(): score a referral, write the evaluation with its reasons, and open a case when a person has to look.

Runs in the caller's transaction under a lock on the friend's row, so that an answer is never written over a decision made meanwhile.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from participants.fraud import gather, scoring
from participants.fraud.models import FraudCase, FraudEvaluation, FraudReason, Trace, TrustedPair
from participants.fraud.presets import RANK
from participants.fraud.scoring import Assessment
from participants.models import Participant, QualifyingEvent, Referral
from referrals.accounts.tenancy import Tenant
from referrals.events import types
from referrals.events.services import SYSTEM, Happening, record
from referrals.lib import clock

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Assessed:
    """The evaluation that was written, and whether it wants a person to look."""

    evaluation: FraudEvaluation
    holds: bool


def standing_referral(friend: Participant) -> Referral | None:
    """The bond with everything that facts are read from, in one query."""
    return (
        Referral.objects.filter(standing_for=friend)
        .select_related("referrer", "invitee", "visit", "campaign", "merchant")
        .first()
    )


def assess(friend: Participant, event: QualifyingEvent | None = None) -> Assessed | None:
    """Score the friend's referral, or one event of theirs; None for who came through nobody.

    The friend's row is locked by the caller and brought up to date: `fraud_level`, `fraud_holds`. Nothing that goes wrong in reading
    or judging stops the purchase from being recorded: the answer is then `unknown`, which holds (RELIABILITY INV-18).
    """
    referral = standing_referral(friend)
    if referral is None:
        return None
    preset = referral.campaign.fraud_preset
    # Where several share the friend, the worst of the pairs speaks for all: it is one friend and one purchase.
    referral, answer = max(
        ((pair, _answer(pair, event, preset)) for pair in _pairs(referral)),
        key=lambda found: (RANK[found[1].level], found[1].score),
    )
    case = FraudCase.objects.filter(participant=friend).first()
    names = {reason.name for reason in answer.reasons}
    cleared = case is not None and case.status == FraudCase.APPROVED and names <= set(case.cleared)
    holds = answer.suspicious and not cleared
    evaluation = _write(referral, event, answer, preset, holds=holds)
    _bring_up_to_date(friend, evaluation, case, referral)
    return Assessed(evaluation, holds)


def _pairs(referral: Referral) -> list[Referral]:
    """The referral as each of those who share the friend has it, the one with the largest part first; itself where one has the whole."""
    if not referral.split_by:
        return [referral]
    found = [referral]
    for share in referral.shares.select_related("participant").exclude(participant=referral.referrer_id):
        pair = copy.copy(referral)
        pair.referrer = share.participant
        found.append(pair)
    return found


def _answer(referral: Referral, event: QualifyingEvent | None, preset: str) -> Assessment:
    """Facts and their score; a savepoint keeps a failed query from spoiling the caller's transaction."""
    try:
        with transaction.atomic():
            if is_trusted(referral):
                return scoring.trusted()
            facts = gather.facts_of(referral, event)
        return scoring.assess(facts, preset)
    except Exception:
        log.exception("The facts of a referral can't be read; it is held and tried again.")
        return scoring.unknown()


def is_trusted(referral: Referral) -> bool:
    """Whether the merchant trusts this pair."""
    one, other = pair_of(referral)
    return TrustedPair.objects.for_tenant(referral.tenant).filter(one=one, other=other).exists()


def pair_of(referral: Referral) -> tuple[str, str]:
    """The two mailboxes of a referral, the smaller one first."""
    one, other = sorted((referral.referrer.identity_key, referral.invitee.identity_key))
    return one, other


def _write(
    referral: Referral, event: QualifyingEvent | None, answer: Assessment, preset: str, *, holds: bool
) -> FraudEvaluation:
    FraudEvaluation.objects.filter(participant=referral.invitee_id, event=event, current=True).update(current=False)
    evaluation = FraudEvaluation.objects.create(
        merchant_id=referral.merchant_id,
        is_test=referral.is_test,
        participant_id=referral.invitee_id,
        referral=referral,
        event=event,
        rules_version=answer.rules_version,
        inputs_hash=answer.inputs_hash,
        preset=preset,
        level=answer.level,
        score=answer.score,
        holds=holds,
    )
    FraudReason.objects.bulk_create(
        FraudReason(
            evaluation=evaluation,
            code=reason.code,
            name=reason.name,
            points=reason.points,
            evidence=dict(reason.evidence),
        )
        for reason in answer.reasons
    )
    return evaluation


def _bring_up_to_date(
    friend: Participant, evaluation: FraudEvaluation, case: FraudCase | None, referral: Referral
) -> None:
    """The friend's level is the worst of what stands; what holds opens a case, and one that nothing holds any more is closed."""
    worst = worst_of([friend.pk])[friend.pk]
    if evaluation.holds:
        if case is None or case.status == FraudCase.APPROVED:
            _open(referral, case, worst, evaluation)
        elif (case.level, case.score) != (worst.level, worst.score):
            FraudCase.objects.filter(pk=case.pk).update(level=worst.level, score=worst.score, rank=_rank(worst))
    elif case is not None and case.status == FraudCase.OPEN and not _held_by(friend):
        # What could not be checked is fine after all, or the pair is trusted now.
        FraudCase.objects.filter(pk=case.pk, status=FraudCase.OPEN).update(
            status=FraudCase.APPROVED, level=worst.level, score=worst.score, rank=_rank(worst)
        )
        case.status = FraudCase.APPROVED
    waits = evaluation.holds or (case is not None and case.status != FraudCase.APPROVED)
    if (friend.fraud_level, friend.fraud_holds) != (worst.level, waits):
        friend.fraud_level, friend.fraud_holds = worst.level, waits
        Participant.objects.filter(pk=friend.pk).update(fraud_level=worst.level, fraud_holds=waits)


def _rank(evaluation: FraudEvaluation) -> int:
    """Where a case stands in the queue: by level, then by score."""
    return RANK[evaluation.level] * 1000 + evaluation.score


def _held_by(friend: Participant) -> bool:
    return FraudEvaluation.objects.filter(participant=friend, current=True, holds=True).exists()


def _open(referral: Referral, case: FraudCase | None, worst: FraudEvaluation, evaluation: FraudEvaluation) -> None:
    values: dict[str, Any] = {
        "referrer_id": referral.referrer_id,
        "level": worst.level,
        "score": worst.score,
        "rank": _rank(worst),
        "status": FraudCase.OPEN,
        "opened_at": clock.now(),
    }
    if case is None:
        FraudCase.objects.create(
            merchant_id=referral.merchant_id,
            is_test=referral.is_test,
            participant_id=referral.invitee_id,
            campaign_id=referral.campaign_id,
            **values,
        )
    else:
        FraudCase.objects.filter(pk=case.pk).update(**values)
    _tell(referral, evaluation)


def _tell(referral: Referral, evaluation: FraudEvaluation) -> None:
    friend = referral.invitee
    data = {
        "level": evaluation.level,
        "score": evaluation.score,
        "reasons": [
            {"code": reason.code, "name": reason.name, "points": reason.points} for reason in evaluation.reasons.all()
        ],
    }
    record(
        Tenant(referral.merchant, referral.is_test),
        SYSTEM,
        Happening(
            types.FRAUD_FLAGGED,
            "participant",
            friend.public_id,
            campaign=referral.campaign.public_id,
            participant=friend.public_id,
            referrer=referral.referrer.public_id,
            data=data,
        ),
    )


def worst_of(friends: Iterable[int]) -> dict[int, FraudEvaluation]:
    """The evaluation that speaks for each friend: the worst level that stands, then the highest score, then the newest. One query."""
    rows = FraudEvaluation.objects.filter(participant__in=list(friends), current=True).order_by("pk")
    worst: dict[int, FraudEvaluation] = {}
    for row in rows:
        other = worst.get(row.participant_id)
        if other is None or (RANK[row.level], row.score) >= (RANK[other.level], other.score):
            worst[row.participant_id] = row
    return worst


def has_context(friend: Participant) -> bool:
    """Whether anything was ever seen of the friend's browser: without it nothing is scored (API.md v1, fraudScore)."""
    return bool(friend.fraud_level) or Trace.objects.filter(participant=friend).exists()


def shown_for(people: Sequence[Participant]) -> dict[int, dict[str, Any]]:
    """`fraud` of the API for each participant: level, score and reasons. Two queries if one of them was evaluated, else none."""
    empty: dict[str, Any] = {"level": None, "score": None, "reasons": []}
    worst = (
        worst_of([person.pk for person in people if person.fraud_level]) if any(p.fraud_level for p in people) else {}
    )
    reasons: dict[int, list[dict[str, Any]]] = {}
    if worst:
        rows = FraudReason.objects.filter(evaluation__in=[row.pk for row in worst.values()]).order_by("pk")
        for reason in rows:
            reasons.setdefault(reason.evaluation_id, []).append(reason_json(reason))
    answers = {}
    for person in people:
        row = worst.get(person.pk)
        if row is None:
            answers[person.pk] = empty | {"level": person.fraud_level or None}
        else:
            answers[person.pk] = {"level": row.level, "score": row.score, "reasons": reasons.get(row.pk, [])}
    return answers


def reason_json(reason: FraudReason) -> dict[str, Any]:
    """One finding as the API shows it."""
    evidence: Mapping[str, Any] = reason.evidence
    return {
        "code": reason.code or None,
        "name": reason.name,
        "points": reason.points,
        "text": scoring.sentence(reason.name, evidence),
        "evidence": dict(evidence),
    }
