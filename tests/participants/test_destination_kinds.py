"""The kinds of payout addresses: what is taken, in which form it is kept, what is shown of it, and when two are one."""

from __future__ import annotations

import pytest

from participants import destination_kinds
from participants.destination_kinds import BY_NAME, KINDS, read
from participants.models import PayoutDestination
from referrals.lib.errors import Refused

HOLDER = {"holder": "Asha Lindqvist"}
# Published examples of IBANs (ISO 13616's registry), and the routing number of the ABA's own example.
DE = "DE89370400440532013000"
GB = {**HOLDER, "iban": "GB29 NWBK 6016 1331 9268 19"}
US = {
    **HOLDER,
    "routing_number": "111000025",
    "account_number": "12345678",
    "account_type": "CHECKING",
    "street": "1 Main Street",
    "city": "Gotham",
    "state": "ca",
    "zip": "90210",
}
POST = {
    "name": "Asha Rao", "street": "1 Main  Street", "more": "", "city": "Gotham", "region": "", "postcode": "ec1a 1bb", "country": "germany"
}  # fmt: skip
IN = {"holder": "Asha Rao", "ifsc": "hdfc0001234", "account_number": "50100 1234 5678"}


@pytest.mark.parametrize(
    ("name", "typed", "address", "hint", "identity"),
    [
        ("paypal", {"email": " Asha.L@gmail.com "}, "Asha.L@gmail.com", "A•••@gmail.com", "ashal@gmail.com"),
        ("wise_email", {**HOLDER, "email": "asha@example.com"}, "asha@example.com", "a•••@example.com", "asha@example.com"),
        ("bank", {**HOLDER, "iban": "de89 3704 0044 0532 0130 00"}, DE, "DE •••• 3000", f"iban:{DE}"),
        ("bank", GB, "GB29NWBK60161331926819", "GB •••• 6819", "gb:601613:31926819"),
        ("bank_gb", {**HOLDER, "sort_code": "60-16-13", "account_number": "31926819"}, "31926819", "GB •••• 6819", "gb:601613:31926819"),
        ("bank_us", US, "12345678", "US •••• 5678", "us:111000025:12345678"),
        ("upi", {"vpa": "Asha.Rao@OkBank"}, "asha.rao@okbank", "a•••@okbank", "upi:asha.rao@okbank"),
        ("postal", POST, "1 Main Street", "G•••, DE", "postal:DE:EC1A 1BB:1 main street:"),
        ("bank_in", IN, "5010012345678", "IN •••• 5678", "in:HDFC:5010012345678"),
    ],
)  # fmt: skip
def test_what_is_typed_gets_one_form(name: str, typed: dict[str, str], address: str, hint: str, identity: str) -> None:
    found = read(name, typed)
    assert (found.address, found.hint, found.identity) == (address, hint, identity)
    assert read(name, found.details) == found
    assert destination_kinds.of({**found.details, "address": found.address}) is found.kind


@pytest.mark.parametrize(
    ("name", "field", "value", "words"),
    [
        ("paypal", "email", "asha", "Enter an e-mail address such as name@example.com."),
        ("bank", "iban", "DE89 3704 0044 0532 0130 01", "There is a typing error in this IBAN: its check digits do not fit."),
        ("bank", "iban", "DE89 3704 0044 0532 0130 0", "An IBAN of DE has 22 characters; this one has 21."),
        ("bank", "iban", "TR330006100519786457841326", "We can't pay to an IBAN that begins with TR."),
        ("bank", "iban", "12345678", "Enter an IBAN: two letters, two digits, and the number of the account."),
        ("bank", "iban", "D" * 51, "That is too long."),
        ("bank", "holder", "Asha", "Enter your first and your last name in full."),
        ("bank", "holder", "A L", "Enter your first and your last name in full."),
        ("bank", "holder", "Asha L1ndqvist", "Enter the name as the bank has it, without digits and special characters."),
        ("bank", "holder", "=Asha Lindqvist", "Enter the name as the bank has it, without digits and special characters."),
        ("bank_gb", "sort_code", "60161", "Enter 6 digits."),
        ("bank_gb", "account_number", "٣١٩٢٦٨١٩", "Enter 8 digits."),
        ("bank_us", "routing_number", "111000026", "There is a typing error in this routing number: its check digit does not fit."),
        ("bank_us", "routing_number", "000000000", "There is a typing error in this routing number: its check digit does not fit."),
        ("bank_us", "account_number", "123", "Enter 4 to 17 digits."),
        ("bank_us", "account_type", "GOLD", "Choose one of these."),
        ("bank_us", "street", "", "Fill this in."),
        ("bank_us", "street", "1\nMain", "Fill this in."),
        ("bank_us", "state", "Calif.", "Enter the two letters of the state, such as CA."),
        ("bank_us", "zip", "9021", "Enter a ZIP code of five digits."),
        ("upi", "vpa", "asha@example.com", "Enter a UPI address such as name@bank, without a dot after the @."),
        ("upi", "vpa", "asha", "Enter a UPI address such as name@bank, without a dot after the @."),
        ("bank_in", "ifsc", "HDFC1001234", "Enter the IFSC code of the branch: four letters, a zero, and six more characters."),
        ("bank_in", "account_number", "1234", "Enter the account's number, 5 to 35 digits or letters."),
        ("postal", "name", "", "Fill this in."),
        ("postal", "more", "1\n2", "Write this in one line."),
        ("postal", "postcode", "!", "Enter the postcode, of letters and digits."),
        ("postal", "country", "Atlantis", "Enter the country's name, or its two letters."),
        ("bank_in", "holder", "आशा राव", "Enter the name as the bank has it, in 3 to 50 Latin letters."),
    ],
)  # fmt: skip
def test_what_cannot_be_right_is_named(name: str, field: str, value: str, words: str) -> None:
    right = {"paypal": {}, "bank": GB, "bank_gb": HOLDER, "bank_us": US, "upi": {}, "bank_in": IN, "postal": POST}[name]
    assert destination_kinds.problems(BY_NAME[name], {**right, field: value})[field] == words
    with pytest.raises(Refused) as refused:
        read(name, {**right, field: value})
    assert refused.value.code == "destination_invalid"
    assert refused.value.details["fields"][field] == words


def test_an_address_can_get_some_currencies() -> None:
    iban = {
        "DE89370400440532013000": ["EUR"],
        "GB29NWBK60161331926819": ["EUR", "GBP"],
        "GE29NB0000000101904917": ["GEL"],
    }
    currencies = sorted(BY_NAME["bank"].currencies | {"USD"})
    for text, some in iban.items():
        details = read("bank", {**HOLDER, "iban": text}).details
        assert [code for code in currencies if BY_NAME["bank"].can_get(details, code)] == some
    assert BY_NAME["upi"].can_get({}, "INR")
    assert not BY_NAME["upi"].can_get({}, "USD")
    assert BY_NAME["paypal"].can_get({}, "USD")


def test_the_main_part_of_an_address_tells_what_it_can_get() -> None:
    assert destination_kinds.can_get("bank", DE, "EUR")
    assert not destination_kinds.can_get("bank", DE, "USD")
    assert destination_kinds.can_get("paypal", "asha@example.com", "USD")
    assert not destination_kinds.can_get("envelope", "asha", "USD")
    assert destination_kinds.of({"address": "asha@example.com"}) is None


def test_a_way_of_paying_names_the_kinds_it_takes() -> None:
    assert destination_kinds.suits("bank", "wise_email|bank")
    assert not destination_kinds.suits("ban", "wise_email|bank")
    assert destination_kinds.names("") == ()
    with pytest.raises(Refused):
        destination_kinds.get("cash in an envelope")


def test_the_kinds_fit_the_table_and_have_no_two_names() -> None:
    assert len(BY_NAME) == len(KINDS)
    assert max(len(kind.name) for kind in KINDS) <= (PayoutDestination._meta.get_field("method").max_length or 0)
    assert all(kind.main in {field.name for field in kind.fields} for kind in KINDS)
