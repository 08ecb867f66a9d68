"""Making, replacing and reading the secret with which a merchant's server signs what a browser carries."""

from __future__ import annotations

from datetime import timedelta

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from referrals.accounts.secret_models import SigningSecret
from referrals.accounts.tenancy import Tenant
from referrals.events import types
from referrals.events.services import Actor, Happening, record
from referrals.lib.codes import random_text
from referrals.lib.errors import Refused

# A replaced secret works so long, for the servers that still have it.
OVERLAP = timedelta(hours=24)


def new_secret(*, tenant: Tenant, actor: Actor) -> str:
    """A new secret of a side, to be shown once; the one before works for a day more.

    Raises Refused `changed_meanwhile` (409) when somebody else made the first one at the same moment.
    """
    text = f"ss_{'test' if tenant.is_test else 'live'}_{random_text(43)}"
    with transaction.atomic():
        row = SigningSecret.objects.for_tenant(tenant).select_for_update().first()
        former = row.secrets["secret"] if row else ""
        row = row or SigningSecret(merchant=tenant.merchant, is_test=tenant.is_test)
        row.secrets = {"secret": text, "former": former}
        row.last4, row.made_at = text[-4:], timezone.now()
        try:
            with transaction.atomic():
                row.save()
        except IntegrityError as error:
            message = _("Somebody made a secret at the same moment. Look at the page again.")
            raise Refused("changed_meanwhile", message, status=409) from error
        data = {"last4": row.last4}
        record(tenant, actor, Happening(types.SIGNING_MADE, "signing_secret", str(row.pk), data=data))
    return text


def secrets_of(tenant: Tenant) -> list[str]:
    """The secrets that sign for a side now: the present one, and for a day the one before; none before the first is made."""
    row = SigningSecret.objects.for_tenant(tenant).first()
    if row is None:
        return []
    found = row.secrets
    still = found["former"] and timezone.now() - row.made_at < OVERLAP
    return [found["secret"], found["former"]] if still else [found["secret"]]
