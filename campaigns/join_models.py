"""What a campaign asks of those who join: a box under its terms, questions of the merchant's own, a confirmed address (docs/hosted.md)."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class JoinFields(models.Model):
    """The columns of a Campaign that are about joining."""

    # Terms are the texts of the campaign, or a page of the merchant's; without either there is nothing to accept.
    asks_terms = models.BooleanField(_("people have to accept the terms"), default=False)
    terms_url = models.URLField(_("address of the terms"), max_length=2000, blank=True)
    # campaigns.join_settings.Question as JSON, in the order of the form.
    questions = models.JSONField(default=list, blank=True)
    confirms_email = models.BooleanField(_("joining counts once the address is confirmed"), default=False)

    class Meta:
        abstract = True
