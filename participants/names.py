"""The names of a payment: each source has its own, and may know what another source calls it, so that both together count once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from django.db.models import Q

# A name that the telling source has for the payment, or (source, name) of another one; as a list where it comes out of JSON.
Reference: TypeAlias = "str | tuple[str, str] | list[str]"
Named = Mapping[str, list[str]]


def by_source(source: str, references: Iterable[Reference]) -> dict[str, list[str]]:
    """The names under the source that uses them, each once and cut to what a column takes."""
    found: dict[str, list[str]] = {}
    for reference in references:
        owner, name = (source, reference) if isinstance(reference, str) else (reference[0], reference[1])
        names = found.setdefault(owner, [])
        if name and name[:255] not in names:
            names.append(name[:255])
    return {owner: names for owner, names in found.items() if names}


def any_of(named: Named) -> Q:
    """The condition that a row's `source` and `reference` are one of these names. `named` is not empty."""
    condition = Q()
    for source, names in named.items():
        condition |= Q(source=source, reference__in=names)
    return condition
