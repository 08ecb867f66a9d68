"""A refund whose payment counted nowhere: did that payment come through the same connection, and was it ignored?"""

from __future__ import annotations

import json
import re

from integrations import registry
from integrations.accounts import account_of
from integrations.base import Ignored, Message, PayloadError, Signal
from integrations.models import InboundEvent
from integrations.outcomes import UNIDENTIFIED, Effect

# The newest so many of those that nobody could be found for are looked at, through the index on them.
_LOOKED_AT = 200
# The end of a payment's name as the company writes it, whatever we put before it ("order:", "cf_").
_END = re.compile(r"[A-Za-z0-9]+$")


def refund_without_payment(row: InboundEvent, signal: Signal) -> Effect:
    """What to say of a refund, a cancellation or a dispute that waits for its payment."""
    paid = _ignored_payment(row, signal)
    return Effect("refund_of_ignored", {"payment_message": paid.public_id}) if paid else Effect("refund_waits")


def _ignored_payment(row: InboundEvent, signal: Signal) -> InboundEvent | None:
    names = set(signal.references)
    ends = [found[0].encode() for name in names if (found := _END.search(name))]
    if not ends:
        return None
    ignored = InboundEvent.objects.for_tenant(row.tenant).filter(
        connection=row.connection_id, outcome__in=UNIDENTIFIED, state="ignored"
    )
    bodies = ignored.order_by("-id").values_list("pk", "type", "body", "received_at")[:_LOOKED_AT]
    source, account = registry.get(row.connection.provider).source, account_of(row.connection)
    for pk, kind, kept, received_at in bodies:
        body = bytes(kept)
        # Reading a message is dear: only one that has such a name in it somewhere.
        if not any(end in body for end in ends):
            continue
        try:
            told = source.parse(Message(json.loads(body), kind, account, received_at))
        except (Ignored, PayloadError):
            continue
        if any(names & {one.external_id, *one.references} for one in told):
            return ignored.get(pk=pk)
    return None
