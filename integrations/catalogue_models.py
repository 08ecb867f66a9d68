"""What a company sells to a merchant for rewards, kept here: its products with their pictures, and how the list is doing."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from referrals.accounts.tenancy import TenantModel, TenantQuerySet
from referrals.lib import clock
from referrals.lib.money import Money


class Catalogue(TenantModel):
    """One connection's list of products. The row is the job: it says when the list is fetched next."""

    connection = models.OneToOneField("integrations.Connection", on_delete=models.PROTECT, related_name="catalogue")
    fetched_at = models.DateTimeField(null=True)
    due_at = models.DateTimeField(null=True, default=clock.wall)
    attempts = models.PositiveIntegerField(default=0)
    # Why the last try failed, in words; "" when it did not.
    error = models.CharField(max_length=300, blank=True)

    objects = TenantQuerySet["Catalogue"].as_manager()

    class Meta:
        indexes = [models.Index(fields=["due_at"], condition=Q(due_at__isnull=False), name="catalogue_due")]

    def __str__(self) -> str:
        return f"products of {self.connection_id}"


class CatalogueProduct(TenantModel):
    """A product that may be ordered: in which currency, for which sums, and how it is delivered."""

    connection = models.ForeignKey(
        "integrations.Connection", on_delete=models.PROTECT, related_name="products", db_index=False
    )
    product = models.CharField(max_length=100)
    name = models.CharField(max_length=200)
    currency = models.CharField(max_length=3)
    # Minor units: those that there are when it is fixed, else the least and the most; none when the company does not say.
    amounts = models.JSONField(default=list)
    is_fixed = models.BooleanField(default=False)
    ways = models.JSONField(default=list)
    # Where the company has its picture, and the picture as we wrote it anew; `looked_at` is when it was last asked for.
    picture_url = models.CharField(max_length=500, blank=True)
    picture = models.BinaryField(null=True)
    digest = models.CharField(max_length=16, blank=True)
    looked_at = models.DateTimeField(null=True)

    objects = TenantQuerySet["CatalogueProduct"].as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["connection", "product"], name="catalogue_product_once")]
        indexes = [models.Index(fields=["connection", "name", "id"], name="catalogue_product_list")]

    def __str__(self) -> str:
        return self.name

    @property
    def sums(self) -> list[Money]:
        """The sums that there are, or the least and the most."""
        return [Money(minor, self.currency) for minor in self.amounts]
