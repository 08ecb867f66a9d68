"""What the browser tests of merchant pages share: getting in, with and without scripts."""

from __future__ import annotations

from django.conf import settings
from django.test import Client
from playwright.sync_api import Page
from pytest_django.live_server_helper import LiveServer


def log_in(page: Page, client: Client, live_server: LiveServer) -> None:
    """Carry the client's session over to the browser."""
    name = settings.SESSION_COOKIE_NAME
    page.context.add_cookies([{"name": name, "value": client.cookies[name].value, "url": live_server.url}])
