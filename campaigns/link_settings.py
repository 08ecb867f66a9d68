"""Checking what a merchant sets for links: hosts, schemes, pages with the script, UTM parameters, the landing page, the name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.utils.translation import gettext as _

from campaigns.destinations import landing_page
from campaigns.link_models import UTM
from campaigns.models import Campaign
from referrals.lib.addresses import app_scheme, ascii_host, is_host_name, page_origin
from referrals.lib.errors import Refused

MOST_HOSTS = 50
MOST_SCHEMES = 10
MOST_ORIGINS = 20
UTM_LENGTH = 100
RESERVED_NAMES = frozenset(
    "admin api app campaign docs help hub me official passalong r root static support system www".split()
)


def check_links(campaign: Campaign, fields: Iterable[str]) -> None:
    """Bring the named fields into their kept form, or raise Refused at the one that is wrong."""
    if "allowed_hosts" in fields:
        campaign.allowed_hosts = _hosts(campaign.allowed_hosts)
    if "app_schemes" in fields:
        campaign.app_schemes = _schemes(campaign.app_schemes)
    if "script_origins" in fields:
        campaign.script_origins = _origins(campaign.script_origins)
    if "utm" in fields:
        campaign.utm = _utm(campaign.utm)
    if "link_name" in fields and campaign.link_name in RESERVED_NAMES:
        raise Refused(
            "name_reserved", _("This name is kept for the site itself. Choose another one."), field="link_name"
        )
    if campaign.landing_mode == "redirect" and not campaign.landing_url.startswith(("https://", "http://")):
        message = _("Enter the full address of your page, beginning with https://.")
        raise Refused("landing_url", message, field="landing_url")
    if "landing_url" in fields and campaign.landing_url and landing_page(campaign.landing_url) is None:
        message = _("Links can't lead there. Enter an address that begins with https://, without user name or spaces.")
        raise Refused("landing_url", message, field="landing_url")


def _hosts(given: Any) -> list[str]:
    hosts = []
    for text in _texts(given, "allowed_hosts", MOST_HOSTS):
        host = ascii_host(text.strip())
        if not is_host_name(host):
            message = _("%(text)s is no host name. Enter names such as shop.example.com, without https:// and path.")
            raise Refused("host_invalid", message % {"text": text[:80]}, field="allowed_hosts")
        hosts.append(host)
    return list(dict.fromkeys(hosts))


def _origins(given: Any) -> list[str]:
    origins = []
    for text in _texts(given, "script_origins", MOST_ORIGINS):
        origin = page_origin(text.strip())
        if not origin:
            message = _(
                "%(text)s is no origin. Enter https:// and a host name, such as https://shop.example.com, without path."
            )
            raise Refused("origin_invalid", message % {"text": text[:80]}, field="script_origins")
        origins.append(origin)
    return list(dict.fromkeys(origins))


def _schemes(given: Any) -> list[str]:
    schemes = []
    for text in _texts(given, "app_schemes", MOST_SCHEMES):
        scheme = app_scheme(text)
        if not scheme:
            message = _("%(text)s is no scheme of an app. Enter names such as halden, without ://.")
            raise Refused("scheme_invalid", message % {"text": text[:80]}, field="app_schemes")
        schemes.append(scheme)
    return list(dict.fromkeys(schemes))


def _texts(given: Any, field: str, most: int) -> list[str]:
    texts = [str(text) for text in given if str(text).strip()]
    if len(texts) > most:
        raise Refused("too_many", _("At most %(most)d fit here.") % {"most": most}, field=field)
    return texts


def _utm(given: Mapping[str, Any]) -> dict[str, str]:
    found = {}
    for name, value in given.items():
        text = str(value).strip()
        if name not in UTM:
            raise Refused(
                "unknown_field", _("There is no UTM parameter %(name)s.") % {"name": str(name)[:40]}, field="utm"
            )
        if len(text) > UTM_LENGTH or not text.isprintable():
            message = _("A UTM parameter has at most %(most)d characters, in one line.")
            raise Refused("too_long", message % {"most": UTM_LENGTH}, field=f"utm_{name}")
        if text:
            found[name] = text
    return found
