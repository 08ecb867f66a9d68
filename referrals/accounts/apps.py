"""The app of people and merchants."""

from __future__ import annotations

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Users, merchants, memberships, invitations, API keys."""

    name = "referrals.accounts"
    label = "accounts"
