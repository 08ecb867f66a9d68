"""Judging a campaign's events again and comparing: in slices, so that a worker can stop and go on (ADR 9). Reads, and writes nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.db import connection, transaction

from campaigns.models import Campaign
from campaigns.terms import RuleTerms
from participants.models import Referral
from rewards.eligibility import decide
from rewards.facts import Case, Share, Verdict, parts
from rewards.fold import Budget, Standing, decide_next
from rewards.whatif.differences import Differences, Given, Reason, Worth
from rewards.whatif.plan import Plan
from rewards.whatif.rows import Read, Reader, Recorded

# How many referrals one read covers: a snapshot of the database is held for as long as that takes.
SPAN = 4000
NOTHING = Reason("", {})


@dataclass(slots=True)
class Progress:
    """How far a replay is: `referrer` is the last one done, `phase` what comes next ("referrers", "budgets", "prizes", "done")."""

    phase: str = "referrers"
    referrer: int = 0
    events: int = 0
    differences: Differences = field(default_factory=Differences)

    def dump(self) -> dict[str, Any]:
        """As JSON, for the next slice."""
        return {
            "phase": self.phase,
            "referrer": self.referrer,
            "events": self.events,
            "differences": self.differences.dump(),
        }

    @classmethod
    def load(cls, data: dict[str, Any]) -> Progress:
        """What dump() gave; {} is the beginning."""
        if not data:
            return cls()
        return cls(data["phase"], data["referrer"], data["events"], Differences.load(data["differences"]))


class Replay:
    """One what-if over one campaign. `go_on` works until it is done, or for so many seconds."""

    def __init__(self, campaign: Campaign, plan: Plan, progress: Progress | None = None) -> None:
        self.campaign = campaign
        self.plan = plan
        self.progress = progress or Progress()
        asked = plan.judging
        self.reader = Reader(campaign, asked)
        self.budgeted = frozenset(terms.key for terms in asked if terms.limits.of_campaign)
        self.prizes = frozenset(terms.key for terms in asked if terms.trigger == "leaderboard")
        self.of_type: dict[tuple[int, str, str], tuple[RuleTerms, ...]] = {}
        self.referrer: int | None = None
        self.standings: dict[tuple[str, bool], Standing] = {}

    def go_on(self, seconds: float | None = None, told: Callable[[], bool] | None = None) -> bool:
        """Work; True when it is over. `told` is called between reads, and ends the work when it says False."""
        end = None if seconds is None else time.monotonic() + seconds
        for _step in self._steps():
            late = end is not None and time.monotonic() > end
            if (told is not None and not told()) or (late and self.progress.phase != "done"):
                break
        return self.progress.phase == "done"

    def _steps(self) -> Iterator[None]:
        """One read after another."""
        progress = self.progress
        if progress.phase == "referrers":
            plain = any(terms.key not in self.budgeted | self.prizes for terms in self.plan.asked)
            while plain and (last := self._next_referrer()) is not None:
                with snapshot():
                    self._span(progress.referrer, last)
                progress.referrer = last
                yield
            progress.phase = "budgets"
        if progress.phase == "budgets":
            if self.budgeted:
                with snapshot():
                    self._in_order_of_recording()
            progress.phase = "prizes"
            yield
        if progress.phase == "prizes":
            if self.prizes:
                with snapshot():
                    self._leaderboards()
            progress.phase = "done"
        yield

    def _next_referrer(self) -> int | None:
        bonds = Referral.objects.filter(
            campaign=self.campaign, referrer_id__gt=self.progress.referrer, standing_for__isnull=False
        )
        found = list(bonds.order_by("referrer_id").values_list("referrer_id", flat=True)[:SPAN])
        return found[-1] if found else None

    def _span(self, after: int, last: int) -> None:
        rows = self.reader.rows().filter(
            participant__referral__referrer__gt=after, participant__referral__referrer__lte=last
        )
        self.referrer = None
        for chunk, recorded in self.reader.chunks(
            rows.order_by("participant__referral__referrer_id", "occurred_at", "pk")
        ):
            for one in chunk:
                if one.referrer != self.referrer:
                    self.referrer, self.standings = one.referrer, {}
                for terms in self._rules(one, "plain"):
                    self._ask(one, terms, self.standings, recorded)
            self._left_over(chunk, recorded, self.budgeted | self.prizes)
            self.progress.events += len(chunk)

    def _ask(
        self,
        one: Read,
        terms: RuleTerms,
        standings: dict[tuple[str, bool], Standing],
        recorded: dict[tuple[int, str], Recorded],
    ) -> None:
        """One event under one rule; those before it under the rule have made `standings`. Who is shared counts for nobody as a whole."""
        name = (terms.key, _is_shared(one))
        standing = standings.get(name)
        if standing is None:
            standing = standings[name] = Standing()
        verdict, case = decide_next(terms, one, standing, explain=False)
        self._compare(one, terms, verdict, case, recorded.pop((one.event.id, terms.key), None))

    def _in_order_of_recording(self) -> None:
        """Rules with a budget of the campaign's: what is given to one is not there for the next, whoever invited them."""
        standings: dict[tuple[str, int | None, bool], Standing] = {}
        budgets = {key: Budget({}) for key in self.budgeted}
        for chunk, recorded in self.reader.chunks(
            self.reader.rows().filter(participant__referral__isnull=False).order_by("pk")
        ):
            for one in chunk:
                for terms in self._rules(one, "budgeted"):
                    known = recorded.pop((one.event.id, terms.key), None)
                    whose = (terms.key, one.referrer, _is_shared(one))
                    standing = standings.get(whose)
                    if standing is None:
                        standing = standings[whose] = Standing()
                    budget = budgets[terms.key]
                    budget.declined = frozenset([one.event.id]) if known and known.declined else frozenset()
                    verdict, case = decide_next(terms, one, standing, None if one.after_ban else budget, explain=False)
                    if budget.declined and not one.after_ban:
                        # What several share may be declined in part: the rest of it is used all the same.
                        budget.declined = frozenset()
                        budget.take(one.event, _not_declined(one, terms, verdict, known))
                    self._compare(one, terms, verdict, case, known)
            self._left_over(chunk, recorded, self.reader.keys - self.budgeted)
            self.progress.events += len(chunk)

    def _leaderboards(self) -> None:
        """Prizes of leaderboards that are closed, by the ranks that were reached."""
        for chunk, recorded in self.reader.chunks(self.reader.rows().filter(type="leaderboard").order_by("pk")):
            for read in chunk:
                # A prize is the person's own: whoever invited them has no part in it.
                one = read._replace(bond=None, is_banned=False, after_ban=False)
                for terms in self._rules(one, "prizes"):
                    self._ask(one, terms, {}, recorded)
            self._left_over(chunk, recorded, self.reader.keys - self.prizes)

    def _rules(self, one: Read, part: str) -> tuple[RuleTerms, ...]:
        """The rules of a part that are about an event of this type."""
        name = (one.version, one.event.type, part)
        found = self.of_type.get(name)
        if found is None:
            mine = {
                "plain": self.reader.keys - self.budgeted - self.prizes,
                "budgeted": self.budgeted,
                "prizes": self.prizes,
            }
            rules = self.plan.of_version(one.version)
            found = self.of_type[name] = tuple(
                terms for terms in rules if terms.key in mine[part] and terms.rewards(one.event.type)
            )
        return found

    def _compare(self, one: Read, terms: RuleTerms, verdict: Verdict, case: Case, known: Recorded | None) -> None:
        shares = _shares_of(one, terms)
        if shares:
            minor = verdict.amount.minor if verdict.amount else 0
            for who, part in parts(minor, shares).items():
                mine = known.part(who) if known else None
                given = Worth(part) if part and not _kept_from(one, mine) else None
                self._note(one, terms, case, mine, (terms.side, given) if given else None)
            return
        after: Given | None = None
        if verdict.amount is not None and not _kept_from(one, known):
            units = verdict.units
            after = (terms.side, Worth(0, units.units, units.label) if units else Worth(verdict.amount.minor))
        self._note(one, terms, case, known, after)

    def _note(self, one: Read, terms: RuleTerms, case: Case, known: Recorded | None, after: Given | None) -> None:
        before = known.given if known else None
        if before is None and after is None:
            return
        self.progress.differences.compare(
            terms.key, before, after, one.event.occurred_at, one.event.id, lambda: _why(case, one, known)
        )

    def _left_over(
        self, chunk: Sequence[Read], recorded: dict[tuple[int, str], Recorded], elsewhere: frozenset[str]
    ) -> None:
        """Rewards for events that their rule would no longer be about."""
        times = {one.event.id: one.event.occurred_at for one in chunk} if recorded else {}
        for (event, key), known in recorded.items():
            for one in (known.parts or {0: known}).values() if key not in elsewhere else ():
                if one.given is not None:
                    self.progress.differences.compare(
                        key, one.given, None, times[event], event, lambda: Reason("other_event", {})
                    )


def _is_shared(one: Read) -> bool:
    return one.bond is not None and bool(one.bond.shares)


def _shares_of(one: Read, terms: RuleTerms) -> tuple[Share, ...]:
    """Who shares what the rule gives."""
    return one.bond.shares if one.bond is not None and terms.side == "referrer" else ()


def _not_declined(one: Read, terms: RuleTerms, verdict: Verdict, known: Recorded | None) -> int:
    """The minor units that are given of an amount that a person declined to some of those who share it."""
    minor = verdict.amount.minor if verdict.amount else 0
    cut = parts(minor, _shares_of(one, terms))
    return sum(
        part for who, part in cut.items() if not ((mine := known.part(who) if known else None) and mine.declined)
    )


def _kept_from(one: Read, known: Recorded | None) -> bool:
    """Whether a ban or a person's no stands against it. A ban takes nothing that was earned before it: what was recorded earlier counts
    as earned; but a reward that has fallen does not come back while a ban lasts."""
    if known is not None and known.declined:
        return True
    return one.is_banned and (one.after_ban or (known is not None and known.fallen and known.given is None))


def _why(case: Case, one: Read, known: Recorded | None) -> Reason:
    """The failing condition with its facts; only asked for examples."""
    verdict = decide(case)
    for checked in verdict.conditions:
        if checked.code == verdict.reason:
            return Reason(checked.code, checked.facts)
    if known is not None and known.declined:
        return Reason("denied_by_merchant", {})
    return Reason("referrer_banned", {}) if _kept_from(one, known) else NOTHING


@contextmanager
def snapshot() -> Iterator[None]:
    """One read sees the database at one moment, and the database itself sees to it that nothing is written.

    Inside a transaction of the caller's it is that one's view instead; SQLite reads at one moment anyway.
    """
    if connection.vendor != "postgresql" or connection.in_atomic_block:
        with transaction.atomic():
            yield
        return
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield
