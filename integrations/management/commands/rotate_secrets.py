"""`manage.py rotate_secrets`: seal all that is sealed anew with the newest key (RELIABILITY INV-25)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from integrations.models import Connection, WebhookEndpoint
from participants.models import PayoutDestination
from referrals.accounts.models import SigningSecret
from referrals.lib.sealed import SealError, needs_resealing
from rewards.models import PayoutLine


class Command(BaseCommand):
    """Row by row, so that it may be stopped and started again at any time; rows stay readable throughout."""

    help = (
        "Seal the secrets of all connections and webhook endpoints, those that merchants sign with, and "
        "payout addresses and the files made with them with the first key of SECRETS_KEYS. "
        "Put the new key first, restart, run this, and then take the old key out."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        """Print how many rows were sealed anew; CommandError when one can't be opened."""
        done, lost = 0, []
        for row in self._rows():
            before = row.sealed
            if not needs_resealing(before):
                continue
            try:
                row.secrets = row.secrets
            except SealError as error:
                name = f"signing secret {row}" if isinstance(row, SigningSecret) else row.public_id
                lost.append(f"{name}: {error}")
                continue
            # Only if nobody has saved new secrets meanwhile: those are sealed with the newest key anyway.
            done += type(row)._default_manager.filter(pk=row.pk, sealed=before).update(sealed=row.sealed)
        self.stdout.write(f"{done} sealed anew")
        if lost:
            raise CommandError("These could not be opened and stay as they are:\n" + "\n".join(lost))

    def _rows(self) -> Iterator[Connection | WebhookEndpoint | SigningSecret | PayoutDestination | PayoutLine]:
        yield from Connection.objects.order_by("pk").iterator(chunk_size=200)
        yield from WebhookEndpoint.objects.order_by("pk").iterator(chunk_size=200)
        yield from SigningSecret.objects.order_by("pk").iterator(chunk_size=200)
        yield from PayoutDestination.objects.order_by("pk").iterator(chunk_size=200)
        yield from PayoutLine.objects.exclude(sealed="").order_by("pk").iterator(chunk_size=200)
