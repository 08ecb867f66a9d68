"""`make screenshots`: a picture of every page in both sizes, light and dark, and the rules every page keeps.

Fails for sideways overflow (also at 320 px), console errors and CSP reports, broken assets, and accessibility violations.
Uses the server that `make run` started on PORT, or starts one of its own on the same data. Names of pages as arguments
picture only those; `--readme` writes the two pictures of the README.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user_model
from django.contrib.sessions.backends.db import SessionStore
from django.db.models import Count, QuerySet
from django.utils import timezone
from django.utils.module_loading import import_string
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from playwright.sync_api import Error as PlaywrightError

from scripts import run
from scripts.browser import NARROWEST, Watch, axe_violations, launch_options, sideways_overflow

SIZES = {"desktop": (1440, 900), "phone": (390, 844)}
SCHEMES = ("light", "dark")
README_PICTURES = ("rewards-due", "landing")  # pictured at desktop size in light, into docs/images/
README_FOLDER = run.ROOT / "docs" / "images"


@dataclass(frozen=True)
class Shot:
    """A page to picture.

    `path` may hold names in braces, which `demo_words` and `portal_token` fill in from the demo's data. `press` is the
    CSS selector of a button to press there, for pages that have no address of their own, and `then` where to go after that. `test`
    shows the test side.
    """

    name: str
    path: str
    login: bool = True
    test: bool = False
    press: str = ""
    then: str = ""
    code: str = "code"  # which of `demo_words` is the referral code of the person whose `{token}` it is


# One line per page; add yours.
PAGES = [
    Shot("front-door", "/", login=False),
    Shot("login", "/account/login/", login=False),
    Shot("sign-up", "/account/signup/", login=False),
    Shot("password-reset", "/account/password/reset/", login=False),
    Shot("not-found", "/no/such/page", login=False),
    Shot("landing", "/campaign?id={campaign}&referralCode={code}", login=False),
    Shot("landing-own", "/campaign?id={campaign}", login=False),
    Shot("landing-terms", "/campaign/terms?id={campaign}", login=False),
    Shot("landing-partners", "/campaign?id={affiliate}", login=False),
    Shot("landing-leaderboard", "/campaign?id={leaderboard}", login=False),
    Shot("landing-milestones", "/campaign?id={milestone}&referralCode={milestone_code}", login=False),
    Shot("landing-newsletter", "/campaign?id={newsletter}&referralCode={newsletter_code}", login=False),
    Shot("unknown-campaign", "/campaign?id=doesnotexist", login=False),
    Shot("unknown-code", "/r/doesnotexist", login=False),
    Shot("portal-ask", "/me/", login=False),
    Shot("portal-open", "/me/open/{token}", login=False),
    Shot("portal", "/me/open/{token}", login=False, press="main form button"),
    Shot("portal-settings", "/me/open/{token}", login=False, press="main form button", then="/me/settings"),
    Shot("portal-receipts", "/me/open/{token}", login=False, press="main form button", then="/me/receipts"),
    Shot("portal-gift", "/me/open/{token}", login=False, press="main form button", code="gift_code"),
    Shot("portal-waiting", "/me/open/{token}", login=False, press="main form button", code="waiting_code"),
    Shot(
        "portal-paid-where",
        "/me/open/{token}",
        login=False,
        press="main form button",
        then="/me/settings",
        code="paypal_code",
    ),
    Shot("portal-erase", "/me/open/{token}", login=False, press="main form button", then="/me/erase"),
    Shot("portal-partner", "/me/open/{token}", login=False, press="main form button", code="affiliate_code"),
    Shot("portal-leaderboard", "/me/open/{token}", login=False, press="main form button", code="leaderboard_code"),
    Shot("portal-milestones", "/me/open/{token}", login=False, press="main form button", code="milestone_code"),
    Shot("portal-newsletter", "/me/open/{token}", login=False, press="main form button", code="newsletter_code"),
    Shot("hub", "/hub/", login=False),
    Shot("hub-programme", "/hub/{programme}/", login=False),
    Shot("hub-mine-ask", "/hub/me/", login=False),
    Shot("docs", "/docs/", login=False),
    Shot("docs-v1", "/docs/v1/", login=False),
    Shot("docs-v2", "/docs/v2/", login=False),
    Shot("docs-errors", "/docs/errors/", login=False),
    Shot("docs-guide", "/docs/guides/connections/stripe/", login=False),
    Shot("home", "/app/"),
    Shot("home-test-side", "/app/", test=True),
    Shot("campaigns", "/app/campaigns/"),
    Shot("campaign-new", "/app/campaigns/new/"),
    Shot("campaign", "/app/campaigns/{campaign}/"),
    Shot("campaign-design", "/app/campaigns/{campaign}/design/"),
    Shot("campaign-rules", "/app/campaigns/{campaign}/rules/"),
    Shot("campaign-rules-tiers", "/app/campaigns/{affiliate}/rules/"),
    Shot("campaign-rules-milestones", "/app/campaigns/{milestone}/rules/"),
    Shot("campaign-rules-ranks", "/app/campaigns/{leaderboard}/rules/"),
    Shot("what-if", "/app/campaigns/{campaign}/rules/", press="main button[value=what_if]"),
    Shot("campaign-settings", "/app/campaigns/{campaign}/settings/"),
    Shot("campaign-promotions", "/app/campaigns/{campaign}/promotion-codes/"),
    Shot("campaign-report", "/app/campaigns/{campaign}/report/"),
    Shot("campaign-install", "/app/campaigns/{campaign}/install/"),
    Shot("campaign-install-app", "/app/campaigns/{campaign}/install/?way=app&in=node"),
    Shot("campaign-install-payment", "/app/campaigns/{campaign}/install/?way=payment"),
    Shot("widget-invitee", "/widget/{campaign}/invitee?referralCode={code}", login=False),
    Shot("widget-referrer", "/widget/{campaign}/referrer", login=False),
    Shot("campaign-mails", "/app/campaigns/{campaign}/mails/"),
    Shot("campaign-join", "/app/campaigns/{campaign}/join/"),
    Shot("campaign-invitations", "/app/campaigns/{campaign}/invitations/"),
    Shot("campaign-links", "/app/campaigns/{campaign}/links/"),
    Shot("campaign-host", "/app/campaigns/{campaign}/host/"),
    Shot("campaign-hub", "/app/campaigns/{affiliate}/hub/"),
    Shot("applications", "/app/applications/"),
    Shot("application", "/app/applications/{application}/"),
    Shot("campaign-attribution", "/app/campaigns/{campaign}/attribution/"),
    Shot("participants", "/app/participants/"),
    Shot("participant-new", "/app/participants/new/"),
    Shot("participant", "/app/participants/{person}/"),
    Shot("participant-complete", "/app/participants/{friend}/complete/"),
    Shot("fraud", "/app/fraud/"),
    Shot("fraud-denied", "/app/fraud/?status=denied"),
    Shot("fraud-case", "/app/fraud/{case}/"),
    Shot("fraud-lists", "/app/fraud/lists/"),
    Shot("participant-attach", "/app/participants/{person}/attach/"),
    Shot("participant-detach", "/app/participants/{friend}/detach/"),
    Shot("participant-status", "/app/participants/{friend}/status/"),
    Shot("participant-ban", "/app/participants/{person}/ban/"),
    Shot("participant-erase", "/app/participants/{person}/erase/"),
    Shot("purchases", "/app/purchases/"),
    Shot("purchases-refused", "/app/purchases/?outcome=refused"),
    Shot("purchases-review", "/app/purchases/?outcome=review"),
    Shot("purchases-waiting", "/app/purchases/?outcome=waiting&waits=refund"),
    Shot("purchase", "/app/purchases/{event}/"),
    Shot("rewards", "/app/rewards/"),
    Shot("rewards-review", "/app/rewards/?stage=review"),
    Shot("rewards-due", "/app/rewards/?stage=due"),
    Shot("rewards-issued", "/app/rewards/?stage=issued"),
    Shot("rewards-attention", "/app/rewards/?stage=attention"),
    Shot("reward", "/app/rewards/{reward}/"),
    Shot("issue", "/app/rewards/{reward}/", press="#press-issue"),
    Shot("payouts", "/app/payouts/"),
    Shot("payout-batch", "/app/payouts/{batch}/"),
    Shot("payouts-all", "/app/payouts/all/"),
    Shot("payout-batch-mixed", "/app/payouts/{mixed}/", test=True),
    Shot("payout-batch-approve", "/app/payouts/{unapproved}/", test=True),
    Shot("payout-batch-file", "/app/payouts/{by_file}/"),
    Shot("payout-file-return", "/app/payouts/returned/{returned}/"),
    Shot("payout-file-rest", "/app/payouts/{by_file}/rest/paid/"),
    Shot("payouts-attention", "/app/payouts/attention/", test=True),
    Shot("payout-decide", "/app/payouts/one/{question}/unpaid/", test=True),
    Shot("payout", "/app/payouts/one/{payout}/"),
    Shot("payout-question", "/app/payouts/one/{question}/", test=True),
    Shot("payouts-waiting", "/app/payouts/waiting/", test=True),
    Shot("payouts-fund", "/app/payouts/waiting/fund/?batch={unfunded}", test=True),
    Shot("payout-routes", "/app/settings/payouts/"),
    Shot("payout-routes-missing", "/app/settings/payouts/", test=True),
    Shot("payout-route-new", "/app/settings/payouts/ways/new/?side=referrer&kind=cash"),
    Shot("coupon-lists", "/app/settings/coupons/"),
    Shot("coupon-list", "/app/settings/coupons/{coupons}/"),
    Shot("payout-safety", "/app/settings/payouts/safety/"),
    Shot("payout-veto", "/app/settings/payouts/veto/"),
    Shot("books", "/app/payouts/books/"),
    Shot("year-totals", "/app/payouts/years/"),
    Shot("connections", "/app/connections/"),
    Shot("connection", "/app/connections/{connection}/"),
    Shot("connection-outseta", "/app/connections/", press='button[value="outseta"]'),
    Shot("connection-own", "/app/connections/", press='button[value="webhook"]'),
    Shot("inbox", "/app/connections/messages/"),
    Shot("inbox-process", "/app/connections/messages/process/?state=ignored"),
    Shot("connection-message", "/app/connections/messages/{message}/"),
    Shot("connection-try", "/app/connections/{test_connection}/try/", test=True),
    Shot("connection-pays", "/app/connections/{paying_connection}/", test=True),
    Shot("connection-products", "/app/connections/{cards_connection}/products/", test=True),
    Shot("connection-tried", "/app/connections/{test_connection}/try/", test=True, press="main form button"),
    Shot("developers", "/app/developers/"),
    Shot("export-schedules", "/app/settings/exports/scheduled/"),
    Shot("webhooks", "/app/developers/webhooks/", test=True),
    Shot("webhook", "/app/developers/webhooks/{webhook}/", test=True),
    Shot("deliveries", "/app/developers/deliveries/", test=True),
    Shot("delivery", "/app/developers/deliveries/{delivery}/", test=True),
    Shot("settings", "/app/settings/"),
    Shot("exports", "/app/settings/exports/"),
    Shot("imports", "/app/settings/imports/"),
    Shot("customers", "/app/settings/customers/?q=old@example.com"),
    Shot("customers-remove", "/app/settings/customers/remove/"),
    Shot("team", "/app/settings/team/"),
    Shot("history", "/app/settings/history/"),
    Shot("test-clock", "/app/settings/test-clock/", test=True),
    Shot("test-clock-live", "/app/settings/test-clock/"),
    Shot("test-data", "/app/settings/test-data/", test=True),
    Shot("simulate", "/app/campaigns/{test_campaign}/simulate/", test=True),
    Shot("simulated", "/app/campaigns/{test_campaign}/simulate/", test=True, press="main form button"),
    Shot("new-business", "/app/business/new/"),
    Shot("mails", "/dev/mail/", login=False),
    Shot("business-new", "/app/business/new/"),
    Shot("emails", "/account/email/"),
    Shot("password", "/account/password/change/"),
    Shot("two-step-login", "/account/2fa/"),
    Shot("sessions", "/account/sessions/"),
]


@dataclass
class Gallery:
    """Takes the pictures and keeps the list of what was wrong with the pages."""

    browser: Browser
    site: str
    folder: Path
    words: dict[str, str]
    problems: list[str] = field(default_factory=list)
    taken: int = 0

    def picture(self, shots: list[Shot], size: str, scheme: str, *, rules: bool = True) -> None:
        """Picture these pages in one size and colour scheme, and check the rules."""
        for login, test in sorted({(shot.login, shot.test) for shot in shots}):
            with self._context(size, scheme, login=login, test=test) as (context, watch):
                page = context.new_page()
                for shot in shots:
                    if (shot.login, shot.test) == (login, test):
                        name = f"{shot.name}-{scheme}-{size}"
                        try:
                            self._one(page, shot, name, watch, rules=rules)
                        except PlaywrightError as error:
                            self.problems.append(f"{name}: {error.message.splitlines()[0]}")

    @contextlib.contextmanager
    def _context(self, size: str, scheme: str, *, login: bool, test: bool) -> Iterator[tuple[BrowserContext, Watch]]:
        width, height = SIZES[size]
        context = self.browser.new_context(
            base_url=self.site,
            viewport={"width": width, "height": height},
            color_scheme="dark" if scheme == "dark" else "light",
            reduced_motion="reduce",
            locale="en-GB",
            timezone_id="UTC",
        )
        watch = Watch()
        watch.attach(context)
        try:
            if login:
                name, value = session_cookie()
                context.add_cookies([{"name": name, "value": value, "url": self.site}])
            if test:
                page = context.new_page()
                page.goto("/app/")
                with page.expect_navigation():
                    page.locator("button.mode").evaluate("button => button.form.submit()")
                page.close()
            yield context, watch
        finally:
            context.close()

    def _one(self, page: Page, shot: Shot, name: str, watch: Watch, *, rules: bool) -> None:
        watch.problems.clear()
        words = {**self.words, "token": portal_token(self.words[shot.code])} if "{token}" in shot.path else self.words
        answer = page.goto(shot.path.format(**words), wait_until="networkidle")  # htmx fills parts in
        if shot.login and answer and answer.status >= 400:
            self.problems.append(f"{name}: {answer.status} for {page.url}")
        if shot.press:
            with page.expect_navigation():
                page.locator(shot.press).first.click()
        if shot.then:
            page.goto(shot.then, wait_until="networkidle")
        page.screenshot(path=self.folder / f"{name}.png")
        self.taken += 1
        if shot.login and "/login" in page.url:
            self.problems.append(
                f"{name}: asks to log in; does the server use the database in {os.environ['DATA_DIR']}?"
            )
        if rules:
            self.problems += [f"{name}: {line}" for line in self._broken_rules(page)]
        self.problems += [f"{name}: {line}" for line in watch.problems]

    def _broken_rules(self, page: Page) -> list[str]:
        found = axe_violations(page)
        size = page.viewport_size
        if out := sideways_overflow(page):
            found.append(f"overflows: {out}")
        if size:
            page.set_viewport_size({"width": NARROWEST, "height": size["height"]})
            if out := sideways_overflow(page):
                found.append(f"overflows at {NARROWEST}px: {out}")
            page.set_viewport_size(size)
        return found


def session_cookie() -> tuple[str, str]:
    """A log-in for the demo's owner, made in the database the server uses: name and value of the cookie."""
    owner = apps.get_model("accounts", "Membership").objects.filter(role="owner").order_by("pk").first()
    if owner is None:
        sys.exit("The database is empty; run `make run` once to fill it with demo data.")
    user = get_user_model().objects.get(pk=owner.user_id)
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.create()
    return settings.SESSION_COOKIE_NAME, str(session.session_key)


def demo_words() -> dict[str, str]:
    """What stands for the names in the paths: the first running campaign, and who and what belongs to it.

    A demo without one of them gives an address that does not exist, which is reported as such.
    """

    def first(rows: QuerySet[Any], attribute: str = "public_id") -> str:
        return str(getattr(rows.first(), attribute, "none"))

    campaigns = apps.get_model("campaigns", "Campaign").objects.filter(status="active", is_test=False).order_by("pk")
    people = apps.get_model("participants", "Participant").objects.filter(campaign=campaigns.first())
    busiest = people.annotate(friends=Count("referrals_made")).order_by("-friends", "pk")
    due = apps.get_model("rewards", "Reward").objects.filter(campaign=campaigns.first(), state="due")
    events = apps.get_model("participants", "QualifyingEvent").objects.filter(campaign=campaigns.first())
    connections = apps.get_model("integrations", "Connection").objects.filter(removed_at=None, is_test=False)
    messages = apps.get_model("integrations", "InboundEvent").objects.filter(is_test=False, state="processed")
    further = {
        kind: apps.get_model("campaigns", "Campaign")
        .objects.filter(type=kind, status="active", is_test=False)
        .order_by("pk")
        for kind in ("affiliate", "leaderboard", "milestone", "newsletter")
    }
    sharers = {
        kind: apps.get_model("participants", "Participant").objects.filter(campaign=rows.first(), referral=None)
        for kind, rows in further.items()
    }
    cases = apps.get_model("participants", "FraudCase").objects.filter(is_test=False, status="open")
    wishes = apps.get_model("participants", "Application").objects.filter(is_test=False, status="waiting")
    return {
        "application": first(wishes.order_by("pk")),
        "programme": first(apps.get_model("campaigns", "Listing").objects.filter(is_on=True).order_by("pk"), "slug"),
        **{kind: first(rows) for kind, rows in further.items()},
        **{f"{kind}_code": first(rows.order_by("pk"), "referral_code") for kind, rows in sharers.items()},
        "case": str(getattr(getattr(cases.order_by("-score", "pk").first(), "participant", None), "public_id", "none")),
        "connection": first(connections.order_by("pk")),
        "test_connection": first(
            apps.get_model("integrations", "Connection").objects.filter(is_test=True, removed_at=None).order_by("pk")
        ),
        **{
            name: first(
                apps.get_model("integrations", "Connection")
                .objects.filter(is_test=True, removed_at=None, provider=slug)
                .order_by("pk")
            )
            for name, slug in (("paying_connection", "tremendous"), ("cards_connection", "giftcards"))
        },
        "message": first(messages.order_by("pk")),
        "webhook": first(apps.get_model("integrations", "WebhookEndpoint").objects.order_by("pk")),
        "delivery": first(
            apps.get_model("integrations", "WebhookDelivery").objects.filter(state="failed").order_by("pk")
        ),
        "campaign": first(campaigns),
        "test_campaign": first(
            apps.get_model("campaigns", "Campaign").objects.filter(status="active", is_test=True).order_by("pk")
        ),
        "code": first(busiest, "referral_code"),
        "person": first(busiest),
        "friend": first(people.filter(referral__isnull=False).order_by("pk")),
        "reward": first(due.order_by("pk")),
        # One whose decision was changed by a later fact.
        "event": first(events.filter(decisions__current=False).order_by("pk")),
        **payout_words(first),
    }


def payout_words(first: Callable[..., str]) -> dict[str, str]:
    """What stands for batches and payouts in each state, and for the codes of people who got one or wait for one."""
    payouts = apps.get_model("rewards", "Payout").objects.order_by("-pk").select_related("participant")
    batches = apps.get_model("rewards", "PayoutBatch").objects.order_by("-pk")
    waiting = apps.get_model("rewards", "Reward").objects.filter(state="waiting").order_by("pk")

    def code(row: Any) -> str:
        return str(getattr(getattr(row, "participant", None), "referral_code", "none"))

    return {
        "payout": first(payouts.filter(is_test=False)),
        "question": first(payouts.filter(status="needs_attention")),
        "batch": first(batches.filter(is_test=False, method="manual")),
        "mixed": first(batches.filter(payouts__status="needs_attention")),
        "unapproved": first(batches.filter(needs_approval=True, approved_at=None)),
        "unfunded": first(batches.filter(needs_funding=True, funded_at=None)),
        "by_file": first(batches.filter(is_test=False, files__isnull=False)),
        "returned": first(apps.get_model("rewards", "PayoutReturn").objects.order_by("-pk")),
        "coupons": first(apps.get_model("rewards", "CouponList").objects.filter(closed_at=None).order_by("pk")),
        "gift_code": code(payouts.filter(is_test=False, method="coupon_list").first()),
        "waiting_code": code(waiting.select_related("participant").first()),
        "paypal_code": code(payouts.filter(method="paypal").first()),
    }


def portal_token(code: str) -> str:
    """A fresh one-time link to the page of the participant with this code."""
    person = apps.get_model("participants", "Participant").objects.get(referral_code=code)
    link = apps.get_model("participants", "PortalLink").objects.create(participant=person, sent_at=timezone.now())
    make_token: Callable[[Any], str] = import_string("participants.portal.make_token")  # needs the apps to be ready
    return make_token(link)


@contextlib.contextmanager
def demo_server() -> Iterator[str]:
    """The address of a running demo server: the one on PORT, or one that lives as long as this block."""
    running = f"http://localhost:{os.environ['PORT']}"
    if run.answers(f"{running}/livez"):
        yield running
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        os.environ["PORT"] = str(probe.getsockname()[1])
    site = os.environ["SITE_URL"] = f"http://localhost:{os.environ['PORT']}"
    supervisor = run.Supervisor()
    try:
        if not supervisor.wait_until_up(f"{site}/livez"):
            sys.exit("The web server did not start; the lines above say why.")
        yield site
    finally:
        supervisor.stop()


def main() -> int:
    """Take the pictures; 1 when a page broke a rule."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("names", nargs="*", help="pages to picture; all when left out")
    parser.add_argument("--readme", action="store_true", help="only the two pictures of the README")
    parser.add_argument("--folder", type=Path, default=run.ROOT / "var" / "screenshots")
    options = parser.parse_args()
    names = list(README_PICTURES) if options.readme else options.names
    shots = [shot for shot in PAGES if not names or shot.name in names]
    if unknown := set(names) - {shot.name for shot in shots}:
        sys.exit(f"There is no page called {', '.join(sorted(unknown))}; there are: {', '.join(s.name for s in PAGES)}")

    os.chdir(run.ROOT)
    run.prepare_environment()
    # Playwright runs an event loop in this thread; Django would refuse the database here.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    run.prepare_database()
    folder = README_FOLDER if options.readme else options.folder
    folder.mkdir(parents=True, exist_ok=True)
    with demo_server() as site, sync_playwright() as playwright:
        browser = playwright.chromium.launch(**launch_options())
        gallery = Gallery(browser, site, folder, demo_words())
        for size in SIZES if not options.readme else ["desktop"]:
            for scheme in SCHEMES if not options.readme else ["light"]:
                gallery.picture(shots, size, scheme)
        browser.close()
    if options.readme:
        for name in README_PICTURES:
            (folder / f"{name}-light-desktop.png").replace(folder / f"{name}.png")
    print(f"{gallery.taken} pictures in {folder}")
    print("\n".join(gallery.problems))
    return 1 if gallery.problems else 0


if __name__ == "__main__":
    sys.exit(main())
