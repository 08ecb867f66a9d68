"""How a campaign's links behave: its own host name, where links lead, whom they may lead to, UTM parameters, consent (docs/links.md)."""

from __future__ import annotations

from django.core.validators import RegexValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

OWN_CODE = "{code}"
UTM = ("source", "medium", "campaign", "term", "content")


class LinkFields(models.Model):
    """The columns of a Campaign that are about its links."""

    LANDINGS = (("hosted", _("Our hosted page")), ("redirect", _("A page of mine")))
    CONSENTS = (
        ("always", _("Always, as a cookie that the offer needs")),
        ("ask", _("Only after the visitor agrees")),
        ("never", _("Never")),
    )

    landing_mode = models.CharField(max_length=8, choices=LANDINGS, default="hosted")
    landing_url = models.URLField(_("page address"), max_length=2000, blank=True)
    # Host names and app schemes that a link's `to=` may lead to, besides the landing page's own host.
    allowed_hosts = models.JSONField(default=list, blank=True)
    app_schemes = models.JSONField(default=list, blank=True)
    # Origins of the pages that may use the browser script: "https://shop.example.com".
    script_origins = models.JSONField(default=list, blank=True)
    # What invited visitors are shown to enter when they pay: a code of the merchant's shop, or OWN_CODE for their friend's referral code.
    discount_code = models.CharField(
        _("discount code for friends"),
        max_length=40,
        blank=True,
        validators=[
            RegexValidator(
                r"^(?:\{code\}|[A-Za-z0-9][A-Za-z0-9._-]{0,39})\Z",
                _("Use letters, digits, dots, hyphens and underscores, or {code} for the friend's referral code."),
            )
        ],
    )
    # UTM parameters, by name without "utm_", that the merchant's page gets where neither its address nor the link has them.
    utm = models.JSONField(default=dict, blank=True)
    consent = models.CharField(max_length=6, choices=CONSENTS, default="always")
    own_codes = models.BooleanField(_("people choose their own code"), default=True)
    # Stands before chosen codes in short links: /r/<link_name>/<code>. The campaign's id does so, too.
    link_name = models.CharField(
        _("name in links"),
        max_length=30,
        blank=True,
        validators=[
            RegexValidator(r"^[a-z0-9](?:[a-z0-9-]{1,28}[a-z0-9])\Z", _("Use small letters, digits and hyphens."))
        ],
    )
    # The campaign's own host name; links use it once `host_verified_at` says that its owner proved it and that it leads here.
    host = models.CharField(_("own host name"), max_length=253, blank=True)
    host_verified_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        abstract = True

    def discount_for(self, code: str) -> str:
        """The discount code for who came with a referral code; "" when the campaign has none."""
        return code if self.discount_code == OWN_CODE else self.discount_code

    @property
    def shows_own_code(self) -> bool:
        """Whether invited visitors are told to enter the referral code itself when they pay."""
        return self.discount_code == OWN_CODE

    @property
    def link_host(self) -> str:
        """The host name of the campaign's links; "" for the site's own."""
        return self.host if self.host_verified_at is not None else ""
