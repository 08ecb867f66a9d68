"""Every company we know. A provider's module is imported when it is first asked for."""

from __future__ import annotations

from functools import cache
from typing import cast

from django.utils.module_loading import import_string

from integrations.base import App, Confirm, Installing, Issuer, LookUp, Products, Provider, Pull, Recent, Samples, Way

# Those that tell of payments, and those that only pay.
TELLING = {
    "stripe": "integrations.providers.stripe.PROVIDER",
    "razorpay": "integrations.providers.razorpay.PROVIDER",
    "cashfree": "integrations.providers.cashfree.PROVIDER",
    "shopify": "integrations.providers.shopify.PROVIDER",
    "outseta": "integrations.providers.outseta.PROVIDER",
    "memberspace": "integrations.providers.memberspace.PROVIDER",
    "scoreapp": "integrations.providers.scoreapp.PROVIDER",
    "webhook": "integrations.providers.webhook.PROVIDER",
}
PAYING = {
    "tremendous": "integrations.providers.tremendous.PROVIDER",
    "paypal": "integrations.providers.paypal.PROVIDER",
    "wise": "integrations.providers.wise.PROVIDER",
    "razorpayx": "integrations.providers.razorpayx.PROVIDER",
    "giftcards": "integrations.providers.giftcards.PROVIDER",
}
SLUGS = TELLING | PAYING


@cache
def get(slug: str) -> Provider:
    """The provider; raises KeyError for a slug that is not in the table."""
    return cast(Provider, import_string(SLUGS[slug]))


def every() -> list[Provider]:
    """All providers in the order of the table."""
    return [get(slug) for slug in SLUGS]


@cache
def ways() -> dict[str, tuple[Provider, Way]]:
    """Every way of delivering rewards through a company, by its name, with the company."""
    return {way.name: (provider, way) for provider in every() for way in provider.ways}


@cache
def issuer(method: str) -> Issuer | None:
    """Who carries out payouts of this method; None for one that no company has."""
    found = ways().get(method)
    return cast(Issuer, import_string(found[1].issuer)) if found else None


def key_name(method: str, key: str) -> str:
    """What the company knows a payout by (base.Found.key)."""
    found = ways().get(method)
    return str(import_string(found[1].key_name)(key)) if found and found[1].key_name else key


@cache
def recent(method: str) -> Recent | None:
    """The company's list of what it paid by this method, if it has one."""
    found = ways().get(method)
    return cast(Recent, import_string(found[1].recent)) if found and found[1].recent else None


@cache
def products(slug: str) -> Products | None:
    """The provider's list of products, if it has one."""
    path = get(slug).products
    return cast(Products, import_string(path)) if path else None


@cache
def look_up(slug: str) -> LookUp | None:
    """The provider's way of asking its company, if it has one."""
    path = get(slug).look_up
    return cast(LookUp, import_string(path)) if path else None


@cache
def confirm(slug: str) -> Confirm | None:
    """The provider's way of asking its company whether a message is genuine, if it needs one."""
    path = get(slug).confirm
    return cast(Confirm, import_string(path)) if path else None


@cache
def pull(slug: str) -> Pull | None:
    """The provider's way of listing what it sent, if it has one."""
    path = get(slug).pull
    return cast(Pull, import_string(path)) if path else None


@cache
def install(slug: str) -> Installing | None:
    """The provider's way of connecting by allowing an app, if it has one."""
    path = get(slug).install
    return cast(Installing, import_string(path)()) if path else None


@cache
def app(slug: str) -> App | None:
    """The installation's app at the company, if there can be one."""
    path = get(slug).app
    return cast(App, import_string(path)()) if path else None


@cache
def pulling() -> tuple[str, ...]:
    """The slugs of those who can be asked what they sent."""
    return tuple(provider.slug for provider in every() if provider.pull)


@cache
def samples(slug: str) -> Samples | None:
    """The provider's test messages, if it has any."""
    path = get(slug).samples
    return cast(Samples, import_string(path)()) if path else None
