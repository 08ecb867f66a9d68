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
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from django.apps import apps
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user_model
from django.contrib.sessions.backends.db import SessionStore
from django.db.models import Count
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from scripts import run
from scripts.browser import NARROWEST, Watch, axe_violations, launch_options, sideways_overflow

SIZES = {"desktop": (1440, 900), "phone": (390, 844)}
SCHEMES = ("light", "dark")
README_PICTURES = ("rewards-due", "landing")  # pictured at desktop size in light, into docs/images/
README_FOLDER = run.ROOT / "docs" / "images"


@dataclass(frozen=True)
class Shot:
    """A page to picture.

    `path` may hold {campaign} and {code}: the demo's first running campaign and its busiest advocate. `follow` are CSS
    selectors of links to go to from there, for pages whose address has an id. `test` shows the test side.
    """

    name: str
    path: str
    login: bool = True
    test: bool = False
    follow: tuple[str, ...] = ()


# One line per page; add yours.
PAGES = [
    Shot("front-door", "/", login=False),
    Shot("login", "/account/login/", login=False),
    Shot("sign-up", "/account/signup/", login=False),
    Shot("password-reset", "/account/password/reset/", login=False),
    Shot("landing", "/campaign?id={campaign}&referralCode={code}", login=False),
    Shot("landing-referrer", "/campaign?id={campaign}", login=False),
    Shot("unknown-campaign", "/campaign?id=doesnotexist", login=False),
    Shot("unknown-code", "/r/doesnotexist", login=False),
    Shot("home", "/app/"),
    Shot("home-test-side", "/app/", test=True),
    Shot("campaigns", "/app/campaigns/"),
    Shot("participants", "/app/participants/"),
    Shot("rewards-due", "/app/rewards/due/"),
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
                        self._one(page, shot, f"{shot.name}-{scheme}-{size}", watch, rules=rules)

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
        page.goto(shot.path.format(**self.words))
        for selector in shot.follow:
            target = page.locator(selector).first.get_attribute("href")
            if not target:
                self.problems.append(f"{name}: no link {selector} on {page.url}")
                return
            page.goto(target)
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
    """What stands for {campaign} and {code} in the paths; empty when the demo has no running campaign."""
    campaign = (
        apps.get_model("campaigns", "Campaign").objects.filter(status="active", is_test=False).order_by("pk").first()
    )
    if campaign is None:
        return {"campaign": "", "code": ""}
    people = apps.get_model("participants", "Participant").objects.filter(campaign=campaign)
    best = people.annotate(friends=Count("referrals_made")).order_by("-friends", "pk").first()
    return {"campaign": campaign.public_id, "code": best.referral_code if best else ""}


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
