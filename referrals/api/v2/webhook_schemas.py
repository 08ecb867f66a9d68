"""JSON Schemas of webhook endpoints and deliveries."""

from __future__ import annotations

from typing import Any

from integrations.models import WebhookDelivery, WebhookEndpoint
from referrals.api.schema import array, boolean, instant, record, text, whole
from referrals.events import types
from referrals.lib.http import ERRORS

_ENDPOINT: dict[str, Any] = {
    "id": text("Its id.", "whe_4Zq8Ld0Xw2Rk7Tn5Yc1Vh3"),
    "url": text("Where messages go.", "https://hooks.example.com/passalong"),
    "label": text("Your name for it.", "CRM"),
    "types": array(
        text("A type.", "reward.due", enum=sorted(types.WEBHOOK_TYPES)), "The types it hears of; empty is all."
    ),
    "mode": text("Which side.", "live", enum=["live", "test"]),
    "enabled": boolean("Whether messages go there.", True),
    "disabled_reason": text("Why not.", None, null=True, enum=[name for name, _ in WebhookEndpoint.STOPPED if name]),
    "failing_since": instant("Since when every try has failed.", None, null=True),
    "failures": whole("How many tries that are.", 0),
    "last_success_at": instant("When one arrived, to the minute.", null=True),
    "created_at": instant("When it was added."),
    "removed_at": instant("When it was removed.", None, null=True),
}
WEBHOOK_ENDPOINT = record(_ENDPOINT, about="An address that is told what happens.")
WEBHOOK_ENDPOINT_WITH_SECRET = record(
    {**_ENDPOINT, "secret": text("`whsec_` and base64 of 32 bytes; shown once.", "whsec_MDEyMzQ1Njc4OWFiY2RlZg==")},
    about="A webhook endpoint and its new secret.",
)
_DELIVERY: dict[str, Any] = {
    "id": text("Its id.", "whd_4Zq8Ld0Xw2Rk7Tn5Yc1Vh3"),
    "endpoint": text("The endpoint it goes to.", "whe_4Zq8Ld0Xw2Rk7Tn5Yc1Vh3"),
    "message": text("The header `webhook-id`, the same on every try.", "evt_4Zq8Ld0Xw2Rk7Tn5Yc1Vh3"),
    "type": text("What it tells.", "reward.due", enum=sorted(types.WEBHOOK_TYPES)),
    "object": text("The id of what it is about.", "rw_4Zq8Ld0Xw2Rk7Tn5Yc1Vh3"),
    "sample": boolean("Whether it is a test message.", False),
    "state": text("What became of it.", "delivered", enum=[name for name, _ in WebhookDelivery.STATES]),
    "attempts": whole("How often it was tried in this round, ten times at most.", 1),
    "last_status": whole("The HTTP status of the last try.", 204, null=True),
    "last_error": text("Why the last try had no answer.", None, null=True, enum=list(ERRORS)),
    "next_attempt_at": instant("When it is tried next.", None, null=True),
    "created_at": instant("When it was made."),
    "delivered_at": instant("When it arrived.", null=True),
}
DELIVERY = record(_DELIVERY, about="One message to one endpoint.")
_TRY = record(
    {
        "at": instant("When it began."),
        "status": whole("The HTTP status.", 204, null=True),
        "error": text("Why there was no answer.", None, null=True, enum=list(ERRORS)),
        "ms": whole("How long it took.", 87),
        "answer": text("The first 8 KiB of the answer.", ""),
    }
)
DELIVERY_IN_FULL = record(
    {
        **_DELIVERY,
        "body": text("What is sent, byte for byte; empty once a person in it was erased.", '{"type":"reward.due"}'),
        "tries": array(_TRY, "Each try, oldest first."),
    },
    about="One message with its body and its tries.",
)
REPLAY = record({"messages": whole("How many go out again.", 12)}, about="What a replay began.")
SCHEMAS = {
    "WebhookEndpoint": WEBHOOK_ENDPOINT,
    "WebhookEndpointWithSecret": WEBHOOK_ENDPOINT_WITH_SECRET,
    "Delivery": DELIVERY,
    "DeliveryInFull": DELIVERY_IN_FULL,
    "Replay": REPLAY,
}
