"""Examples for the form of one's own system: what common senders send, as far as their documents say, and where everything stands in it.

The samples are ours, in the shapes that the named documents describe.
"""

from __future__ import annotations

import json
from typing import Any

from django.utils.translation import gettext_lazy as _

from integrations.base import Preset


def _sample(payload: dict[str, Any]) -> str:
    return json.dumps(payload, indent=2, ensure_ascii=False)


_ORDER = {
    "event": "order.paid",
    "id": "order_1001",
    "customer": {"id": 42, "email": "maya@example.net", "name": "Maya Iyer"},
    "amount": "49.00",
    "currency": "USD",
    "referral_code": "ASHA10",
    "created_at": "2026-11-20T10:00:00Z",
}
_ORDER_SETTINGS = {
    "fact_path": "event",
    "facts": (
        "order.paid = purchase\nuser.created = signup\norder.refunded = refund_part\norder.disputed = dispute\nplan.ended = stopped"
    ),
    "email": "customer.email",
    "customer_id": "customer.id",
    "name": "customer.name",
    "code": "referral_code",
    "amount": "amount",
    "currency": "currency",
    "occurred_at": "created_at",
    "id": "id",
    "order": "order_id",
    "subscription": "plan",
}
OWN = {"scheme": "standard", **_ORDER_SETTINGS}

PRESETS = (
    Preset(
        "own",
        _("A shop of your own"),
        _("A shape to copy if your system is still to be written, with Standard Webhooks."),
        OWN,
        _sample(_ORDER),
        "https://www.standardwebhooks.com/",
    ),
    Preset(
        "zapier",
        _("Zapier or Make"),
        _(
            "Zapier: “Webhooks by Zapier”, POST, payload type JSON, a header Authorization with Bearer and the secret."
            " Make: the HTTP module, the same. You name the fields yourself; these are a proposal."
        ),
        {"scheme": "token", "header": "Authorization", "prefix": "Bearer", **_ORDER_SETTINGS},
        _sample(_ORDER),
        "https://help.zapier.com/hc/en-us/articles/8496326446989-Send-webhooks-in-Zaps",
    ),
    Preset(
        "typeform",
        _("Typeform"),
        _(
            "Signature and shape as Typeform documents them. Put the code into a hidden field called ref, and ask for the e-mail address."
        ),
        {
            "scheme": "hmac",
            "header": "Typeform-Signature",
            "prefix": "sha256=",
            "encoding": "base64",
            "fact_else": "signup",
            "email": "form_response.answers[type=email].email",
            "code": "form_response.hidden.ref",
            "occurred_at": "form_response.submitted_at",
            "id": "form_response.token",
        },
        _sample(
            {
                "event_id": "01HALDENFORM",
                "event_type": "form_response",
                "form_response": {
                    "form_id": "hAlDeN",
                    "token": "a3a12ec67a1365927098a606107fac15",
                    "submitted_at": "2026-11-20T10:00:00Z",
                    "hidden": {"ref": "ASHA10"},
                    "answers": [
                        {"type": "text", "text": "Maya", "field": {"id": "name1", "type": "short_text", "ref": "name"}},
                        {
                            "type": "email",
                            "email": "maya@example.net",
                            "field": {"id": "mail1", "type": "email", "ref": "mail"},
                        },
                    ],
                },
            }
        ),
        "https://www.typeform.com/developers/webhooks/example-payload/",
    ),
    Preset(
        "tally",
        _("Tally"),
        _("Signature and shape as Tally documents them. Put the code into a hidden field called ref."),
        {
            "scheme": "hmac",
            "header": "Tally-Signature",
            "encoding": "base64",
            "fact_path": "eventType",
            "facts": "FORM_RESPONSE = signup",
            "email": "data.fields[type=INPUT_EMAIL].value",
            "code": "data.fields[label=ref].value",
            "occurred_at": "createdAt",
            "id": "data.responseId",
        },
        _sample(
            {
                "eventId": "a4cb511e-d513-4fa5-baee-b815d718dfd1",
                "eventType": "FORM_RESPONSE",
                "createdAt": "2026-11-20T10:00:00.000Z",
                "data": {
                    "responseId": "2wgx4n",
                    "formId": "VwbNEw",
                    "fields": [
                        {"key": "question_1", "label": "ref", "type": "HIDDEN_FIELDS", "value": "ASHA10"},
                        {"key": "question_2", "label": "E-mail", "type": "INPUT_EMAIL", "value": "maya@example.net"},
                    ],
                },
            }
        ),
        "https://tally.so/help/webhooks",
    ),
    Preset(
        "pipedrive",
        _("Pipedrive: a deal was won"),
        _(
            "Shape of Pipedrive’s webhooks v2 (meta, data). It signs nothing, but logs in: paste base64 of user:password as the secret."
            " A deal names a person by id and no address; let a message with the person’s address come through a tool such as Zapier."
            " Not confirmed by us against a live account."
        ),
        {
            "scheme": "token",
            "header": "Authorization",
            "prefix": "Basic",
            "fact_path": "data.status",
            "facts": "won = purchase",
            "customer_id": "data.person_id",
            "amount": "data.value",
            "currency": "data.currency",
            "occurred_at": "meta.timestamp",
            "id": "data.id",
        },
        _sample(
            {
                "meta": {"action": "change", "entity": "deal", "version": "2.0", "timestamp": "2026-11-20T10:00:00Z"},
                "data": {"id": 77, "status": "won", "value": 490, "currency": "USD", "person_id": 42},
                "previous": {"status": "open"},
            }
        ),
        "https://pipedrive.readme.io/docs/guide-for-webhooks-v2",
    ),
    Preset(
        "hubspot",
        _("HubSpot: a workflow"),
        _(
            "The workflow action “Send a webhook” sends a contact as its API shows it. Choose authentication by an API key in a header, and"
            " paste that key as the secret. Not confirmed by us: compare with the last real message."
        ),
        {
            "scheme": "token",
            "header": "X-Api-Key",
            "fact_else": "signup",
            "email": "properties.email.value",
            "name": "properties.firstname.value + properties.lastname.value",
            "customer_id": "vid",
            "code": "properties.referral_code.value",
            "id": "vid",
        },
        _sample(
            {
                "vid": 4201,
                "properties": {
                    "email": {"value": "maya@example.net"},
                    "firstname": {"value": "Maya"},
                    "lastname": {"value": "Iyer"},
                    "referral_code": {"value": "ASHA10"},
                },
            }
        ),
        "https://developers.hubspot.com/docs/methods/workflows/webhook_information",
    ),
    Preset(
        "gravityforms",
        _("Gravity Forms"),
        _(
            "With its Webhooks add-on: POST, JSON, a header Authorization with Bearer and the secret, and “selected fields” with the"
            " keys below. All fields are named by their numbers instead, such as [3]. Not confirmed by us: compare with the last real"
            " message."
        ),
        {
            "scheme": "token",
            "header": "Authorization",
            "prefix": "Bearer",
            "fact_else": "signup",
            "email": "email",
            "name": "first_name + last_name",
            "code": "referral_code",
            "id": "entry_id",
        },
        _sample(
            {
                "entry_id": "88",
                "email": "maya@example.net",
                "first_name": "Maya",
                "last_name": "Iyer",
                "referral_code": "ASHA10",
            }
        ),
        "https://docs.gravityforms.com/webhooks-add-on/",
    ),
    Preset(
        "jotform",
        _("Jotform, through Zapier or Make"),
        _(
            "Jotform’s own webhooks send multipart forms, which are not read here. Send its answers as JSON through Zapier or Make"
            " instead; you name the fields yourself."
        ),
        {
            "scheme": "token",
            "header": "Authorization",
            "prefix": "Bearer",
            "fact_else": "signup",
            "email": "email",
            "name": "name",
            "code": "referral_code",
            "id": "submission_id",
        },
        _sample(
            {
                "submission_id": "5981",
                "email": "maya@example.net",
                "name": "Maya Iyer",
                "referral_code": "ASHA10",
            }
        ),
        "https://www.jotform.com/help/245-how-to-setup-a-webhook-with-jotform/",
    ),
)
