"""The account pages as people meet them: readable, by keyboard, on a phone, under the strict policy."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from django.test import Client
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from referrals.accounts.models import User

pytestmark = pytest.mark.django_db(transaction=True)
PASSWORD = "correct horse battery"

OPEN_PAGES = {
    "log in": "/account/login/",
    "sign up": "/account/signup/",
    "reset": "/account/password/reset/",
    "reset sent": "/account/password/reset/done/",
    "reset with a dead link": "/account/password/reset/key/1-dead-link/",
    "confirmation sent": "/account/confirm-email/",
    "confirmation with a dead link": "/account/confirm-email/dead/",
    "not found": "/nothing/here/",
}
OWN_PAGES = {
    "addresses": "/account/email/",
    "password": "/account/password/change/",
    "second step": "/account/2fa/",
    "authenticator app": "/account/2fa/totp/activate/",
    "keys": "/account/2fa/webauthn/",
    "new key": "/account/2fa/webauthn/add/",
    "sessions": "/account/sessions/",
    "log out": "/account/logout/",
    "is it you": "/account/reauthenticate/",
}
Check = Callable[[Page], None]


@pytest.fixture
def alice() -> User:
    """Alice, with a confirmed address and a password."""
    user = User.objects.create_user("alice@example.com", PASSWORD, name="Alice Adams")
    EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    return user


def log_in(page: Page, live_server: LiveServer) -> None:
    """Log in through the form, as a person does."""
    page.goto(f"{live_server.url}/account/login/?next=/account/email/")
    page.get_by_label("E-mail address").fill("alice@example.com")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Log in", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("E-mail addresses")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", OPEN_PAGES.values(), ids=OPEN_PAGES.keys())
def test_an_open_page_keeps_the_rules(
    page: Page, live_server: LiveServer, axe: Check, fits: Check, watch: object, path: str, scheme: str
) -> None:
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.goto(live_server.url + path)

    axe(page)
    fits(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_account_area_keeps_the_rules(
    page: Page, live_server: LiveServer, axe: Check, fits: Check, alice: User, scheme: str
) -> None:
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    log_in(page, live_server)
    for path in OWN_PAGES.values():
        page.goto(live_server.url + path)

        axe(page)
        fits(page)
