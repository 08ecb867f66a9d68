"""That a campaign's script or widget was seen at work on a page of the merchant's: what the Install page tells (docs/widgets.md)."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class Sighting(models.Model):
    """The last time that one way of installing was seen, in real time, and from which origin. Of visitors nothing is kept."""

    WAYS = (("script", _("Browser script")), ("widget", _("Widget")), ("identity", _("Signed identity")))

    campaign = models.ForeignKey("campaigns.Campaign", on_delete=models.CASCADE, related_name="sightings")
    way = models.CharField(max_length=8, choices=WAYS)
    seen_at = models.DateTimeField()
    origin = models.CharField(max_length=300, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["campaign", "way"], name="sighting_once")]

    def __str__(self) -> str:
        return f"{self.way} at {self.origin or 'an unknown page'}"
