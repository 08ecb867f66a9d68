"""Who paid or signed up at a connected company, for invitations that go out by themselves; whether or not anybody knows them here."""

from __future__ import annotations

from collections.abc import Iterable

from integrations.base import Signal
from integrations.models import InboundEvent
from participants.captures import capture

CONSENT = "marketing_consent"
YES = frozenset({"yes", "true", "1"})


def note(row: InboundEvent, signals: Iterable[Signal]) -> None:
    """Keep the addresses that a message brings. Apart from what it does else, which may be nothing; each payment once."""
    for signal in signals:
        if signal.fact in {"purchase", "signup"} and signal.email:
            capture(
                tenant=row.connection.tenant,
                email=signal.email,
                source=row.connection.provider,
                references=(signal.external_id, *signal.references),
                occurred_at=signal.occurred_at,
                name=signal.name,
                money=signal.money,
                consent=signal.metadata.get(CONSENT, "").lower() in YES,
            )
