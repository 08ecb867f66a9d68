"""A newcomer's first minutes: sign up, see the business, make a key; and every page of the settings keeps the rules."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from django.core import mail
from django.core.cache import cache
from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from referrals.accounts.keys import authenticate
from referrals.accounts.mails import send_invitation
from referrals.accounts.models import Invitation, Membership, Role

pytestmark = pytest.mark.django_db(transaction=True)
Check = Callable[[Page], None]
PASSWORD = "a very long password"
PAGES = {
    "/app/settings/": "Settings",
    "/app/settings/team/": "Team",
    "/app/settings/history/": "History",
    "/app/developers/": "Developers",
    "/app/business/new/": "Create a business",
}


@pytest.fixture(autouse=True)
def _no_attempts_yet() -> None:
    cache.clear()


def sign_up(page: Page, live_server: LiveServer) -> None:
    """Sign up, open the mailed link, and arrive at the first page."""
    page.goto(live_server.url)
    page.get_by_role("link", name="Create an account").click()
    page.get_by_label("Your name").fill("Ann Lee")
    page.get_by_label("Name of your business").fill("Halden Coffee")
    page.get_by_label("E-mail").fill("ann@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Create account").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Confirm your address")
    (link,) = re.findall(r"/account/confirm-email/\S+", str(mail.outbox[-1].body))
    page.goto(live_server.url + link)
    page.get_by_role("button", name="Confirm").click()
    page.wait_for_load_state()
    if "/account/login/" in page.url:
        page.get_by_label("E-mail address").fill("ann@example.com")
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_role("button", name="Log in", exact=True).click()
    page.wait_for_url("**/app/**")


def confirm_password(page: Page) -> None:
    """Answer "Is it you?" when it is asked."""
    if "/account/reauthenticate/" in page.url:
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Confirm").click()


def test_from_sign_up_to_a_key_that_works(page: Page, live_server: LiveServer, axe: Check, fits: Check) -> None:
    sign_up(page, live_server)
    member = Membership.objects.get()
    assert (member.user.name, member.merchant.name, member.role) == ("Ann Lee", "Halden Coffee", Role.OWNER)

    page.get_by_role("link", name="Developers").click()
    page.get_by_label("Name", exact=True).fill("Shop server")
    page.get_by_role("button", name="Create key").click()
    confirm_password(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("Key “Shop server” created")
    axe(page)
    fits(page)
    text = page.get_by_label("API key").input_value()
    key = authenticate(text)
    assert key is not None
    assert (key.merchant, key.created_by) == (member.merchant, member.user)

    page.get_by_role("link", name="I have copied it").click()
    expect(page.get_by_role("table")).to_contain_text(f"sk_live_…{text[-4:]}")
    assert text not in page.content()
    page.get_by_role("link", name="Change Shop server").click()
    axe(page)
    fits(page)
    page.get_by_role("button", name="Revoke now").click()
    expect(page.get_by_role("status").filter(has_text="Shop server is revoked")).to_be_visible()
    assert authenticate(text) is None


def test_the_pages_keep_the_rules(page: Page, live_server: LiveServer, axe: Check, fits: Check) -> None:
    page.goto(live_server.url)
    axe(page)
    fits(page)
    sign_up(page, live_server)
    for path, title in PAGES.items():
        page.goto(live_server.url + path)
        expect(page.get_by_role("heading", level=1)).to_have_text(title)
        axe(page)
        fits(page)


def test_a_teammate_comes_in_by_mail(page: Page, live_server: LiveServer, axe: Check, browser: Browser) -> None:
    sign_up(page, live_server)
    page.goto(f"{live_server.url}/app/settings/team/")
    page.get_by_label("E-mail address").fill("max@example.com")
    page.get_by_label("Role", exact=True).select_option("viewer")
    page.get_by_role("button", name="Send invitation").click()
    confirm_password(page)
    expect(page.get_by_role("heading", name="Invited", exact=True)).to_be_visible()
    axe(page)
    send_invitation(Invitation.objects.get().pk)
    (link,) = re.findall(r"/invitation/\w+/", str(mail.outbox[-1].body))

    other = browser.new_context(java_script_enabled=False)
    guest = other.new_page()
    guest.goto(live_server.url + link)
    expect(guest.get_by_role("heading", level=1)).to_have_text("Join Halden Coffee")
    guest.get_by_label("Your name").fill("Max")
    guest.get_by_label("Choose a password").fill(PASSWORD)
    guest.get_by_role("button", name="Create account and join").click()
    expect(guest.get_by_text("Welcome to Halden Coffee")).to_be_visible()
    guest.goto(f"{live_server.url}/app/settings/team/")
    expect(guest.get_by_role("table")).to_contain_text("Max")
    expect(guest.get_by_role("button", name="Send invitation")).to_have_count(0)
    other.close()

    page.reload()
    page.get_by_label("Role of Max").select_option("manager")
    page.get_by_role("row", name="Max").get_by_role("button", name="Change role").click()
    confirm_password(page)
    expect(page.get_by_text("Max has the role Manager now")).to_be_visible()
