"""What tests of merchant pages share."""

from __future__ import annotations

import time

from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from referrals.accounts.models import User


def freshen(client: Client, user: User, *, seconds_ago: int = 0) -> None:
    """As if the user had given their password `seconds_ago`: what pages under @fresh_login ask for."""
    session = client.session
    session["account_authentication_methods"] = [{"method": "password", "at": time.time() - seconds_ago}]
    session["account_authentication_methods_user"] = str(user.pk)
    session.save()


def web_routes() -> list[tuple[str, URLPattern]]:
    """Every named address of the namespace `web`, with its full pattern's converters."""
    (resolver,) = [item for item in get_resolver().url_patterns if getattr(item, "namespace", None) == "web"]
    return sorted(((str(route.name), route) for route in _flat(resolver)), key=lambda pair: pair[0])


def _flat(resolver: URLPattern | URLResolver) -> list[URLPattern]:
    if isinstance(resolver, URLPattern):
        return [resolver]
    return [route for item in resolver.url_patterns for route in _flat(item)]
