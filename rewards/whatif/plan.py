"""Which rules have to be asked again. A rule that would earn the same as the one in force stands as it was decided (ADR 9)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from campaigns.models import Campaign, RewardRule
from campaigns.rules import current_terms, rules_of
from campaigns.terms import RuleTerms

UNCHANGED, CHANGED, NEW, REMOVED = "unchanged", "changed", "new", "removed"


@dataclass(slots=True)
class Plan:
    """The rules of a what-if. `status` says of each key what happens to it; `terms` holds the proposed ones, then the removed.

    `judges` are the rules by which the events of a version are judged again: the changed and the new ones, whatever the version.
    """

    terms: tuple[RuleTerms, ...]
    status: Mapping[str, str]
    judges: Mapping[int, Sequence[RuleTerms]] = field(default_factory=dict)

    @property
    def asked(self) -> tuple[RuleTerms, ...]:
        """The rules that are asked again."""
        return tuple(terms for terms in self.terms if self.status[terms.key] in {CHANGED, NEW})

    @property
    def judging(self) -> tuple[RuleTerms, ...]:
        """All terms that an event may be judged by: of a rule that older versions had otherwise, each of its forms."""
        older = (terms for of_version in self.judges.values() for terms in of_version)
        return tuple(dict.fromkeys((*self.asked, *older)))

    def keys(self, *statuses: str) -> tuple[str, ...]:
        """The keys of the rules with one of these statuses."""
        return tuple(terms.key for terms in self.terms if self.status[terms.key] in statuses)

    def of_version(self, version_id: int) -> Sequence[RuleTerms]:
        """What an event recorded under this version is judged by."""
        return self.judges[version_id] if self.judges else self.asked


def plan_for(campaign: Campaign, rules: Sequence[RuleTerms]) -> Plan:
    """Proposed rules against those in force. A new rule without a key, or with one that is another campaign's, gets "new-1", "new-2"."""
    current = {terms.key: terms for terms in current_terms(campaign)}
    known = frozenset(RewardRule.objects.filter(version__campaign=campaign).values_list("key", flat=True))
    proposed = [
        terms if terms.key in known else replace(terms, key=f"new-{number}") for number, terms in enumerate(rules, 1)
    ]
    status: dict[str, str] = {}
    for terms in proposed:
        old = current.get(terms.key)
        status[terms.key] = NEW if old is None else UNCHANGED if earns(old) == earns(terms) else CHANGED
    removed = [terms for key, terms in current.items() if key not in status]
    status |= dict.fromkeys((terms.key for terms in removed), REMOVED)
    return Plan((*proposed, *removed), status)


def plan_as_recorded(campaign: Campaign) -> Plan:
    """Every event judged again by the version that it was recorded under: a replay that must differ in nothing."""
    versions = {version.pk: version for version in campaign.versions.order_by("number")}
    judges = {pk: [terms for _pk, terms in rules_of(pk, campaign.currency)] for pk in versions}
    latest = {terms.key: terms for of_version in judges.values() for terms in of_version}
    return Plan(tuple(latest.values()), dict.fromkeys(latest, CHANGED), judges)


def earns(terms: RuleTerms) -> RuleTerms:
    """The terms without what decides only how and when a reward is given."""
    return replace(terms, kind="cash", label="", review_days=0, delivery="manual", minimum_payout=None)
