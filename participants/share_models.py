"""A friend shared between several referrers: who gets which part (docs/attribution.md, ADR 11)."""

from __future__ import annotations

from fractions import Fraction

from django.db import models
from django.db.models import F, Q


class ReferralShare(models.Model):
    """One referrer's part of a friend, fixed as the friend joined. `position` counts from 1, in the order of the first clicks.

    All shares of a referral have the same denominator, and their numerators add up to it. Who opened only one referrer's link, or came
    by a code, has no shares: the whole friend is that referrer's.
    """

    referral = models.ForeignKey("participants.Referral", on_delete=models.CASCADE, related_name="shares")
    participant = models.ForeignKey("participants.Participant", on_delete=models.PROTECT, related_name="shares")
    position = models.PositiveSmallIntegerField()
    numerator = models.BigIntegerField()
    denominator = models.BigIntegerField()

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["referral", "participant"], name="referral_share_once"),
            models.CheckConstraint(
                condition=Q(numerator__gt=0) & Q(denominator__gt=F("numerator")), name="referral_share_part"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.words} to {self.participant}"

    @property
    def weight(self) -> Fraction:
        """The part of the whole."""
        return Fraction(self.numerator, self.denominator)

    @property
    def words(self) -> str:
        """ "1/3"."""
        return str(self.weight)
