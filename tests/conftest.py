"""What every test shares: which tests fit the database at hand, and the cast."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from django.conf import settings
from django.core.cache import cache
from django.template import Context, Template
from django.test.signals import template_rendered
from django.utils import timezone, translation
from django.utils.safestring import SafeString
from pytest_django import DjangoDbBlocker

from campaigns import rules, sightings
from campaigns.models import Campaign
from integrations import inbox
from referrals.accounts.models import Role
from referrals.hosted import clicks, hosts
from scripts.translations import compile_stale
from tests import databases, transactions, worlds
from tests.factories import Cast, make_campaign, make_cast, make_merchant
from tests.worlds import kept, own

__all__ = ["kept", "own"]  # fixtures of every test


def pytest_configure(config: pytest.Config) -> None:
    """Compile what changed in the translations; once, not in each of xdist's workers."""
    if not hasattr(config, "workerinput"):
        compile_stale()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what says nothing about the database at hand.

    On SQLite that is `postgres`, which is about concurrency that SQLite does not have; on PostgreSQL it is `once`, and
    what opens no database at all.
    """
    if settings.DATABASES["default"]["ENGINE"] == "django.db.backends.postgresql":
        own = [item for item in items if item.get_closest_marker("postgres") or _opens_a_database(item)]
        left_out = [item for item in items if item.get_closest_marker("once") or item not in own]
    else:
        left_out = [item for item in items if item.get_closest_marker("postgres")]
    if left_out:
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)


def _opens_a_database(item: pytest.Item) -> bool:
    fixtures = {"db", "transactional_db", "kept"} & set(getattr(item, "fixturenames", ()))
    return bool(fixtures) or item.get_closest_marker("django_db") is not None


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the run's data folder here too: xdist's workers end without Python's atexit."""
    shutil.rmtree(settings.DATA_DIR, ignore_errors=True)


@pytest.fixture(scope="session", autouse=True)
def _only_pages_are_noted(django_test_environment: None) -> Iterator[None]:
    """`answer.context` is the page's own. Django notes every include and every widget as well, with a copy of its context: a sixth of the
    time of tests that open pages."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Template, "_render", _noted_render)
        yield


@pytest.fixture(scope="session", autouse=True)
def _requests_open_their_own_transactions(django_test_environment: None) -> Iterator[None]:
    """As on a server. What needs one, and works in a test by that of the test alone, fails here too."""
    with pytest.MonkeyPatch.context() as patch:
        transactions.make_requests_bring_their_own(patch)
        yield


def _noted_render(self: Template, context: Context) -> SafeString:
    if context.template is self and not str(self.name).startswith("django/forms/"):
        template_rendered.send(sender=self, template=self, context=context)
    return self.nodelist.render(context)


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    django_db_modify_db_settings_parallel_suffix: None, request: pytest.FixtureRequest
) -> Iterator[None]:
    """Begin with the migrated database of an earlier run where there is one (SQLite)."""
    copy = _copy(request)
    with pytest.MonkeyPatch.context() as patch:
        if copy and copy.exists():
            databases.begin_with(copy, patch)
        yield


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker, request: pytest.FixtureRequest) -> None:
    """Leave a copy of the migrated database for the next run."""
    copy = _copy(request)
    if copy and not copy.exists():
        with django_db_blocker.unblock():
            databases.keep(copy)


def _copy(request: pytest.FixtureRequest) -> Path | None:
    if settings.DATABASES["default"]["ENGINE"] != "django.db.backends.sqlite3":
        return None
    return databases.copy_in(request.config.cache.mkdir("migrated"))


# How long an example takes says more about the machine than about us.
hypothesis.settings.register_profile("ours", deadline=None)
hypothesis.settings.load_profile("ours")

# --- The cast: Alice (owner), Bob (her teammate) and Charlie (a stranger with his own merchant) ---


@pytest.fixture(autouse=True)
def _begin_anew() -> None:
    """Keys and addresses come again after a rolled-back test; what a process remembers about the old ones must not: rules, attempts
    to log in, host names, the clicks of this second, what was seen at work, the last nudge.

    And a request leaves its reader's language and time zone with the thread; a server's next request sets its own.
    """
    rules._rules.cache_clear()
    cache.clear()
    for remembered in (hosts._known, clicks._bursts, sightings._noted):
        remembered.clear()
    inbox._nudged.at = float("-inf")
    translation.activate(settings.LANGUAGE_CODE)
    timezone.deactivate()


@pytest.fixture
def alice(db: None, request: pytest.FixtureRequest) -> Cast:
    """Alice owns Halden Coffee."""
    return worlds.found(request, "alice") or make_cast("alice@example.com", make_merchant("Halden Coffee"))


@pytest.fixture
def bob(alice: Cast) -> Cast:
    """Bob may look at Halden Coffee, and change nothing."""
    return make_cast("bob@example.com", alice.merchant, Role.VIEWER)


@pytest.fixture
def charlie(db: None, request: pytest.FixtureRequest) -> Cast:
    """Charlie owns another merchant; nothing of Alice's exists for him."""
    return worlds.found(request, "charlie") or make_cast("charlie@example.org", make_merchant("Charlie's Chairs"))


@pytest.fixture
def campaign(alice: Cast, request: pytest.FixtureRequest) -> Campaign:
    """Alice's running campaign: 15 dollars to the referrer for a friend's first purchase, without review."""
    return worlds.found(request, "campaign") or make_campaign(alice.tenant)
