"""Every other way of a company, as a merchant plays it in test mode: somebody is paid, and somebody is not, with the company's reason."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest
from playwright.sync_api import expect

from integrations import catalogue, methods, registry
from integrations.models import Connection
from integrations.sandbox.sending import stand_in
from participants.models import Participant
from rewards import advancing
from rewards.models import PayoutGift
from tests.browser.issuing import Desk, is_paid_at, outcomes, paid_by, payout_of
from tests.factories import ACTOR
from tests.integrations.sandbox.talking import minor_of
from tests.web.helpers import freshen

pytestmark = pytest.mark.django_db(transaction=True)
BANK_IN = {"holder": "Asha Rao", "ifsc": "HDFC0001234", "account_number": "50100123456789"}
WISE = {"holder": "Asha Rao", "email": "asha@pay.example"}
HOME = {"name": "Asha Rao", "street": "Storgata 1", "postcode": "1771", "city": "Halden", "country": "NO"}


class Case(NamedTuple):
    """A way, what it pays, where to, why Tariq gets nothing, what the page says of it, and where his reward stands."""

    slug: str
    way: str
    kind: str
    currency: str
    address: tuple[str, dict[str, str]] | None
    fate: str
    words: str
    reason: tuple[str, str]


REFUSED, GONE = ("attention", "provider_rejected"), ("waiting", "waiting_for_recipient")
CASES = (
    Case("stripe", "stripe_coupon", "coupon", "USD", None, "declined", "Stripe refused it: declined", REFUSED),
    Case("stripe", "stripe_balance", "store_credit", "USD", None, "limit_exceeded", "more than Stripe allows", REFUSED),
    Case("shopify", "shopify_discount", "coupon", "USD", None, "declined", "Shopify refused it", REFUSED),
    Case("shopify", "shopify_gift_card", "gift_card", "USD", None, "declined", "Shopify refused it", REFUSED),
    Case("shopify", "shopify_store_credit", "store_credit", "USD", None, "declined", "Shopify refused it", REFUSED),
    Case("wise", "wise", "cash", "EUR", ("wise_email", WISE), "bad_recipient", "The recipient does not exist", GONE),
    Case(
        "razorpayx",
        "razorpayx_bank",
        "cash",
        "INR",
        ("bank_in", BANK_IN),
        "bad_recipient",
        "IFSC code is invalid",
        GONE,
    ),
)


# Where the other ways are played: whoever adds a way adds its story.
PLAYED: dict[str, tuple[str, ...]] = {
    "test_issue": ("tremendous",),
    "test_issue_funded": ("paypal", "giftcards"),
    "test_issue_each_way": ("giftcards_post", *(case.way for case in CASES)),
    "test_banks": ("wise", "razorpayx_upi"),
    "test_issue_by_file": ("paypal_file", "coupon_list"),
    "test_issue_own_ways": ("manual", "wise_file", "csv_file", "coupon_list"),
}


def test_every_way_is_played() -> None:
    here = Path(__file__).parent
    assert all((here / f"{name}.py").exists() for name in PLAYED)
    there_are = {*registry.ways(), *(own.name for own in methods.OWN)}
    assert there_are == {way for ways in PLAYED.values() for way in ways}


def is_customer(connection: Connection, email: str) -> None:
    """They have bought at the company's before."""
    if connection.provider == "stripe":
        key = {"Authorization": "Bearer sk_test_x"}
        stand_in(connection).send("POST", "https://api.stripe.com/v1/customers", headers=key, body=f"email={email}")
    elif connection.provider == "shopify":
        key = {"X-Shopify-Access-Token": "shpat_x"}
        order = f'{{"amount_minor": 100, "currency": "USD", "email": "{email}"}}'
        stand_in(connection).send("POST", "https://shop/play/order", headers=key, body=order)


@pytest.mark.parametrize("case", CASES, ids=[case.way for case in CASES])
def test_one_is_paid_and_one_is_not(desk: Desk, case: Case) -> None:
    company = desk.connect(case.slug)
    for name, minor in (("asha", 1500), ("tariq", minor_of(case.fate))):
        person = desk.owe(name, minor, case.kind, case.currency)
        is_customer(company, person.email)
        if case.address is not None:
            is_paid_at(person, *case.address)
    desk.press(desk.ask(case.way, ["asha", "tariq"]), 2)
    desk.carry_out()
    desk.payout_reads(payout_of("asha"), "says that it was paid")
    # Of a code its last letters are shown, and the whole only to who asks for it.
    for gift in PayoutGift.objects.all():
        expect(desk.page.locator("main")).to_contain_text(gift.hint)
        expect(desk.page.locator("main")).not_to_contain_text(gift.secrets["code"])
    assert PayoutGift.objects.count() == (case.kind in {"coupon", "gift_card"})
    desk.payout_reads(payout_of("tariq"), case.words, "Try again")
    assert outcomes() == [("asha", "issued", ""), ("tariq", *case.reason)]
    assert paid_by(company) == [1500]


def test_a_batch_waits_for_the_invoice_and_then_only_one_of_it_is_refused(desk: Desk) -> None:
    freshen(desk.cast.client, desk.cast.user)
    company = desk.connect("tremendous", funding="invoice")
    desk.owe("asha", 1500, "cash")
    desk.owe("tariq", minor_of("bad_recipient"), "cash")
    desk.press(desk.ask("tremendous", ["asha", "tariq"]), 2)
    desk.carry_out()
    assert (paid_by(company), outcomes()) == ([], [("asha", "queued", ""), ("tariq", "queued", "")])
    desk.reads("/app/payouts/waiting/", "Pay the invoice that Tremendous sends you")
    desk.page.get_by_role("button", name="The money is there").click()
    desk.page.get_by_role("button", name="is there").click()
    expect(desk.page.locator(".toast")).to_be_visible()
    desk.carry_out()
    desk.payout_reads(payout_of("tariq"), "recipient email is invalid")
    assert (paid_by(company), outcomes()) == ([1500], [("asha", "issued", ""), ("tariq", *GONE)])


def test_a_gift_card_as_a_link_or_by_post_says_what_can_not_be(desk: Desk) -> None:
    company = desk.connect("giftcards")
    catalogue.refresh(company)
    catalogue.fetch(company.pk)
    for name, minor in (("asha", 2500), ("lena", 2500), ("tariq", 1500)):
        desk.owe(name, minor, "gift_card")

    # A card that comes in certain values only, as a link on the recipient's page.
    dialog = desk.ask("giftcards", ["asha", "tariq"])
    dialog.get_by_label("Delivery").select_option("Links")
    dialog.get_by_role("combobox", name="Gift card").select_option("HALDEN")
    dialog.get_by_role("button", name="Issue 2 rewards").click()
    expect(dialog).to_contain_text("2 rewards could be paid when you looked, 1 can now.")
    expect(dialog).to_contain_text("Halden Coffee comes as $10.00, $25.00, $50.00, and not as $15.00: 1 reward")
    expect(dialog.get_by_role("combobox", name="Gift card")).to_have_value("HALDEN")
    desk.press(dialog, 1)
    desk.carry_out()
    desk.payout_reads(payout_of("asha"), "says that it was paid", "What was given")
    desk.page.get_by_role("button", name="Show it").click()
    expect(desk.page.get_by_text(payout_of("asha").gift.secrets["url"])).to_be_visible()

    # By post: who has given no address waits for it; the other card is two days on its way.
    is_paid_at(Participant.objects.get(email="lena@example.com"), "postal", HOME)
    dialog = desk.ask("giftcards_post", ["lena", "tariq"])
    expect(dialog).to_contain_text("They wait, and are due again by themselves when the person has confirmed one.")
    desk.press(dialog, 1)
    desk.carry_out()
    assert payout_of("lena").status == "sent"
    advancing.advance_days(tenant=desk.side, days=3, actor=ACTOR)
    desk.carry_out()
    desk.payout_reads(payout_of("lena"), "says that it was paid")
    assert outcomes() == [("asha", "issued", ""), ("lena", "issued", ""), ("tariq", *GONE)]
    assert paid_by(company) == [2500, 2500]
