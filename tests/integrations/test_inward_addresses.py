"""Every address that a merchant may give: what this server asks by itself never leads inside, and everything else is only linked to.

The vectors are those of RELIABILITY section 6, row 22. A new field for an address has to stand in one of the two tables.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest
from django.apps import apps
from django.db import models

from campaigns.hosts import set_host
from campaigns.models import Campaign
from integrations import catalogue, endpoints, hosts, registry, veto
from referrals.accounts.tenancy import Tenant
from referrals.lib import http
from referrals.lib.errors import Refused
from tests.factories import ACTOR, Cast, make_campaign

INWARD = [
    "http://hooks.example.com/", "ftp://hooks.example.com/", "//hooks.example.com/", "https://user:pw@hooks.example.com/",
    "https://hooks.example.com:25/", "https://localhost/", "https://127.1/", "https://2130706433/", "https://0x7f000001/",
    "https://①②⑦.⓪.⓪.①/", "https://[::1]/", "https://[::ffff:127.0.0.1]/", "https://[64:ff9b::7f00:1]/", "https://[2002:7f00:1::]/",
    "https://[::10.0.0.1]/", "https://[fec0::1]/", "https://100.100.100.200/", "https://169.254.169.254/",
    "https://rebinding.example.com/",
    "https://hooks.example.com\\@127.0.0.1/", "https://hooks\t.example.com/",
]  # fmt: skip
# Of these the form alone is wrong; the name itself leads to the internet.
WRONG_FORM = {url for url in INWARD if "hooks" in url and "\\" not in url}
# Fields that this server asks by itself, by the way in which a value gets there.
ASKED = {
    "integrations.WebhookEndpoint.url", "campaigns.Campaign.host", "integrations.CatalogueProduct.picture_url", "rewards.VetoEndpoint.url",
}  # fmt: skip
# Fields that only stand in pages, for a person's browser to follow.
LINKED = {
    "accounts.Merchant.website", "campaigns.Listing.terms_url", "campaigns.Sighting.origin", "campaigns.Campaign.terms_url",
    "campaigns.Campaign.landing_url", "participants.TermsVersion.url",
}  # fmt: skip
NO_ADDRESS = {"participants.Trace.address"}
OURS = {"referrals", "campaigns", "participants", "rewards", "integrations"}


def _endpoint(tenant: Tenant, _campaign: Campaign, url: str) -> None:
    endpoints.refuse_private(url, tenant)


def _host(_tenant: Tenant, campaign: Campaign, url: str) -> None:
    """A name that can be one is saved; then the name is asked, and that is where it must not lead inside."""
    campaign = set_host(campaign=campaign, host=url.partition("//")[2].rstrip("/"), actor=ACTOR)
    found = hosts.look_at(campaign.host, "proof")
    if not found.leads_here:
        raise Refused("url_not_allowed", found.problem)


def _shop(_tenant: Tenant, _campaign: Campaign, url: str) -> None:
    field = next(field for field in registry.get("shopify").secrets if field.name == "shop")
    if not field.matches(url) and not field.matches(url.partition("//")[2].rstrip("/")):
        raise Refused("secret_malformed", str(field.wrong))


def _api(_tenant: Tenant, _campaign: Campaign, url: str) -> None:
    """An address that can be one is saved, and asked through the one client; where the form is wrong, it never is."""
    field = next(field for field in registry.get("giftcards").secrets if field.name == "base_url")
    if not field.matches(url):
        raise Refused("secret_malformed", str(field.wrong))
    try:
        http.request("GET", url)
    except http.HttpError as error:
        raise Refused("url_not_allowed", str(error)) from error


def _picture(_tenant: Tenant, _campaign: Campaign, url: str) -> None:
    """What a company says is a product's picture."""
    if catalogue._picture(url, http.request) is None:
        raise Refused("url_not_allowed", "No picture.")


def _veto(tenant: Tenant, _campaign: Campaign, url: str) -> None:
    """An address that can be one is saved, and asked through the one client."""
    row, _secret = veto.set_up(tenant=tenant, actor=ACTOR, url=url)
    status, words = veto.ask(row, "test_1", veto.SAMPLE)
    if not status:
        raise Refused("url_not_allowed", words)


WAYS: dict[str, Callable[[Tenant, Campaign, str], None]] = {
    "webhook endpoint": _endpoint,
    "campaign's own host name": _host,
    "shop at Shopify": _shop,
    "address of a gift-card company's API": _api,
    "picture of a product": _picture,
    "own system that is asked before paying": _veto,
}


@pytest.fixture
def inside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names as an attacker's DNS would answer; a connection that is really begun is a failure."""

    def resolve(host: Any, port: Any, *_args: Any, **_options: Any) -> list[Any]:
        name = host.decode() if isinstance(host, bytes) else str(host)
        address = {"hooks.example.com": "93.184.215.14", "rebinding.example.com": "10.1.2.3"}.get(name, "127.0.0.1")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port or 443))]

    def connect(*_args: Any, **_options: Any) -> None:
        raise AssertionError("a connection was begun")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(hosts, "texts_of", lambda _name: ())
    monkeypatch.setattr(endpoints, "look_up", lambda host: [resolve(host, 443)[0][4][0]])


@pytest.mark.django_db
@pytest.mark.parametrize("way", list(WAYS))
def test_no_field_lets_this_server_be_sent_inside(alice: Cast, inside: None, way: str) -> None:
    campaign = make_campaign(alice.tenant)
    let_through = []
    for url in INWARD:
        if way == "campaign's own host name" and url in WRONG_FORM:
            continue  # only the name is taken from it, and that one is public
        try:
            WAYS[way](alice.tenant, campaign, url)
        except Refused:
            continue
        let_through.append(url)
    assert let_through == []


@pytest.mark.parametrize("url", [url for url in INWARD if url not in WRONG_FORM])
def test_the_one_client_begins_no_connection_inside(inside: None, url: str) -> None:
    with pytest.raises(http.HttpError):
        http.request("GET", url)


def test_every_field_for_an_address_is_known_here() -> None:
    found = {
        f"{model._meta.label}.{field.name}"
        for model in apps.get_models()
        if model.__module__.split(".")[0] in OURS
        for field in model._meta.get_fields()
        if isinstance(field, models.URLField)
        or field.name in {"host", "domain", "origin", "address"}
        or "url" in field.name
    }
    assert found == ASKED | LINKED | NO_ADDRESS
    asked_by_providers = {
        (provider.slug, name)
        for provider in registry.every()
        for name in [field.name for field in provider.secrets] + [field.name for field in provider.settings]
        if any(word in name for word in ("url", "host", "domain", "shop"))
    }
    assert asked_by_providers == {("shopify", "shop"), ("giftcards", "base_url")}
