"""The app of people and merchants."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Users, merchants, memberships, invitations, API keys, signing secrets."""

    name = "referrals.accounts"
    label = "accounts"

    def ready(self) -> None:
        """Let Django know our system checks."""
        import_module("referrals.accounts.checks")
