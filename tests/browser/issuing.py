"""What the stories of issuing share: a test side whose people are owed something, the question, and where everybody stands afterwards."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta

from django.db.models.functions import Now
from django.urls import reverse
from playwright.sync_api import Locator, Page, expect
from pytest_django.live_server_helper import LiveServer

from integrations import trying
from integrations.models import Connection
from integrations.payouts import ask, sweep
from integrations.sandbox.base import money_of
from integrations.sandbox.state import Rows
from integrations.services import connect
from participants import destination_kinds, portal
from participants.models import Participant, PayoutDestination, PortalLink
from referrals.accounts.tenancy import Tenant
from referrals.lib import clock
from rewards.models import Payout, PayoutBatch, Reward
from tests.browser.merchant import log_in
from tests.factories import ACTOR, Cast, buy, fixed_rule, make_campaign, make_friend, make_participant


def aside(page: Page, work: Callable[[], object]) -> None:
    """Do the worker's work with no page open that asks every now and then: here both have the same connection to the database."""
    page.goto("about:blank")
    work()


def beside(page: Page, work: Callable[[], object]) -> None:
    """The same with the page that is watched: it has its answer, and its next question waits until the work is done."""
    page.route("**/*", lambda route: route.continue_())
    with page.expect_response(lambda answer: "/payouts/" in answer.url):
        pass
    work()
    page.unroute_all(behavior="wait")


def is_paid_at(person: Participant, kind: str, typed: Mapping[str, str]) -> None:
    """An address that was confirmed a while ago."""
    read, now = destination_kinds.read(kind, typed), clock.now()
    row = PayoutDestination(
        merchant=person.merchant, is_test=person.is_test, participant=person, method=kind, hint=read.hint, fingerprint="f",
        asked_at=now, confirmed_at=now, usable_from=now,
    )  # fmt: skip
    row.secrets = {"address": read.address, **read.details}
    row.save()


@dataclass
class Desk:
    """A merchant's test side in the browser, without a way through the menu: each page is gone to."""

    page: Page
    live_server: LiveServer
    cast: Cast

    def __post_init__(self) -> None:
        self.url = self.live_server.url
        self.cast.client.post(reverse("web:switch_mode"), {"mode": "test"})
        self.side = Tenant(self.cast.merchant, is_test=True)
        log_in(self.page, self.cast.client, self.live_server)

    def connect(self, slug: str, **settings: str) -> Connection:
        """The company's stand-in, with what its form asks for."""
        made = connect(tenant=self.side, actor=ACTOR, provider=slug)
        row = trying.make_up_secrets(connection=made, actor=ACTOR)
        if settings:
            row.settings = {**row.settings, **settings}
            row.save(update_fields=["settings"])
        return row

    def owe(self, name: str, minor: int, kind: str, currency: str = "USD", **fields: str) -> Participant:
        """Somebody is owed so many minor units."""
        rule = fixed_rule(minor, currency, kind=kind)
        campaign = make_campaign(self.side, [rule], currency=currency, name=f"For {name}")
        person = make_participant(campaign, f"{name}@example.com", **fields)
        buy(make_friend(person, f"of-{name}@example.net"))
        return person

    def ask(self, way: str, names: Collection[str]) -> Locator:
        """Tick these people's rewards and choose the way: the question."""
        self.page.goto(f"{self.url}/app/rewards/?stage=due")
        for name in names:
            self.page.get_by_role("row", name=name).get_by_role("checkbox").check()
        self.page.locator("#act-issue").click()
        dialog = self.page.get_by_role("dialog", name="Issue rewards")
        way_in = dialog.locator(f'input[name="method"][value="{way}"], input[name="method"][value^="{way}:"]')
        if not way_in.is_checked():
            way_in.check()
            expect(way_in).to_be_focused()  # the question is asked anew, and the focus stays
        return dialog

    def press(self, dialog: Locator, count: int = 0) -> PayoutBatch:
        """Press "Issue", and see the batch."""
        dialog.locator('button[name="confirmed"]').click()
        expect(self.page.locator("#progress-title")).to_be_visible()
        batch = PayoutBatch.objects.latest("pk")
        assert not count or batch.payouts.count() == count
        return batch

    def carry_out(self) -> None:
        """What the worker does within the next minutes: send, and ask. No page asks meanwhile: here it has the same connection."""
        aside(self.page, sweep)
        Payout.objects.filter(status="sent").update(check_at=Now() - timedelta(seconds=1))
        ask()

    def move_clock(self, button: str = "", *, days: int = 0) -> None:
        """Move the test clock by a button or by so many days, and wait until it is there."""
        if not self.page.url.endswith("/test-clock/"):
            self.page.goto(f"{self.url}/app/settings/test-clock/")
        with self.page.expect_response(lambda response: response.request.method == "POST"):
            if button:
                self.page.get_by_role("button", name=button).click()
            else:
                self.page.get_by_label("Days").fill(str(days))
                self.page.get_by_label("Days").press("Enter")
        expect(self.page.get_by_role("heading", name="What happened on the last move")).to_be_visible()

    def reads(self, path: str, *words: str) -> None:
        """The page says this."""
        self.page.goto(f"{self.url}{path}")
        for each in words:
            expect(self.page.locator("main")).to_contain_text(each)

    def payout_reads(self, payout: Payout, *words: str) -> None:
        """The payout's page says this."""
        self.reads(reverse("web:payout", args=[payout.public_id]), *words)

    def open_own_page(self, person: Participant) -> None:
        """Their own page, from a mailed link."""
        link = PortalLink.objects.create(participant=person)
        self.page.goto(f"{self.url}/me/open/{portal.make_token(link)}")
        self.page.get_by_role("button", name="Open my page").click()
        expect(self.page).to_have_url(f"{self.url}/me/")


def payout_of(name: str) -> Payout:
    """Their newest payout."""
    return Payout.objects.filter(participant__email=f"{name}@example.com").latest("pk")


def outcomes() -> list[tuple[str, str, str]]:
    """Each recipient with where the reward stands and why."""
    rows = Reward.objects.order_by("participant__email", "pk")
    return [
        (email.partition("@")[0], state, reason)
        for email, state, reason in rows.values_list("participant__email", "state", "reason")
    ]


def paid_by(connection: Connection) -> list[int]:
    """What the stand-in paid, in minor units."""
    return [row.money.minor for row in money_of(Rows(connection))]
