"""The app of people and merchants."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class AccountsConfig(AppConfig):
    """Users, merchants, memberships, invitations, API keys, signing secrets."""

    name = "referrals.accounts"
    label = "accounts"

    def ready(self) -> None:
        """Let Django know our system checks, and let `migrate` keep the schedule."""
        import_module("referrals.accounts.checks")
        post_migrate.connect(import_module("referrals.schedule").keep, sender=self, dispatch_uid="schedule")
