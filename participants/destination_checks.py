"""What is checked of a payout address, part by part: each gives the text as it is stored, or says what is wrong and what to do.

Sources: IBAN lengths and check digits: ISO 13616 and its registry; routing numbers: ABA; IFSC: Reserve Bank of India; UPI addresses:
NPCI; names: what Wise and Razorpay take.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from django.utils.translation import get_language
from django.utils.translation import gettext as _

from referrals.lib import countries
from referrals.lib.emails import EmailError, parse_email

# How long an IBAN of each country is, for the countries that euros (SEPA) or their own currency can be paid to by IBAN.
IBAN_LENGTHS = {
    "AD": 24, "AL": 28, "AT": 20, "BE": 16, "BG": 22, "CH": 21, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "EE": 20, "ES": 24,
    "FI": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GR": 27, "HR": 21, "HU": 28, "IE": 22, "IS": 26, "IT": 27, "LI": 21,
    "LT": 20, "LU": 20, "LV": 21, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MT": 31, "NL": 18, "NO": 15, "PK": 24, "PL": 28,
    "PT": 25, "RO": 24, "RS": 22, "SE": 24, "SI": 19, "SK": 24, "SM": 27, "VA": 22,
}  # fmt: skip
_LETTERS = r"[^\W\d_]"
_NAME = re.compile(rf"{_LETTERS}[\w()'*,.\- ’]*", re.UNICODE)
_UPI = re.compile(r"[A-Za-z0-9._-]{2,256}@[A-Za-z][A-Za-z0-9]{1,63}", re.ASCII)
_IFSC = re.compile(r"[A-Z]{4}0[A-Z0-9]{6}", re.ASCII)


class WrongValue(ValueError):
    """What was typed can't be right; the text says what is wrong and what to do, to the person who typed it."""


def as_it_is(text: str) -> str:
    """Whatever it is: the choices were checked before."""
    return text


def some(text: str) -> str:
    """A line of text that is not empty."""
    if not text or not text.isprintable():
        raise WrongValue(_("Fill this in."))
    return " ".join(text.split())


def email(text: str) -> str:
    """An e-mail address."""
    try:
        return parse_email(text).address
    except EmailError as error:
        raise WrongValue(_("Enter an e-mail address such as name@example.com.")) from error


def holder(text: str) -> str:
    """A person's name as banks take it: more than one word, each of more than one letter at the ends, no digits (Wise)."""
    name = " ".join(text.replace("’", "'").split())
    words = name.split(" ")
    if len(words) < 2 or min(len(words[0]), len(words[-1])) < 2:
        raise WrongValue(_("Enter your first and your last name in full."))
    if any(character.isdigit() for character in name) or not _NAME.fullmatch(name):
        raise WrongValue(_("Enter the name as the bank has it, without digits and special characters."))
    return name


def indian_holder(text: str) -> str:
    """A name as Razorpay takes it: 3 to 50 letters, digits, blanks and a few signs."""
    name = " ".join(text.replace("’", "'").split())
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9 '\-_/().&]{2,49}", name):
        raise WrongValue(_("Enter the name as the bank has it, in 3 to 50 Latin letters."))
    return name


def iban(text: str) -> str:
    """An IBAN of a country that can be paid to: its length and its check digits fit."""
    iban = re.sub(r"[\s.-]", "", text).upper()
    country = iban[:2]
    if not re.fullmatch(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{4,}", iban, re.ASCII):
        raise WrongValue(_("Enter an IBAN: two letters, two digits, and the number of the account."))
    if country not in IBAN_LENGTHS:
        raise WrongValue(_("We can't pay to an IBAN that begins with %(country)s.") % {"country": country})
    if len(iban) != IBAN_LENGTHS[country]:
        words = {"country": country, "length": IBAN_LENGTHS[country], "typed": len(iban)}
        raise WrongValue(_("An IBAN of %(country)s has %(length)s characters; this one has %(typed)s.") % words)
    if int("".join(str(int(character, 36)) for character in iban[4:] + iban[:4])) % 97 != 1:
        raise WrongValue(_("There is a typing error in this IBAN: its check digits do not fit."))
    return iban


def digits(low: int, high: int) -> Callable[[str], str]:
    """A check for so many digits; blanks and hyphens are left out."""

    def check(text: str) -> str:
        number = re.sub(r"[\s-]", "", text)
        if not re.fullmatch(rf"[0-9]{{{low},{high}}}", number, re.ASCII):
            if low == high:
                raise WrongValue(_("Enter %(count)s digits.") % {"count": low})
            raise WrongValue(_("Enter %(low)s to %(high)s digits.") % {"low": low, "high": high})
        return number

    return check


def routing(text: str) -> str:
    """A routing number of the United States, with its check digit (ABA)."""
    number = digits(9, 9)(text)
    total = sum(int(digit) * weight for digit, weight in zip(number, (3, 7, 1) * 3, strict=True))
    if total % 10 or not total:
        raise WrongValue(_("There is a typing error in this routing number: its check digit does not fit."))
    return number


def upi(text: str) -> str:
    """A UPI address, in small letters."""
    address = text.replace(" ", "")
    if not _UPI.fullmatch(address) or "@" not in address:
        raise WrongValue(_("Enter a UPI address such as name@bank, without a dot after the @."))
    return address.lower()


def ifsc(text: str) -> str:
    """The IFSC code of an Indian branch."""
    code = re.sub(r"\s", "", text).upper()
    if not _IFSC.fullmatch(code):
        raise WrongValue(_("Enter the IFSC code of the branch: four letters, a zero, and six more characters."))
    return code


def indian_account(text: str) -> str:
    """An account's number in India."""
    number = re.sub(r"[\s-]", "", text).upper()
    if not re.fullmatch(r"[A-Z0-9]{5,35}", number, re.ASCII):
        raise WrongValue(_("Enter the account's number, 5 to 35 digits or letters."))
    return number


def state(text: str) -> str:
    """A state of the United States, by its two letters."""
    state = text.upper()
    if not re.fullmatch(r"[A-Z]{2}", state, re.ASCII):
        raise WrongValue(_("Enter the two letters of the state, such as CA."))
    return state


def zip_code(text: str) -> str:
    """A ZIP code, with or without its last four digits."""
    if not re.fullmatch(r"[0-9]{5}(-[0-9]{4})?", text, re.ASCII):
        raise WrongValue(_("Enter a ZIP code of five digits."))
    return text


def maybe(text: str) -> str:
    """A line of text, or nothing."""
    if text and not text.isprintable():
        raise WrongValue(_("Write this in one line."))
    return " ".join(text.split())


def postcode(text: str) -> str:
    """A postcode of any country, in capitals."""
    code = " ".join(text.upper().split())
    if not re.fullmatch(r"[A-Z0-9][A-Z0-9 -]{1,11}", code, re.ASCII):
        raise WrongValue(_("Enter the postcode, of letters and digits."))
    return code


def country(text: str) -> str:
    """A country's ISO 3166 code, from its name or code."""
    country = countries.find(text, get_language() or "en")
    if not country:
        raise WrongValue(_("Enter the country's name, or its two letters."))
    return country
