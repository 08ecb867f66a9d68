"""`manage.py rotate_secrets`: seal all that is sealed anew with the newest key (RELIABILITY INV-25)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.core.management.base import BaseCommand, CommandError
from django.db.models import Model

from referrals.lib.sealed import SealError, needs_resealing, seal, unseal


def sealed_tables() -> list[type[Model]]:
    """Every table with a column `sealed`, whoever's it is: a new one is not forgotten."""
    return [model for model in apps.get_models() if any(one.name == "sealed" for one in model._meta.concrete_fields)]


class Command(BaseCommand):
    """Row by row, so that it may be stopped and started again at any time; rows stay readable throughout."""

    help = (
        "Seal the secrets of all connections and webhook endpoints, those that merchants sign with, and payout addresses, the files "
        "made with them, and what recipients were given, with the first key of SECRETS_KEYS. "
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
                after = seal(unseal(before, bound_to=row._bound_to), bound_to=row._bound_to)
            except SealError as error:
                name = getattr(row, "public_id", "") or f"{row._meta.verbose_name} {row}"
                lost.append(f"{name}: {error}")
                continue
            # Only if nobody has saved new secrets meanwhile: those are sealed with the newest key anyway.
            done += type(row)._default_manager.filter(pk=row.pk, sealed=before).update(sealed=after)
        self.stdout.write(f"{done} sealed anew")
        if lost:
            raise CommandError("These could not be opened and stay as they are:\n" + "\n".join(lost))

    def _rows(self) -> Iterator[Any]:
        for model in sealed_tables():
            yield from model._default_manager.exclude(sealed="").order_by("pk").iterator(chunk_size=200)
