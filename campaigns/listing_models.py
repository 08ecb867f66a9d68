"""How a campaign stands in the affiliate hub, the public directory of programmes (docs/hub.md)."""

from __future__ import annotations

from datetime import datetime

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

CATEGORIES = (
    ("shopping", _("Online shops")),
    ("software", _("Software")),
    ("business", _("For businesses")),
    ("finance", _("Money and insurance")),
    ("education", _("Education")),
    ("health", _("Health and beauty")),
    ("fashion", _("Fashion")),
    ("food", _("Food and drink")),
    ("home", _("Home and garden")),
    ("travel", _("Travel")),
    ("sports", _("Sports and outdoors")),
    ("games", _("Games and entertainment")),
    ("services", _("Services")),
    ("other", _("Other")),
)


class ListingQuerySet(models.QuerySet["Listing"]):
    """Listings by who may see them."""

    def public(self, at: datetime) -> ListingQuerySet:
        """Those in the directory: turned on, for an affiliate campaign that runs at `at`, on a live side."""
        return self.filter(
            Q(campaign__starts_at=None) | Q(campaign__starts_at__lte=at),
            Q(campaign__ends_at=None) | Q(campaign__ends_at__gt=at),
            is_on=True,
            campaign__is_test__in=[False],
            campaign__status="active",
            campaign__type="affiliate",
        )


class Listing(models.Model):
    """What the hub says about one campaign, and what it asks of those who apply. No row: never listed.

    `countries` has codes between spaces (" AT DE "), so that one is found by LIKE; empty is everywhere. `questions` are
    campaigns.listings.Question as JSON.
    """

    APPROVALS = (("manual", _("By hand: you decide on each application")), ("automatic", _("At once, for everybody")))

    campaign = models.OneToOneField("campaigns.Campaign", on_delete=models.CASCADE, related_name="listing")
    is_on = models.BooleanField(default=False)
    # When it was turned on last: the newest come first.
    listed_at = models.DateTimeField(null=True)
    slug = models.CharField(_("name in the address"), max_length=60, unique=True)
    category = models.CharField(_("category"), max_length=12, choices=CATEGORIES, default="other")
    countries = models.CharField(max_length=800, blank=True)
    description = models.CharField(_("description"), max_length=600, blank=True)
    terms = models.TextField(_("terms"), max_length=20_000, blank=True)
    terms_url = models.CharField(_("address of the terms"), max_length=500, blank=True)
    questions = models.JSONField(default=list, blank=True)
    approval = models.CharField(max_length=9, choices=APPROVALS, default="manual")

    objects = ListingQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(is_on=False) | Q(listed_at__isnull=False), name="listing_since"),
        ]
        # The directory, newest first.
        indexes = [models.Index(fields=["-listed_at", "-id"], condition=Q(is_on=True), name="listing_directory")]

    def __str__(self) -> str:
        return self.slug

    @property
    def country_codes(self) -> list[str]:
        """The countries as ISO 3166 codes; empty is everywhere."""
        return self.countries.split()
