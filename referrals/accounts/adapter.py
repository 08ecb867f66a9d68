"""How allauth is fitted to us."""

from __future__ import annotations

import zoneinfo
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.conf import settings
from django.db import transaction
from django.http import HttpRequest

from referrals.accounts.models import User
from referrals.accounts.services import create_merchant
from referrals.lib.requests import client_ip


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth has no types
    """Sign-up can be closed by a setting, and makes person, business and ownership together."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """SIGN_UP_OPEN."""
        return bool(settings.SIGN_UP_OPEN)

    def get_client_ip(self, request: HttpRequest) -> str:
        """The address behind our own proxies; what a client writes into headers is not believed (RELIABILITY F6)."""
        return client_ip(request)

    def save_user(self, request: HttpRequest, user: User, form: Any, commit: bool = True) -> User:
        """The person, and their business with them as its owner, in one transaction."""
        data = form.cleaned_data
        with transaction.atomic():
            user.name = data.get("name", "")
            saved: User = super().save_user(request, user, form, commit)
            if commit and data.get("merchant_name"):
                zone = data.get("time_zone") or "UTC"
                known = zone in zoneinfo.available_timezones()
                create_merchant(name=data["merchant_name"], owner=saved, time_zone=zone if known else "UTC")
        return saved
