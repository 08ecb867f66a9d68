"""The connections' pages as people meet them: readable, without a script, on a phone, light and dark, under the strict policy."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from django.conf import settings
from django.test import Client
from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from integrations.models import Connection, InboundEvent
from participants.models import Participant
from referrals.accounts.tenancy import Tenant
from rewards.models import Reward
from tests.factories import Cast, make_campaign, make_cast, make_merchant, make_participant
from tests.integrations.sending import SECRET, connect, deliver, post, sample

pytestmark = pytest.mark.django_db(transaction=True)
Check = Callable[[Page], None]


@pytest.fixture
def alice(transactional_db: None) -> Cast:
    return make_cast("alice@example.com", make_merchant("Halden Coffee"))


@pytest.fixture
def asha(alice: Cast) -> Participant:
    return make_participant(make_campaign(alice.tenant), first_name="Asha", last_name="Verma")


@pytest.fixture
def connection(alice: Cast, asha: Participant) -> Connection:
    """A connection that has seen something of everything."""
    row = connect(alice.tenant)
    deliver(row, sample("checkout.session.completed", client_reference_id=asha.referral_code))
    deliver(row, sample("customer.created"))
    deliver(row, sample("charge.refunded.part"))
    deliver(row, sample("invoice.paid", amount_paid="a lot", event_id="evt_broken"))
    deliver(
        row, sample("checkout.session.completed", client_reference_id="user-77", event_id="evt_x", customer_details={})
    )
    post(row, b"{}", {"Stripe-Signature": "t=1,v1=0"})
    return row


def log_in(page: Page, client: Client, live_server: LiveServer) -> None:
    """Carry the client's session over to the browser."""
    name = settings.SESSION_COOKIE_NAME
    page.context.add_cookies([{"name": name, "value": client.cookies[name].value, "url": live_server.url}])


PAGES = ["list", "connection", "begun", "disconnect", "processed", "ignored", "failed"]


def _path(name: str, connection: Connection) -> str:
    if name == "list":
        return "/app/connections/"
    if name in {"processed", "ignored", "failed"}:
        message = InboundEvent.objects.filter(state=name).order_by("pk")[0]
        return f"/app/connections/messages/{message.public_id}/"
    if name == "begun":
        other = Connection(merchant=connection.merchant, provider="stripe")
        other.secrets = {}
        other.save()
        return f"/app/connections/{other.public_id}/"
    return f"/app/connections/{connection.public_id}/{'disconnect/' if name == 'disconnect' else ''}"


@pytest.mark.parametrize("name", PAGES)
def test_every_page_is_readable_and_fits(
    page: Page,
    alice: Cast,
    connection: Connection,
    live_server: LiveServer,
    axe: Check,
    fits: Check,
    name: str,
) -> None:
    log_in(page, alice.client, live_server)
    page.goto(live_server.url + _path(name, connection))
    expect(page.locator("h1")).to_be_visible()
    axe(page)
    fits(page)


@pytest.fixture(params=[True, False], ids=["with scripts", "without scripts"])
def any_page(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Page]:
    """A page with and without JavaScript."""
    context = browser.new_context(java_script_enabled=request.param, locale="en-GB")
    yield context.new_page()
    context.close()


def test_a_merchant_connects_stripe(any_page: Page, alice: Cast, asha: Participant, live_server: LiveServer) -> None:
    page = any_page
    log_in(page, alice.client, live_server)
    page.goto(f"{live_server.url}/app/connections/")
    page.get_by_role("button", name="Connect Stripe").click()
    expect(page.get_by_role("heading", name="Set it up with a key")).to_be_visible()
    address = page.get_by_role("textbox", name="Address for messages").input_value()
    connection = Connection.objects.get()
    assert address == f"{settings.SITE_URL}/in/{connection.public_id}/"
    page.get_by_label("Signing secret").fill("sk_wrong")
    page.get_by_role("button", name="Finish connecting").click()
    expect(page.get_by_text("A signing secret starts with whsec_")).to_be_visible()
    page.get_by_label("Signing secret").fill(SECRET)
    page.get_by_role("button", name="Finish connecting").click()
    expect(page.get_by_text("The first message has not arrived yet.")).to_be_visible()
    deliver(connection, sample("checkout.session.completed", client_reference_id=asha.referral_code))
    page.reload()
    expect(page.get_by_text("Working", exact=True)).to_be_visible()
    page.get_by_role("link", name="checkout.session.completed").click()
    page.get_by_role("link", name="See the payment and its decisions").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Maya Lindqvist")
    expect(page.locator("#content")).to_contain_text("$64.20")


def test_a_test_payment_is_sent_without_an_account(
    page: Page, alice: Cast, live_server: LiveServer, axe: Check, fits: Check
) -> None:
    """From nothing to a reward: made-up secrets, the form, and the page that says what it led to."""
    side = Tenant(alice.merchant, is_test=True)
    make_participant(make_campaign(side))
    log_in(page, alice.client, live_server)
    page.goto(f"{live_server.url}/app/connections/")
    page.get_by_role("switch", name="Test mode").first.click()
    page.goto(f"{live_server.url}/app/connections/")
    page.get_by_role("button", name="Connect Razorpay", exact=True).click()
    page.get_by_role("button", name="Use made-up secrets").click()
    axe(page)
    fits(page)
    page.get_by_label("They pay").fill("64.20")
    page.get_by_role("button", name="Send it").dblclick()
    expect(page.get_by_text("Payment of $64.20")).to_be_visible()
    assert Reward.objects.for_tenant(side).get().state == "due"
    page.get_by_role("link", name="Send another").click()
    page.get_by_label("A refund of the last payment").check()
    page.get_by_role("button", name="Send it").click()
    expect(page.get_by_role("heading", name="refund.processed")).to_be_visible()
    assert Reward.objects.for_tenant(side).get().state == "void"
