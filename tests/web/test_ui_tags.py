"""The design system's template tags: money, times, people, icons and stages."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from django.template import Context, Template
from django.utils import timezone, translation
from lucide import IconDoesNotExist

from referrals.lib.money import Money
from referrals.web.templatetags import ui

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _english_and_utc() -> Iterator[None]:
    with translation.override("en"), timezone.override(UTC):
        yield


def render(text: str, **context: object) -> str:
    """What a template with our tags makes of the context."""
    return Template("{% load ui %}" + text).render(Context(context))


@pytest.mark.parametrize(
    ("minor", "currency", "expected"),
    [(1500, "USD", "$15.00"), (2000, "JPY", "¥2,000"), (123450, "EUR", "€1,234.50"), (-500, "GBP", "-£5.00")],
    ids=["dollars", "yen has no decimals", "euros", "taken back"],
)
def test_money_in_english(minor: int, currency: str, expected: str) -> None:
    assert ui.money(Money(minor, currency)) == expected
    assert render("{{ minor|money:currency }}", minor=minor, currency=currency) == expected


def test_money_follows_the_language() -> None:
    with translation.override("de"):
        assert ui.money(Money(123450, "EUR")) == "1.234,50\N{NO-BREAK SPACE}€"


def test_no_money_is_nothing() -> None:
    assert render("[{{ nothing|money }}]", nothing=None) == "[]"


@pytest.mark.parametrize(
    ("sums", "expected", "more"),
    [
        ([], "", ""),
        ([Money(3000, "USD")], "$30.00", ""),
        ([Money(3000, "USD"), Money(2000, "JPY")], "$30.00 and ¥2,000", "+ ¥2,000"),
        (
            [Money(3000, "USD"), Money(2000, "JPY"), Money(1, "EUR")],
            "$30.00, ¥2,000, and €0.01",
            "+ ¥2,000, €0.01",
        ),
    ],
    ids=["none", "one", "two", "three"],
)
def test_sums_stand_side_by_side(sums: list[Money], expected: str, more: str) -> None:
    assert ui.monies(sums) == expected
    assert ui.monies_more(sums) == more


def test_counts_have_separators() -> None:
    assert ui.number(1204567) == "1,204,567"
    assert ui.number(None) == ""


@pytest.mark.parametrize(
    ("delta", "text"),
    [
        (timedelta(days=-2), "2 days ago"),
        (timedelta(hours=4), "in 4 hours"),
        (timedelta(seconds=-30), "30 seconds ago"),
        (timedelta(0), "1 second ago"),
    ],
    ids=["past", "future", "just now", "at this moment"],
)
def test_ago_tells_the_exact_time_too(delta: timedelta, text: str) -> None:
    value = NOON + delta

    tag = ui.ago(value, NOON)

    assert tag == f'<time datetime="{value.isoformat()}" title="{ui._exact(value)}">{text}</time>'


def test_times_are_in_the_active_zone() -> None:
    with timezone.override("Asia/Tokyo"):
        assert ui.moment(NOON) == '<time datetime="2026-11-20T12:00:00+00:00">20 Nov 2026, 21:00</time>'
        assert (
            ui.day(NOON + timedelta(hours=4))
            == '<time datetime="2026-11-20T16:00:00+00:00" title="21 Nov 2026, 01:00">21 Nov 2026</time>'
        )


def test_no_time_is_nothing() -> None:
    assert render("[{{ t|ago }}{{ t|moment }}{{ t|day }}]", t=None) == "[]"


@pytest.mark.parametrize(
    ("email", "expected"),
    [
        ("maya@example.com", "m•••@example.com"),
        ("a@example.com", "a•••@example.com"),
        ('"x@y"@example.com', '"•••@example.com'),
        ("no address", "•••"),
        ("", "•••"),
    ],
)
def test_masked_addresses_show_one_letter(email: str, expected: str) -> None:
    assert ui.masked(email) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Asha Verma", "AV"),
        ("Maria de la Cruz", "MC"),
        ("Prince", "P"),
        ("maya@example.com", "M"),
        ("émile zola", "ÉZ"),
        ("(none)", "?"),
        ("", "?"),
    ],
)
def test_initials(name: str, expected: str) -> None:
    assert ui.initials(name) == expected


def test_an_avatar_keeps_its_tint() -> None:
    assert ui.avatar("Asha Verma", "asha@example.com") == ui.avatar("Asha Verma", "ASHA@example.com ")
    assert {ui.tint(f"{n}@example.com") for n in range(100)} == {1, 2, 3, 4, 5}


def test_an_avatar_escapes_the_name() -> None:
    assert render('{% avatar "<b> x" size="lg" %}').endswith('ava--lg" aria-hidden="true">X</span>')


def test_a_merchants_mark_is_its_first_letter() -> None:
    assert ui.merchant_mark("halden coffee", "mer_1") == (
        f'<span class="brand__mark brand__mark--{ui.tint("mer_1")}" aria-hidden="true">H</span>'
    )


def test_an_icon_is_inline_and_hidden_from_readers() -> None:
    svg = render('{% icon "search" 15 %}')

    assert svg.startswith('<svg width="15" height="15" viewBox="0 0 24 24"')
    assert 'aria-hidden="true"' in svg
    assert "style" not in svg


def test_an_unknown_icon_is_an_error() -> None:
    with pytest.raises(IconDoesNotExist, match="no-such-icon"):
        render('{% icon "no-such-icon" %}')


@pytest.mark.parametrize(
    ("status", "stage", "label"),
    [
        ("review", "review", "In review"),
        ("due", "due", "Due"),
        ("queued", "sending", "Queued"),
        ("attention", "problem", "Needs attention"),
        ("issued", "issued", "Issued"),
        ("active", "issued", "Active"),
        ("something new", "neutral", "something new"),
    ],
)
def test_stages(status: str, stage: str, label: str) -> None:
    assert ui.stage(status) == stage
    assert ui.stage_tag(status) == f'<span class="tag tag--{stage}">{label}</span>'


@pytest.mark.parametrize(
    ("agent", "expected"),
    [
        (
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141 Safari/537.36",
            "Chrome, Linux",
        ),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 15_0) Version/18 Safari/605", "Safari, macOS"),
        ("Mozilla/5.0 (Windows NT 10.0) Chrome/141 Safari/537.36 Edg/141", "Edge, Windows"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) CriOS/141 Safari/605", "Chrome, iPhone"),
        ("", "Unknown browser"),
    ],
    ids=["chrome", "safari", "edge", "chrome on a phone", "nothing"],
)
def test_browsers_in_words(agent: str, expected: str) -> None:
    assert ui.browser(agent) == expected


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("undo:/app/rewards/undo/3/", "/app/rewards/undo/3/"),
        ("other undo:/app/", "/app/"),
        ("undo://evil.example.com/", ""),
        ("undo:https://evil.example.com/", ""),
        ("", ""),
        (None, ""),
    ],
    ids=["ours", "among others", "another host", "another scheme", "none", "absent"],
)
def test_only_our_own_addresses_can_undo(tags: str | None, expected: str) -> None:
    assert ui.undo_url(SimpleNamespace(extra_tags=tags)) == expected
