"""The OpenAPI 3.1 documents, made from the tables of operations, so that what is documented is what runs (API.md)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from referrals.api.catalogue import ALWAYS, CODES, WRITES
from referrals.api.fields import Field, Listing
from referrals.api.operations import JSON, Api, Operation
from referrals.api.schema import Schema, example_of, ref
from referrals.api.v1.schemas import SCHEMAS as SCHEMAS_1
from referrals.api.v1.views import API as V1
from referrals.api.v2.resources import API as V2
from referrals.api.v2.schemas import SCHEMAS as SCHEMAS_2
from referrals.lib.problems import PROBLEM, title_of

KEY_HEADER = "Idempotency-Key"
PATH_EXAMPLES = {
    "campaigns": "JCu82f30F1",
    "participants": "pt_4Zq8Ld0Xw2Rk7Tn5Yc1Vh3",
    "applications": "apl_4Zq8Ld0Xw2Rk7Tn5Yc1Vh3",
    "events": "ev_4Zq8Ld0Xw2Rk7Tn5Yc1Vh3",
    "rewards": "rw_4Zq8Ld0Xw2Rk7Tn5Yc1Vh3",
    "payouts": "po_4Zq8Ld0Xw2Rk7Tn5Yc1Vh3",
    "payout-batches": "pb_4Zq8Ld0Xw2Rk7Tn5Yc1Vh3",
    "payout-files": "pf_4Zq8Ld0Xw2Rk7Tn5Yc1Vh3",
    "payout-returns": "pr_4Zq8Ld0Xw2Rk7Tn5Yc1Vh3",
    "payout-routes": "rt_4Zq8Ld0Xw2Rk7Tn5Yc1Vh3",
    "connections": "con_4Zq8Ld0Xw2Rk7Tn5Yc1Vh3",
    "inbound-events": "in_4Zq8Ld0Xw2Rk7Tn5Yc1Vh3",
    "webhook-endpoints": "whe_4Zq8Ld0Xw2Rk7Tn5Yc1Vh3",
    "deliveries": "whd_4Zq8Ld0Xw2Rk7Tn5Yc1Vh3",
    "what-ifs": "wi_4Zq8Ld0Xw2Rk7Tn5Yc1Vh3",
    "exports": "xp_4Zq8Ld0Xw2Rk7Tn5Yc1Vh3",
}
TAGS = {
    "Campaigns": "What is on offer.",
    "Participants": "Who takes part, and through whom.",
    "Applications": "People who want to take part in a programme of the affiliate hub.",
    "Customers": "The list of existing customers, who can't be referred.",
    "Exports": "Lists as CSV files, made in the background.",
    "Events": "What they did, what was taken back, and how it was decided.",
    "Rewards": "What is owed.",
    "Payouts": "What was issued.",
    "Connections": "Where payments are heard of.",
    "Webhooks": "Where your own systems hear of what happens, and what they were told.",
    "Test mode": "A clock that can be moved, a referral that is played, and a clean table. For test keys only.",
}
_ABOUT = {
    "v1": "The documented contract: seven operations. The key goes in the header x-api-key. Amounts are plain numbers in major units."
    " What is marked (ours) is not part of the documented contract.",
    "v2": "Resources. The key goes in the header Authorization: Bearer. Money is minor units and a currency. Lists page by cursor."
    " An Idempotency-Key is accepted on every write, required where money moves, and kept for seven days.",
}


def request_example(fields: Mapping[str, Field]) -> dict[str, Any]:
    """The sample body: every field that has a sample."""
    found = {}
    for name, one in fields.items():
        value = one.example
        if value is None and isinstance(one, Listing) and one.least:
            value = [one.of.example]
        if value is not None:
            found[name] = value
    return found


@lru_cache(maxsize=4)
def document(version: str) -> dict[str, Any]:
    """The OpenAPI document of "v1" or "v2". Don't change it."""
    api, schemas = (V1, SCHEMAS_1) if version == "v1" else (V2, SCHEMAS_2)
    scheme: dict[str, Any] = (
        {"type": "apiKey", "in": "header", "name": "x-api-key", "description": "A secret or publishable key."}
        if version == "v1"
        else {"type": "http", "scheme": "bearer", "description": "A secret key."}
    )
    return {
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://spec.openapis.org/oas/3.1/dialect/base",
        "info": {
            "title": f"Passalong API {version}",
            "version": "1.0.0" if version == "v1" else "2.0.0",
            "description": _ABOUT[version],
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": settings.SITE_URL}],
        "security": [{"key": []}],
        "tags": [
            {"name": name, "description": about}
            for name, about in TAGS.items()
            if any(one.tag == name for one in api.operations)
        ],
        "paths": _paths(api, schemas),
        "components": {
            "schemas": schemas,
            "securitySchemes": {"key": scheme},
            "headers": _headers(),
        },
    }


def in_order(api: Api) -> list[Operation]:
    """The operations by tag, in the order of TAGS."""
    names = list(TAGS)
    return sorted(api.operations, key=lambda one: names.index(one.tag))


def _paths(api: Api, schemas: Mapping[str, Schema]) -> dict[str, Any]:
    paths: dict[str, Any] = {}
    for operation in in_order(api):
        item = paths.setdefault(f"/api/{api.version}/{operation.path}", {})
        item[operation.method.lower()] = _operation(api.version, operation, schemas)
    return paths


def _operation(version: str, operation: Operation, schemas: Mapping[str, Schema]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "operationId": operation.name,
        "tags": [operation.tag],
        "summary": operation.title,
        "description": f"{operation.about} Scope: `{operation.scope.value}`.{' Test keys only.' if operation.test_only else ''}",
        "parameters": _parameters(operation),
    }
    if operation.takes:
        about = {"type": "string", "description": "The file as it is."}
        content = {operation.takes: {"schema": about, "examples": {"sample": {"value": operation.file_example}}}}
        found["requestBody"] = {"required": True, "content": content}
    elif operation.body:
        found["requestBody"] = {
            "required": operation.body_required,
            "content": {
                "application/json": {
                    "schema": _body_schema(operation),
                    "examples": {"sample": {"value": request_example(operation.body)}},
                }
            },
        }
    found["responses"] = {
        **{str(status): _success(operation, about, schemas) for status, about in operation.statuses.items()},
        **_errors(version, operation),
    }
    return found


def _body_schema(operation: Operation) -> Schema:
    found: Schema = {
        "type": "object",
        "additionalProperties": False,
        "properties": {name: one.schema(nullable=True) for name, one in operation.body.items()},
    }
    if needed := [name for name, one in operation.body.items() if one.required]:
        found["required"] = needed
    return found


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if "{id}" in operation.path:
        sample = PATH_EXAMPLES[operation.path.split("/", 1)[0]]
        found.append(
            {
                "name": "id",
                "in": "path",
                "required": True,
                "description": "The object's id.",
                "schema": {"type": "string", "minLength": 1, "maxLength": 64},
                "example": sample,
            }
        )
    for name, one in operation.query.items():
        parameter: dict[str, Any] = {
            "name": name,
            "in": "query",
            "required": one.required,
            "description": one.about,
            "schema": one.describe(),
        }
        if isinstance(one, Listing):
            parameter |= {"style": "form", "explode": False}
        if one.example is not None:
            parameter["example"] = one.example
        found.append(parameter)
    if operation.writes:
        about = "Names this request: repeated with the same key it is carried out once. Kept for seven days."
        found.append(
            {
                "name": KEY_HEADER,
                "in": "header",
                "required": operation.key_required,
                "description": about,
                "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^[!-+\--~]+$"},
                "example": "c2f1b6a0-1f9e-4d5c-9b57-1f0f4a2f0c11",
            }
        )
    return found


def _headers() -> dict[str, Any]:
    def header(about: str, kind: str) -> dict[str, Any]:
        return {"description": about, "schema": {"type": kind}}

    return {
        "RateLimit-Limit": header("Requests allowed in a minute.", "integer"),
        "RateLimit-Remaining": header("Requests left in this minute.", "integer"),
        "RateLimit-Reset": header("Seconds until the count starts anew.", "integer"),
        "X-Request-Id": header("The request's id; tell us this when you ask about it.", "string"),
        "Idempotency-Replayed": header("`true` when the answer is an earlier request's.", "string"),
    }


def _success(operation: Operation, about: str, schemas: Mapping[str, Schema]) -> dict[str, Any]:
    common = ["RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset", "X-Request-Id"]
    headers: dict[str, Any] = {name: {"$ref": f"#/components/headers/{name}"} for name in common}
    if operation.writes:
        headers["Idempotency-Replayed"] = {"$ref": "#/components/headers/Idempotency-Replayed"}
    headers |= {name: {"description": text, "schema": {"type": "string"}} for name, text in operation.headers.items()}
    return {
        "description": about,
        "headers": headers,
        "content": {
            operation.media: {
                "schema": dict(operation.answer),
                "examples": {"sample": {"value": example_of(dict(operation.answer), schemas)}},
            }
        },
    }


def codes_of(operation: Operation) -> dict[int, list[str]]:
    """The codes that an operation is documented to answer, by status."""
    only = ("test_key_required",) if operation.test_only else ()
    codes = [*operation.errors, *only, *ALWAYS, *(WRITES if operation.writes else ())]
    found: dict[int, list[str]] = {}
    for code in dict.fromkeys(codes):
        found.setdefault(CODES[code][0], []).append(code)
    return dict(sorted(found.items()))


def _errors(version: str, operation: Operation) -> dict[str, Any]:
    found = {
        str(status): _error(version, f"{', '.join(f'`{code}`' for code in codes)}.", codes[0])
        for status, codes in codes_of(operation).items()
    }
    if 422 not in codes_of(operation):
        found["422"] = _error(version, "A value can't be accepted.", "invalid_value")
    found["default"] = _error(version, "Any other error has the same form.", "internal")
    return found


def _error(version: str, about: str, code: str) -> dict[str, Any]:
    media, name = ("application/json", "Error") if version == "v1" else (PROBLEM, "Problem")
    return {
        "description": about,
        "content": {media: {"schema": ref(name), "examples": {code: {"value": error_example(version, code)}}}},
    }


def error_example(version: str, code: str) -> dict[str, Any]:
    """A sample error."""
    status, meaning = CODES[code]
    if version == "v1":
        return {"status": status, "error": code, "message": meaning, "path": "/api/v1/getCampaign", "details": {}}
    return {
        "type": f"{settings.SITE_URL}/docs/errors/#{code}",
        "title": title_of(code),
        "status": status,
        "detail": meaning,
        "code": code,
        "field": None,
        "request_id": "1QmXfS0pKq2Vw9aB",
    }


def curl(version: str, operation: Operation) -> str:
    """The operation's sample request as a curl command."""
    path = operation.path.replace("{id}", PATH_EXAMPLES.get(operation.path.split("/", 1)[0], ""))
    query = "&".join(f"{name}={one.example}" for name, one in operation.query.items() if one.required)
    address = f"{settings.SITE_URL}/api/{version}/{path}{'?' + query if query else ''}"
    lines = [f"curl {'' if operation.method == 'GET' else f'-X {operation.method} '}'{address}'"]
    lines.append("-H 'x-api-key: YOUR_KEY'" if version == "v1" else "-H 'Authorization: Bearer YOUR_KEY'")
    if operation.key_required:
        lines.append(f"-H '{KEY_HEADER}: c2f1b6a0-1f9e-4d5c-9b57-1f0f4a2f0c11'")
    if operation.takes:
        lines += [f"-H 'Content-Type: {operation.takes}'", "--data-binary @results.csv"]
    elif body := request_example(operation.body):
        short = json.dumps(body)
        lines += [
            "-H 'Content-Type: application/json'",
            f"-d '{short if len(short) < 70 else json.dumps(body, indent=2)}'",
        ]
    lines += ["-OJ"] if operation.media != JSON else []
    return " \\\n  ".join(lines)


def resolve(schema: Mapping[str, Any], schemas: Mapping[str, Schema]) -> Sequence[tuple[str, Schema]]:
    """The properties of an object's schema, a reference followed."""
    if "$ref" in schema:
        return resolve(schemas[str(schema["$ref"]).rsplit("/", 1)[-1]], schemas)
    if "anyOf" in schema:
        return resolve(schema["anyOf"][0], schemas)
    if schema.get("type") == "array":
        return resolve(schema["items"], schemas)
    return list(schema.get("properties", {}).items())


@require_safe
def serve(request: HttpRequest, version: str) -> HttpResponse:
    """`/api/openapi-v1.json` and `/api/openapi-v2.json`; open to every page and tool."""
    text = json.dumps(document(version), ensure_ascii=False, indent=1)
    response = HttpResponse(text, content_type="application/json")
    response["Access-Control-Allow-Origin"] = "*"
    return response
