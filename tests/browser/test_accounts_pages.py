"""The account pages as people meet them: readable, by keyboard, on a phone, under the strict policy."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from django.core import mail
from playwright.sync_api import Browser, Locator, Page, expect
from pytest_django.live_server_helper import LiveServer

from referrals.accounts.models import User

pytestmark = pytest.mark.django_db(transaction=True)
PASSWORD = "correct horse battery"

# address and heading of every page that anybody may open
OPEN_PAGES = {
    "log in": ("/account/login/", "Log in"),
    "sign up": ("/account/signup/", "Create an account"),
    "reset": ("/account/password/reset/", "Reset your password"),
    "reset sent": ("/account/password/reset/done/", "Check your mail"),
    "reset with a dead link": ("/account/password/reset/key/1-dead-link/", "This link no longer works"),
    "confirmation sent": ("/account/confirm-email/", "Confirm your address"),
    "confirmation with a dead link": ("/account/confirm-email/dead/", "This link no longer works"),
    "not found": ("/nothing/here/", "We can’t find that"),
}
# ... and of those for people who are logged in
OWN_PAGES = {
    "/account/email/": "E-mail addresses",
    "/account/password/change/": "Password",
    "/account/2fa/": "Two-step log-in",
    "/account/2fa/webauthn/": "Passkeys and security keys",
    "/account/sessions/": "Sessions",
    "/account/logout/": "Log out?",
    "/account/reauthenticate/": "Is it you?",
}
# ... and of those that ask for the password again first
GUARDED_PAGES = {
    "/account/2fa/totp/activate/": "Set up the authenticator app",
    "/account/2fa/webauthn/add/": "Add a key",
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


def confirm_password(page: Page) -> None:
    """Answer "Is it you?"."""
    expect(page.get_by_role("heading", level=1)).to_have_text("Is it you?")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Confirm").click()


def totp_code(secret: str) -> str:
    """What the authenticator app shows for this key now (RFC 6238)."""
    counter = int(time.time() // 30)
    return str(format_hotp_value(hotp_value(secret, counter)))


def heading(page: Page) -> Locator:
    """The page's one first-level heading."""
    return page.get_by_role("heading", level=1)


@pytest.mark.parametrize(("path", "title"), OPEN_PAGES.values(), ids=OPEN_PAGES.keys())
def test_an_open_page_keeps_the_rules(
    page: Page, live_server: LiveServer, axe: Check, fits: Check, path: str, title: str
) -> None:
    page.goto(live_server.url + path)

    expect(heading(page)).to_have_text(title)
    axe(page)
    fits(page)


def test_the_account_area_keeps_the_rules(
    page: Page, live_server: LiveServer, axe: Check, fits: Check, alice: User
) -> None:
    log_in(page, live_server)
    for path, title in OWN_PAGES.items():
        page.goto(live_server.url + path)

        expect(heading(page)).to_have_text(title)
        axe(page)
        fits(page)
    confirm_password(page)
    for path, title in GUARDED_PAGES.items():
        page.goto(live_server.url + path)

        expect(heading(page)).to_have_text(title)
        axe(page)
        fits(page)


def test_a_second_step_guards_the_next_log_in(
    page: Page, live_server: LiveServer, axe: Check, fits: Check, alice: User
) -> None:
    log_in(page, live_server)
    page.goto(f"{live_server.url}/account/2fa/")
    page.get_by_role("link", name="Set up").click()
    confirm_password(page)
    secret = page.get_by_label("Or type this key into it").input_value()
    page.get_by_label("Authenticator code").fill(totp_code(secret))
    page.get_by_role("button", name="Turn on").click()

    expect(heading(page)).to_have_text("Recovery codes")
    axe(page)
    fits(page)
    [code, *others] = page.get_by_label("Codes you have not used").input_value().split()
    assert len(others) == 9

    page.context.clear_cookies()
    page.goto(f"{live_server.url}/account/login/?next=/account/2fa/")
    page.get_by_label("E-mail address").fill("alice@example.com")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Log in", exact=True).click()
    expect(heading(page)).to_have_text("One more step")
    axe(page)
    fits(page)
    page.get_by_label("Code").fill(code)
    page.get_by_role("button", name="Log in", exact=True).click()

    expect(heading(page)).to_have_text("Two-step log-in")
    expect(page.get_by_text("9 codes are left")).to_be_visible()
    axe(page)
    fits(page)


def test_a_wrong_password_says_so_and_logs_nobody_in(
    page: Page, live_server: LiveServer, axe: Check, alice: User
) -> None:
    page.goto(f"{live_server.url}/account/login/")
    page.get_by_label("E-mail address").fill("alice@example.com")
    page.get_by_label("Password", exact=True).fill("not that one")
    page.get_by_role("button", name="Log in", exact=True).click()

    expect(page.get_by_role("alert")).to_contain_text("password you specified")
    axe(page)
    page.goto(f"{live_server.url}/account/email/")
    expect(heading(page)).to_have_text("Log in")


def test_a_forgotten_password_is_replaced_by_mail(
    page: Page, live_server: LiveServer, axe: Check, fits: Check, alice: User
) -> None:
    page.goto(f"{live_server.url}/account/login/")
    page.get_by_role("link", name="Forgot your password?").click()
    page.get_by_label("E-mail address").fill("alice@example.com")
    page.get_by_role("button", name="Mail me a link").click()
    expect(heading(page)).to_have_text("Check your mail")
    [message] = mail.outbox
    assert message.subject == "Set a new password for Passalong"
    [link] = re.findall(r"https?://\S+", str(message.body))

    page.goto(link)
    expect(heading(page)).to_have_text("Set a new password")
    axe(page)
    fits(page)
    page.get_by_label("New password", exact=True).fill("a quite different one")
    page.get_by_label("New password again").fill("a quite different one")
    page.get_by_role("button", name="Set new password").click()

    expect(heading(page)).to_have_text("Your password is changed")
    alice.refresh_from_db()
    assert alice.check_password("a quite different one")


def test_logging_in_needs_no_script(browser: Browser, live_server: LiveServer, alice: User) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()

    log_in(page, live_server)

    expect(page.get_by_role("button", name="Log in with a passkey")).to_have_count(0)
    context.close()


def test_the_account_menu_opens_by_keyboard_and_logs_out(page: Page, live_server: LiveServer, alice: User) -> None:
    log_in(page, live_server)
    button = page.get_by_role("button", name="Account menu")
    button.press("Enter")
    menu = page.locator("#menu-me")
    expect(menu).to_be_visible()
    page.keyboard.press("Escape")
    expect(menu).to_be_hidden()
    expect(button).to_be_focused()

    button.press("Enter")
    menu.get_by_role("button", name="Log out").click()
    page.goto(f"{live_server.url}/account/email/")

    expect(heading(page)).to_have_text("Log in")


def test_the_look_is_remembered_by_the_server(page: Page, live_server: LiveServer, alice: User) -> None:
    log_in(page, live_server)
    page.get_by_role("button", name="Account menu").click()
    page.get_by_role("button", name="Dark").click()

    page.reload()

    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    expect(page.locator("body")).to_have_css("background-color", "rgb(16, 22, 19)")


def test_the_sidebar_is_a_drawer_on_a_phone(page: Page, live_server: LiveServer, axe: Check, alice: User) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    log_in(page, live_server)
    side = page.locator("#side")
    expect(side).to_be_hidden()

    page.get_by_role("button", name="Open menu").click()

    expect(side).to_be_visible()
    axe(page)
