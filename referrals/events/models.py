"""The history: what happened, to what, by whom. Rows are written once, in the transaction of the change they tell of."""

from __future__ import annotations

from typing import Any, NoReturn

from django.db import models

from referrals.accounts.tenancy import M, TenantModel, TenantQuerySet
from referrals.lib import clock
from referrals.lib.codes import public_id


class AppendOnlyError(Exception):
    """Somebody tried to change or delete history or money."""


class AppendOnlyQuerySet(TenantQuerySet[M]):
    """Rows that may be added and read, nothing else. PostgreSQL refuses the rest by a trigger as well."""

    def update(self, **kwargs: Any) -> NoReturn:
        raise AppendOnlyError(f"{self.model.__name__} rows are never changed; add an opposite one.")

    def delete(self) -> NoReturn:
        raise AppendOnlyError(f"{self.model.__name__} rows are never deleted.")


class AppendOnlyModel(TenantModel):
    """A row that is written once."""

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Insert; a second save raises AppendOnlyError."""
        if not self._state.adding:
            raise AppendOnlyError(f"{type(self).__name__} rows are never changed; add an opposite one.")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise AppendOnlyError(f"{type(self).__name__} rows are never deleted.")


def _event_id() -> str:
    return public_id("evt")


class EventQuerySet(AppendOnlyQuerySet["Event"]):
    """History: added and read, nothing else."""


class Event(AppendOnlyModel):
    """One thing that happened. The timeline, the mails and the outgoing webhooks are all read from here (ARCHITECTURE.md).

    `subject_type` and `subject_id` (a public id) say what changed; `campaign_ref`, `participant_ref` and `referrer_ref` hold the
    public ids of those whose timeline shows it. They are texts, not keys, because history stands below those tables.
    """

    public_id = models.CharField(max_length=32, unique=True, default=_event_id, editable=False)
    type = models.CharField(max_length=48)
    subject_type = models.CharField(max_length=24)
    subject_id = models.CharField(max_length=32)
    campaign_ref = models.CharField(max_length=32, blank=True)
    participant_ref = models.CharField(max_length=32, blank=True)
    referrer_ref = models.CharField(max_length=32, blank=True)
    actor_kind = models.CharField(max_length=16)
    actor_ref = models.CharField(max_length=64, blank=True)
    actor_label = models.CharField(max_length=254, blank=True)
    data = models.JSONField(default=dict)
    request_id = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField(default=clock.now)

    objects = EventQuerySet.as_manager()

    class Meta:
        indexes = [
            # The merchant's event log, newest first.
            models.Index(fields=["merchant", "is_test", "-id"], name="event_log"),
            # A person's timeline, as participant and as referrer.
            models.Index(
                fields=["participant_ref", "-id"],
                condition=~models.Q(participant_ref=""),
                name="event_participant",
            ),
            models.Index(fields=["referrer_ref", "-id"], condition=~models.Q(referrer_ref=""), name="event_referrer"),
            # What happened to one thing (a reward, a payout, a campaign).
            models.Index(fields=["subject_id", "-id"], name="event_subject"),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.subject_id}"
