"""Messages whose signatures only their company can check: what proves them is kept until it was asked (PROVIDERS.md, section 1)."""

from __future__ import annotations

from collections.abc import Iterable

from django.utils.datastructures import CaseInsensitiveMapping

from integrations import registry
from integrations.base import Account, Delivery, Ignored, Provider
from integrations.messages import kept_headers
from integrations.models import InboundEvent
from referrals.lib.signing import SignatureError

# What is kept of a header that a company needs to know its own message again: an RSA signature has 684 characters at most.
_LONGEST = 1000


def headers_to_keep(provider: Provider, delivery: Delivery, secrets: Iterable[str]) -> dict[str, str]:
    """What is stored of a message's headers: the ones that `Provider.confirm` needs as they came, of the rest what kept_headers() keeps."""
    kept = kept_headers(delivery.headers, provider.source.signature_header, secrets)
    proofs = {name: delivery.headers.get(name, "").replace("\x00", "")[:_LONGEST] for name in provider.confirm_headers}
    names = {name.lower() for name in proofs}
    return {name: value for name, value in kept.items() if name.lower() not in names} | proofs


def confirm(row: InboundEvent, provider: Provider, account: Account) -> None:
    """Ask the company whether it sent this, where only it can tell; what proves it is masked once it has answered.

    Raises Ignored when it says no, ProviderError when it can't be asked now: nothing is believed until it has said yes.
    """
    ask = registry.confirm(provider.slug)
    if ask is None or row.confirmed is not False:
        return
    try:
        ask(Delivery(bytes(row.body), CaseInsensitiveMapping(row.headers)), account)
    except SignatureError as error:
        _answered(row, provider, genuine=False)
        raise Ignored("not_genuine", company=str(provider.label)) from error
    _answered(row, provider, genuine=True)


def _answered(row: InboundEvent, provider: Provider, *, genuine: bool) -> None:
    row.confirmed = genuine
    row.headers = kept_headers(row.headers, provider.source.signature_header)
    InboundEvent.objects.filter(pk=row.pk).update(confirmed=genuine, headers=row.headers)
