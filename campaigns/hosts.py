"""A campaign's own host name: set by the merchant, proven by a DNS record, and only then used (docs/links.md).

Nobody gets a name by writing it down. The record carries a value that only this campaign has; until it is found, the name stays
unproven, requests for it are refused as for any unknown host, and anybody else may try to prove it, too.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from django.conf import settings
from django.db import IntegrityError, transaction
from django.http.request import validate_host
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext as _

from campaigns.models import Campaign, Status
from referrals.events import types
from referrals.events.services import Actor, Happening, record
from referrals.lib import clock
from referrals.lib.addresses import ascii_host, is_host_name
from referrals.lib.errors import Refused

RECORD = "_passalong"
# Answered over the name itself, so that a check finds out whether it leads here with a valid certificate.
PROOF_PATH = "/.well-known/passalong-host"


def site_host() -> str:
    """The host name of SITE_URL, to which own names point."""
    return urlsplit(settings.SITE_URL).hostname or "localhost"


def proof_of(campaign: Campaign) -> str:
    """What the DNS record has to say: 32 hex characters that only this campaign and name have."""
    about = f"{campaign.public_id}:{campaign.host}"
    return salted_hmac("campaigns.hosts", about, algorithm="sha256").hexdigest()[:32]


def set_host(*, campaign: Campaign, host: str, actor: Actor) -> Campaign:
    """Set the name, still unproven, or with "" take it away. Raises Refused `host_invalid`."""
    name = ascii_host(host.strip()) if host.strip() else ""
    if host.strip() and (not is_host_name(name) or name == site_host() or validate_host(name, settings.ALLOWED_HOSTS)):
        message = _("Enter a host name of your own, such as go.example.com, without https:// and path.")
        raise Refused("host_invalid", message, field="host")
    with transaction.atomic():
        fresh = Campaign.objects.select_for_update(of=("self",)).select_related("merchant").get(pk=campaign.pk)
        if fresh.host != name:
            fresh.host, fresh.host_verified_at = name, None
            _changed(fresh, actor)
    return fresh


def confirm_host(*, campaign: Campaign, host: str, actor: Actor) -> Campaign:
    """The record was found for this name: use it from now on. Raises Refused: host_taken, or 409 when the name changed meanwhile."""
    with transaction.atomic():
        fresh = Campaign.objects.select_for_update(of=("self",)).select_related("merchant").get(pk=campaign.pk)
        if not host or fresh.host != host:
            raise Refused(
                "changed_meanwhile", _("The host name was changed in the meantime. Check it again."), status=409
            )
        if fresh.host_verified_at is None:
            fresh.host_verified_at = clock.wall()
            try:
                with transaction.atomic():
                    _changed(fresh, actor)
            except IntegrityError as error:
                raise Refused("host_taken", _("Another campaign uses this name."), field="host", status=409) from error
    return fresh


def _changed(campaign: Campaign, actor: Actor) -> None:
    campaign.revision += 1
    campaign.save(update_fields=["host", "host_verified_at", "revision"])
    happening = Happening(
        types.CAMPAIGN_CHANGED, "campaign", campaign.public_id, campaign=campaign.public_id, data={"fields": ["host"]}
    )
    record(campaign.tenant, actor, happening)


def campaign_at(host: str) -> str:
    """The public id of the launched campaign that a proven name belongs to; "" for any other name."""
    rows = Campaign.objects.filter(host=host, host_verified_at__isnull=False).exclude(status=Status.DRAFT)
    return rows.values_list("public_id", flat=True).first() or ""


def proofs_at(host: str) -> list[str]:
    """The proofs of all campaigns that claim a name, proven or not: what the name answers at PROOF_PATH."""
    if not host:
        return []
    return [proof_of(campaign) for campaign in Campaign.objects.filter(host=host).order_by("pk")]
