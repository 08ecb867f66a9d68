"""The reference pages below /docs/: rendered on the server from the OpenAPI documents, readable without a script."""

from __future__ import annotations

import json
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.views.decorators.http import require_safe

from referrals.api.catalogue import CODES
from referrals.api.fields import Field
from referrals.api.openapi import TAGS, codes_of, curl, document, in_order, resolve
from referrals.api.operations import Operation
from referrals.api.schema import Schema, example_of
from referrals.api.v1.views import API as V1
from referrals.api.v2.resources import API as V2
from referrals.lib.problems import title_of


@require_safe
def overview(request: HttpRequest) -> HttpResponse:
    """Keys, money, repetition, paging and errors: what both versions share."""
    return render(request, "docs/overview.html", {"here": "overview"})


@require_safe
def version(request: HttpRequest, name: str) -> HttpResponse:
    """All operations of one version."""
    if name not in {"v1", "v2"}:
        raise Http404
    api = V1 if name == "v1" else V2
    schemas = document(name)["components"]["schemas"]
    operations = [_shown(name, one, schemas) for one in in_order(api)]
    groups = [
        {"name": tag, "about": about, "operations": [one for one in operations if one["tag"] == tag]}
        for tag, about in TAGS.items()
    ]
    context = {
        "here": name,
        "about": document(name)["info"]["description"],
        "groups": [group for group in groups if group["operations"]],
        "objects": [_object(kind, schema, schemas) for kind, schema in schemas.items() if schema.get("properties")],
    }
    return render(request, "docs/version.html", context)


@require_safe
def errors(request: HttpRequest) -> HttpResponse:
    """Every error code."""
    by_status: dict[int, list[dict[str, str]]] = {}
    for code, (status, meaning) in CODES.items():
        by_status.setdefault(status, []).append({"code": code, "title": title_of(code), "meaning": _marked(meaning)})
    return render(request, "docs/errors.html", {"here": "errors", "statuses": sorted(by_status.items())})


def _shown(name: str, operation: Operation, schemas: dict[str, Schema]) -> dict[str, Any]:
    sample = example_of(dict(operation.answer), schemas)
    return {
        "anchor": operation.name,
        "tag": operation.tag,
        "method": operation.method,
        "path": f"/api/{name}/{operation.path}",
        "title": operation.title,
        "about": _marked(operation.about),
        "scope": operation.scope.value,
        "publishable": operation.publishable,
        "key_required": operation.key_required,
        "parameters": [_field(field, one) for field, one in operation.query.items()],
        "body": [_field(field, one) for field, one in operation.body.items()],
        "curl": curl(name, operation),
        "answers": [(status, _marked(about)) for status, about in operation.statuses.items()],
        "answer_kind": _kind(dict(operation.answer)),
        "sample": sample if isinstance(sample, str) else json.dumps(sample, indent=2, ensure_ascii=False),
        "errors": codes_of(operation),
    }


def _field(name: str, one: Field) -> dict[str, Any]:
    return {
        "name": name,
        "kind": _kind(one.describe()),
        "required": one.required,
        "about": _marked(one.about),
        "options": one.describe().get("enum", []) if len(one.describe().get("enum", [])) <= 12 else [],
        "example": "" if one.example is None else json.dumps(one.example, ensure_ascii=False),
    }


def _object(name: str, schema: Schema, schemas: dict[str, Schema]) -> dict[str, Any]:
    return {
        "name": name,
        "about": _marked(schema.get("description", "")),
        "fields": [
            {
                "name": field,
                "kind": _kind(one),
                "about": _marked(one.get("description", "")),
                "options": one.get("enum", []) if len(one.get("enum", [])) <= 12 else [],
            }
            for field, one in resolve(schema, schemas)
        ],
    }


def _marked(text: str) -> SafeString:
    """Text with what stands between backticks as code."""
    parts = enumerate(text.split("`"))
    return format_html_join(
        "", "{}", ((format_html("<code>{}</code>", part) if at % 2 else part,) for at, part in parts)
    )


def _kind(schema: Schema) -> str:
    """A schema's type in a word or two."""
    if "$ref" in schema:
        return str(schema["$ref"]).rsplit("/", 1)[-1]
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_kind(one) for one in schema["anyOf"]))
    kind = schema.get("type", "object")
    kinds = kind if isinstance(kind, list) else [kind]
    if "array" in kinds:
        return f"list of {_kind(schema['items'])}"
    words = [str(schema.get("format") or one) for one in kinds if one != "null"]
    return " or ".join([*words, *(["null"] if "null" in kinds else [])])
