"""Cells as people write them: read in one way, or refused with the question which."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from referrals.lib.errors import Refused
from rewards.imports.spelled import read_amount, read_day_or_moment, read_yes_no

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-01-31", "2026-01-30T23:00:00+00:00"),
        ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00+00:00"),
        ("2026-01-31 12:00:00 UTC", "2026-01-31T12:00:00+00:00"),
        ("2026-01-31 12:00", "2026-01-31T11:00:00+00:00"),
        ("2026/1/31 1:05 PM", "2026-01-31T12:05:00+00:00"),
        ("31.01.2026", "2026-01-30T23:00:00+00:00"),
        ("1.2.2026 00:30", "2026-01-31T23:30:00+00:00"),
        ("31/01/2026", "2026-01-30T23:00:00+00:00"),
        ("01/31/2026", "2026-01-30T23:00:00+00:00"),
        ("02/02/2026", "2026-02-01T23:00:00+00:00"),
        ("Jan 31, 2026", "2026-01-30T23:00:00+00:00"),
        ("31st January 2026", "2026-01-30T23:00:00+00:00"),
        ("31. Januar 2026", "2026-01-30T23:00:00+00:00"),
        ("March 3, 2026 at", None),
        ("1769860800", "2026-01-31T12:00:00+00:00"),
        ("1769860800123", "2026-01-31T12:00:00+00:00"),
        ("20260131", None),
        ("2026-02-30", None),
        ("31/13/2026", None),
        ("0001-01-01", None),
        ("soon", None),
    ],
)
def test_dates_are_read_or_refused(text: str, utc: str | None) -> None:
    if utc is None:
        with pytest.raises(Refused) as caught:
            read_day_or_moment(text, BERLIN)
        assert caught.value.code == "date"
    else:
        assert read_day_or_moment(text, BERLIN).isoformat() == utc


def test_a_date_that_can_be_read_in_two_ways_is_asked_about() -> None:
    with pytest.raises(Refused, match="day first or month first") as caught:
        read_day_or_moment("03/04/2026", BERLIN)
    assert caught.value.code == "date_ambiguous"
    assert read_day_or_moment("03/04/2026", BERLIN, "dmy").month == 4
    assert read_day_or_moment("03/04/2026", BERLIN, "mdy").isoformat() == "2026-03-03T23:00:00+00:00"


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("12.50", "USD", 1250),
        ("12,50", "EUR", 1250),
        ("1,234.50", "USD", 123450),
        ("1.234,50 €", "EUR", 123450),
        ("$1,234,567", "USD", 123456700),
        ("USD 12", "USD", 1200),
        ("1 234,5", "SEK", 123450),
        ("1'234.50", "CHF", 123450),
        ("0.125", "KWD", 125),
        ("0,5", "EUR", 50),
        ("007.50", "USD", 750),
        ("2000", "JPY", 2000),
        ("0", "USD", 0),
        ("-5", "USD", "amount_not_positive"),
        ("(5.00)", "USD", "amount_not_positive"),
        ("12.505", "KRW", "amount_ambiguous"),
        ("1,234", "USD", "amount_ambiguous"),
        ("10.5", "JPY", "amount_precision"),
        ("1e3", "USD", "amount_format"),
        ("1_000", "USD", "amount_format"),
        ("١٢", "USD", "amount_format"),
        ("12.3.4", "USD", "amount_format"),
        ("1,23,456.00", "USD", "amount_format"),
        ("NaN", "USD", "amount_format"),
        ("12 EUR", "USD", "currency"),
        ("", "USD", "amount_format"),
    ],
)
def test_amounts_are_read_or_refused(text: str, currency: str, minor: int | str) -> None:
    if isinstance(minor, int):
        assert read_amount(text, currency).minor == minor
    else:
        with pytest.raises(Refused) as caught:
            read_amount(text, currency)
        assert caught.value.code == minor


def test_what_the_merchant_says_of_decimals_settles_it() -> None:
    assert read_amount("1,234", "USD", "point").minor == 123400
    with pytest.raises(Refused, match="more decimals"):
        read_amount("1,234", "USD", "comma")
    assert read_amount("1.234", "KWD").minor == 1234


def test_yes_and_no() -> None:
    assert [read_yes_no(text) for text in ("Yes", "TRUE", "1", "disabled", "no", "False", "0", "active")] == [
        True
    ] * 4 + [False] * 4
    with pytest.raises(Refused, match="neither yes nor no"):
        read_yes_no("maybe")
