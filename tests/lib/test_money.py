"""Money: what is read, what is refused, how it is rounded and written."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from referrals.lib.money import CURRENCIES, Money, MoneyError, exponent_of


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("12.50", "USD", 1250),
        ("12.5", "USD", 1250),
        ("0", "USD", 0),
        ("2000", "JPY", 2000),
        ("1.234", "KWD", 1234),
        ("10.00", "JPY", 10),
    ],
)
def test_plain_amounts_are_read(text: str, currency: str, minor: int) -> None:
    assert Money.parse(text, currency) == Money(minor, currency)


@pytest.mark.parametrize(
    ("text", "currency", "code"),
    [
        ("NaN", "USD", "amount_format"),
        ("Infinity", "USD", "amount_format"),
        ("1e3", "USD", "amount_format"),
        ("1_000", "USD", "amount_format"),
        (" 5 ", "USD", "amount_format"),
        ("١٢", "USD", "amount_format"),
        ("0x10", "USD", "amount_format"),
        ("1,50", "USD", "amount_format"),
        ("", "USD", "amount_format"),
        ("007", "USD", "amount_format"),
        ("9" * 5000, "USD", "amount_format"),
        ("-1", "USD", "amount_not_positive"),
        ("-0.00", "USD", "amount_not_positive"),
        ("10.001", "USD", "amount_precision"),
        ("10.5", "JPY", "amount_precision"),
        ("1", "usd", "currency"),
        ("1", "XXX", "currency"),
    ],
)
def test_anything_else_is_refused_by_name(text: str, currency: str, code: str) -> None:
    with pytest.raises(MoneyError) as refused:
        Money.parse(text, currency)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("minor", "rate", "share"), [(1250, "10", 125), (5, "50", 2), (15, "50", 8), (999, "33.3333", 333), (1, "1", 0)]
)
def test_a_share_is_rounded_half_even_once(minor: int, rate: str, share: int) -> None:
    assert Money(minor, "USD").percent(Decimal(rate)) == Money(share, "USD")


def test_two_currencies_never_meet() -> None:
    with pytest.raises(MoneyError):
        Money(1, "USD") + Money(1, "EUR")
    with pytest.raises(MoneyError):
        _ = Money(1, "USD") < Money(1, "EUR")


def test_only_whole_minor_units_are_money() -> None:
    with pytest.raises(TypeError):
        Money(1.5, "USD")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        Money(True, "USD")


@pytest.mark.parametrize(
    ("money", "locale", "long", "short"),
    [
        (Money(1500, "USD"), "en", "$15.00", "$15"),
        (Money(1550, "USD"), "en", "$15.50", "$15.50"),
        (Money(2000, "JPY"), "en", "¥2,000", "¥2,000"),
        (Money(123450, "EUR"), "de", "1.234,50\xa0€", "1.234,50\xa0€"),
        (Money(120000, "EUR"), "de", "1.200,00\xa0€", "1.200\xa0€"),
    ],
)
def test_amounts_are_written_as_the_reader_does(money: Money, locale: str, long: str, short: str) -> None:
    assert (money.format(locale), money.short(locale)) == (long, short)


def test_json_has_whole_numbers_without_a_decimal_point() -> None:
    assert [Money(2000, "USD").json_number(), Money(1250, "USD").json_number()] == [20, 12.5]
    assert type(Money(2000, "USD").json_number()) is int


@given(st.integers(0, 10**13), st.sampled_from(sorted(CURRENCIES)))
def test_what_is_written_plainly_is_read_back(minor: int, currency: str) -> None:
    money = Money(minor // 10 ** (2 - min(exponent_of(currency), 2)), currency)
    assert Money.parse(money.plain(), currency) == money
