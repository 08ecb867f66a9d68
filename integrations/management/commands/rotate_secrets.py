"""`manage.py rotate_secrets`: seal every provider secret anew with the newest key (RELIABILITY INV-25)."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from integrations.models import Connection
from referrals.lib.sealed import SealError, needs_resealing


class Command(BaseCommand):
    """Row by row, so that it may be stopped and started again at any time; rows stay readable throughout."""

    help = (
        "Seal the secrets of all connections with the first key of SECRETS_KEYS. Put the new key first, restart, run this, "
        "and then take the old key out."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        """Print how many rows were sealed anew; CommandError when one can't be opened."""
        done, lost = 0, []
        for connection in Connection.objects.order_by("pk").iterator(chunk_size=200):
            before = connection.sealed
            if not needs_resealing(before):
                continue
            try:
                connection.secrets = connection.secrets
            except SealError as error:
                lost.append(f"{connection.public_id}: {error}")
                continue
            # Only if nobody has saved new secrets meanwhile: those are sealed with the newest key anyway.
            done += Connection.objects.filter(pk=connection.pk, sealed=before).update(sealed=connection.sealed)
        self.stdout.write(f"{done} sealed anew")
        if lost:
            raise CommandError("These could not be opened and stay as they are:\n" + "\n".join(lost))
