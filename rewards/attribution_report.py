"""A campaign's friends, what they paid and what was earned for them, under each model of attribution (docs/attribution.md).

Derived anew from the visits that are kept; nothing is written. Each amount is shared by itself, as a reward would be. Friends who came by a
code, a promotion code, an address or by hand belong to their referrer under every model: there was no click to choose among.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from django.db.models import F, Sum

from campaigns.models import Campaign
from participants.attribution_models import MODELS, Click, split, weights, within
from participants.friends import shares_by_referral
from participants.models import Participant, QualifyingEvent, Referral, ReferralShare, Visit
from rewards.budgets import FALLEN
from rewards.models import Reward

MEASURES = ("revenue", "rewards", "friends")
# A friend in parts is counted in hundredths.
WHOLE_FRIEND = 100
CHUNK = 1000
# Friends looked at, the newest first.
MOST = 50_000


@dataclass(slots=True)
class Row:
    """One referrer: what is recorded, and what each model gives; minor units, or hundredths of friends."""

    referrer: Participant
    recorded: int = 0
    models: dict[str, int] = field(default_factory=lambda: dict.fromkeys(MODELS, 0))

    def difference(self, model: str) -> int:
        """What a model gives more, or less, than what is recorded."""
        return self.models[model] - self.recorded


@dataclass(frozen=True, slots=True)
class Report:
    """The rows, most recorded first, the total of every column (the same), how many friends, and whether older ones were left out."""

    rows: list[Row]
    total: int
    friends: int
    by_clicks: int
    is_cut: bool


@dataclass(slots=True)
class _Sums:
    """What one friend came to: every amount that is shared by itself, with how often it occurred; of rewards also who has how much."""

    amounts: Counter[int] = field(default_factory=Counter)
    by_person: Counter[int] = field(default_factory=Counter)

    @property
    def total(self) -> int:
        return sum(minor * times for minor, times in self.amounts.items())

    def shared(self, shares: dict[int, Fraction]) -> Counter[int]:
        """Who gets how much by these shares."""
        found: Counter[int] = Counter()
        for minor, times in self.amounts.items():
            for person, part in split(minor, shares).items():
                found[person] += part * times
        return found


def report(campaign: Campaign, measure: str) -> Report:
    """The campaign's report of one of MEASURES. Five queries for each thousand friends; ValueError for another measure."""
    if measure not in MEASURES:
        raise ValueError(f"{measure!r} is no measure")
    recorded: dict[int, int] = {}
    derived: dict[str, dict[int, int]] = {model: {} for model in MODELS}
    total = friends = by_clicks = 0
    last: int | None = None
    while friends < MOST:
        bonds = _bonds(campaign, last)
        if not bonds:
            break
        last = bonds[-1].pk
        friends += len(bonds)
        amounts = _amounts(bonds, measure)
        clicks = _clicks(campaign, bonds)
        shared = shares_by_referral(bonds)
        for bond in bonds:
            sums = amounts.get(bond.invitee_id) or _Sums()
            total += sums.total
            mine = _recorded(bond, sums, shared.get(bond.pk, ()), measure)
            _add(recorded, mine)
            touched = clicks.get(bond.pk, [])
            by_clicks += bool(touched)
            for model in MODELS:
                if model == bond.split_by and measure == "rewards":
                    # A person's no may have taken a part of one reward: what stands is what the model gave.
                    _add(derived[model], mine)
                else:
                    _add(derived[model], sums.shared(weights(touched, model) or {bond.referrer_id: Fraction(1)}))
    is_cut = last is not None and friends >= MOST and bool(_bonds(campaign, last)[:1])
    return Report(_rows(recorded, derived), total, friends, by_clicks, is_cut)


def _recorded(bond: Referral, sums: _Sums, shares: Sequence[ReferralShare], measure: str) -> Counter[int]:
    """Who has how much of what a friend came to."""
    if not shares:
        return Counter({bond.referrer_id: sums.total})
    if measure == "rewards":
        return sums.by_person
    return sums.shared({share.participant_id: share.weight for share in shares})


def _add(into: dict[int, int], more: Counter[int]) -> None:
    for person, part in more.items():
        into[person] = into.get(person, 0) + part


def derive(bond: Referral, model: str, clicks: Sequence[Click]) -> int:
    """Whose the friend of a link would be under "first_click" or "last_click": the primary key of the referrer."""
    shares = weights(clicks, model)
    return next(iter(shares)) if shares else bond.referrer_id


def _bonds(campaign: Campaign, before: int | None) -> list[Referral]:
    rows = Referral.objects.filter(campaign=campaign, detached_at=None).select_related("visit", "invitee")
    if before is not None:
        rows = rows.filter(pk__lt=before)
    return list(rows.order_by("-pk")[:CHUNK])


def _amounts(bonds: Sequence[Referral], measure: str) -> dict[int, _Sums]:
    people = [bond.invitee_id for bond in bonds]
    if measure == "friends":
        return {person: _Sums(Counter([WHOLE_FRIEND])) for person in people}
    if measure == "revenue":
        paid = QualifyingEvent.objects.filter(participant__in=people, amount_minor__gt=0).order_by()
        kept = paid.values_list("participant").annotate(left=Sum(F("amount_minor") - F("refunded_minor")))
        return {person: _Sums(Counter([left])) for person, left in kept}
    earned = Reward.objects.filter(event__participant__in=people, side="referrer").exclude(state__in=FALLEN).order_by()
    # The parts of one reward are one amount.
    whole: dict[int, Counter[tuple[int, str]]] = {}
    found: dict[int, _Sums] = {}
    rows = earned.values_list("event__participant", "event", "rule_key", "participant", "amount_minor")
    for friend, event, key, person, minor in rows:
        found.setdefault(friend, _Sums()).by_person[person] += minor
        whole.setdefault(friend, Counter())[event, key] += minor
    for friend, by_event in whole.items():
        found[friend].amounts.update(by_event.values())
    return found


def clicks_of(campaign: Campaign, bonds: Iterable[Referral]) -> dict[int, list[Click]]:
    """The counted clicks within the window behind each bond that a link made, by the bond's key. Two queries."""
    return _clicks(campaign, list(bonds))


def _clicks(campaign: Campaign, bonds: Sequence[Referral]) -> dict[int, list[Click]]:
    by_visitor: dict[str, list[Referral]] = {}
    for bond in bonds:
        if bond.visit is not None and bond.how in {"code", "cookie"}:
            by_visitor.setdefault(bond.visit.visitor, []).append(bond)
    visits = Visit.objects.filter(campaign=campaign, visitor__in=by_visitor, hidden_reason="")
    found: dict[str, list[Click]] = {}
    for visitor, at, pk, referrer in visits.values_list("visitor", "occurred_at", "pk", "referrer_id"):
        found.setdefault(visitor, []).append(Click(at, pk, referrer))
    owners = {click.referrer for clicks in found.values() for click in clicks}
    persons = dict(Participant.objects.filter(pk__in=owners).values_list("pk", "identity_key"))
    result = {}
    for visitor, theirs in by_visitor.items():
        for bond in theirs:
            # One's own link attributes nothing.
            others = [c for c in found.get(visitor, []) if persons.get(c.referrer) != bond.invitee.identity_key]
            result[bond.pk] = within(others, bond.created_at, campaign.window_days)
    return result


def _rows(recorded: dict[int, int], derived: dict[str, dict[int, int]]) -> list[Row]:
    keys = set(recorded).union(*derived.values())
    rows = []
    for person in Participant.objects.filter(pk__in=keys).select_related("campaign").order_by("pk"):
        models = {model: parts.get(person.pk, 0) for model, parts in derived.items()}
        rows.append(Row(person, recorded.get(person.pk, 0), models))
    return sorted(rows, key=lambda row: (-row.recorded, -max(row.models.values()), row.referrer.pk))
