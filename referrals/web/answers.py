"""What people answered when they joined, and which terms they accepted: for a person's page and the file of participants."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from campaigns.join_settings import questions_of
from campaigns.models import Campaign
from participants.models import Agreement, Participant
from referrals.accounts.tenancy import Tenant


@dataclass(frozen=True, slots=True)
class Answer:
    """One question and its answer, in words."""

    label: str
    text: str


def answers_of(person: Participant, language: str) -> list[Answer]:
    """The answers to the campaign's questions as they are now, in their order."""
    default = person.campaign.default_language
    return [
        Answer(question.label(language, default), in_words(person.metadata[question.key]))
        for question in questions_of(person.campaign)
        if question.key in person.metadata
    ]


def facts_of(person: Participant) -> list[Answer]:
    """The merchant's own facts about the person, by name: what is in `metadata` and is no answer."""
    asked = {question.key for question in questions_of(person.campaign)}
    return [Answer(name, in_words(value)) for name, value in sorted(person.metadata.items()) if name not in asked]


def facts_cell(person: Participant) -> str:
    """All of `metadata` for a file, as JSON with its names in order; "" when there is nothing."""
    return json.dumps(person.metadata, ensure_ascii=False, sort_keys=True) if person.metadata else ""


def in_words(value: Any) -> str:
    """An answer as people read it."""
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    return "" if value is None else str(value)


def agreements_of(person: Participant) -> list[Agreement]:
    """What they accepted, newest first."""
    return list(person.agreements.select_related("terms").order_by("-agreed_at", "-pk")[:20])


@dataclass(frozen=True, slots=True)
class AnswerColumns:
    """The columns of a file that are about joining: one for each question of the campaigns, then the terms."""

    keys: tuple[str, ...]

    @classmethod
    def of(cls, tenant: Tenant, campaign: Campaign | None) -> AnswerColumns:
        """For one campaign, in its order, or for all, by name."""
        if campaign is not None:
            return cls(tuple(question.key for question in questions_of(campaign)))
        rows = Campaign.objects.for_tenant(tenant).exclude(questions=[]).order_by("pk")
        return cls(tuple(sorted({question.key for row in rows for question in questions_of(row)})))

    @property
    def heads(self) -> tuple[str, ...]:
        """Their names."""
        return (*(f"answer_{key}" for key in self.keys), "terms_version", "terms_accepted_at")

    def cells(self, person: Participant, accepted: dict[int, Agreement]) -> Sequence[str]:
        """One person's cells; `accepted` comes from newest_agreements()."""
        answers = [_cell(person.metadata.get(key)) for key in self.keys]
        found = accepted.get(person.pk)
        if found is None:
            return [*answers, "", ""]
        return [*answers, str(found.terms.number), found.agreed_at.isoformat(timespec="seconds")]


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)


def newest_agreements(people: Iterable[Participant]) -> dict[int, Agreement]:
    """The newest agreement of each person, by their primary key; one query."""
    rows = Agreement.objects.filter(participant__in=[person.pk for person in people]).select_related("terms")
    return {row.participant_id: row for row in rows.order_by("agreed_at", "pk")}
