"""Days as people read them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.utils import timezone

from referrals.lib.days import day_text

AT = datetime(2026, 12, 20, 23, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("locale", "year", "shown"),
    [
        ("en", True, "20 Dec 2026"),
        ("en_GB", False, "20 Dec"),
        ("de", True, "20. Dez. 2026"),
        ("de_AT", False, "20. Dez."),
    ],
)
def test_the_order_is_the_same_and_german_has_its_dot(locale: str, year: bool, shown: str) -> None:
    with timezone.override("UTC"):
        assert day_text(AT, locale, year=year) == shown


def test_the_day_is_that_of_the_active_time_zone() -> None:
    with timezone.override("Europe/Oslo"):
        assert day_text(AT, "en") == "21 Dec 2026"
