"""A company that only pays: its card and page say what it pays, and nothing about tracking payments."""

from __future__ import annotations

import pytest

from integrations import catalogue, services, trying
from integrations.models import CatalogueProduct, Connection
from referrals.accounts.tenancy import Tenant
from tests.factories import ACTOR, Cast, buy, make_campaign, make_friend, make_participant

pytestmark = pytest.mark.django_db


def test_the_way_to_a_company_that_only_pays(alice: Cast) -> None:
    alice.client.post("/app/switch/mode/", {"mode": "test"})
    page = alice.client.get("/app/connections/").content.decode()
    assert page.index("Tells of payments") < page.index("Connect Stripe") < page.index("Pays rewards")
    assert page.index("Pays rewards") < page.index("Connect Tremendous")
    where = alice.client.post("/app/connections/", {"provider": "tremendous"})["Location"]
    page = alice.client.get(where).content.decode()
    assert "Address for status messages" in page
    assert "a stand-in answers in the place of Tremendous" in page
    assert "What it pays" in page
    for about_payments in ("How a payment finds its referrer", "Lost messages", "What is listened to"):
        assert about_payments not in page
    row = Connection.objects.get()
    assert trying.kinds(row) == []
    assert alice.client.post(f"{where}made-up/")["Location"] == where
    row.refresh_from_db()
    assert services.health(row) == services.Health("ok", "Ready")
    page = alice.client.get("/app/connections/").content.decode()
    assert "Pays: Tremendous" in page
    assert "Send a test message" not in page
    assert "What we ask of Tremendous is answered by a stand-in" in alice.client.get(where).content.decode()


def test_settings_that_can_t_be_are_said_at_their_field(alice: Cast) -> None:
    row = services.connect(tenant=alice.tenant, actor=ACTOR, provider="tremendous")
    data = {"api_key": "PROD_0123456789abcdef", "funding": "balance", "delivery": "EMAIL"}
    answer = alice.client.post(f"/app/connections/{row.public_id}/secrets/", data)
    assert (answer.status_code, "Give a campaign or products" in answer.content.decode()) == (422, True)
    assert services.secrets_of(row) == {}
    answer = alice.client.post(
        f"/app/connections/{row.public_id}/secrets/", {**data, "products": "OKMHM2X2OHYV"}, follow=True
    )
    assert "You can pay rewards through it." in answer.content.decode()
    wrong = alice.client.post(
        f"/app/connections/{row.public_id}/secrets/", {**data, "api_key": "TEST_0123456789abcdef"}
    )
    assert "you are in live mode" in wrong.content.decode()


def test_the_products_page_has_pictures_of_our_own_and_nobody_else_s(alice: Cast, charlie: Cast) -> None:
    alice.client.post("/app/switch/mode/", {"mode": "test"})
    side = Tenant(alice.merchant, is_test=True)
    row = services.connect(tenant=side, actor=ACTOR, provider="giftcards")
    url = f"/app/connections/{row.public_id}/products/"
    assert "The products are not here yet" in alice.client.get(url).content.decode()
    assert "Finish the connection first" in alice.client.post(f"{url}fetch/", follow=True).content.decode()
    trying.make_up_secrets(connection=row, actor=ACTOR)
    assert alice.client.post(f"{url}fetch/")["Location"] == url
    catalogue.fetch(row.pk)
    page = alice.client.get(url).content.decode()
    for words in (
        "CVS Pharmacy",
        "$5.00 to $500.00",
        "Halden Coffee",
        "$10.00, $25.00, $50.00",
        "Physical shipment",
    ):
        assert words in page
    picture = CatalogueProduct.objects.get(product="CVS")
    answer = alice.client.get(f"{url}{picture.digest}.webp")
    assert (answer.status_code, answer["Content-Type"], answer.content[8:12]) == (200, "image/webp", b"WEBP")
    assert alice.client.get(f"{url}{'0' * 16}.webp").status_code == 404
    assert "CVS" not in alice.client.get(f"{url}?q=halden").content.decode()
    CatalogueProduct.objects.update(picture=None, digest="")
    assert "product--none" in alice.client.get(url).content.decode()
    charlie.client.post("/app/switch/mode/", {"mode": "test"})
    for path in (url, f"{url}{picture.digest}.webp"):
        assert charlie.client.get(path).status_code == 404
    assert alice.client.get("/app/connections/").status_code == 200
    tremendous = services.connect(tenant=side, actor=ACTOR, provider="tremendous")
    assert alice.client.get(f"/app/connections/{tremendous.public_id}/products/").status_code == 404


def test_it_is_no_source_of_purchases(alice: Cast) -> None:
    for provider in ("tremendous", "stripe"):
        services.connect(tenant=alice.tenant, actor=ACTOR, provider=provider)
    campaign = make_campaign(alice.tenant)
    buy(make_friend(make_participant(campaign)))
    purchases = alice.client.get("/app/purchases/").content.decode()
    assert ('value="stripe"' in purchases, 'value="tremendous"' in purchases) == (True, False)
    install = alice.client.get(f"/app/campaigns/{campaign.public_id}/install/?way=payment").content.decode()
    stripe, tremendous = Connection.objects.order_by("provider").values_list("public_id", flat=True)
    assert (stripe in install, tremendous in install) == (True, False)
