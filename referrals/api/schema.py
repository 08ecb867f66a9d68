"""Short words for JSON Schemas of answers: every property with what it means and a sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Schema = dict[str, Any]


def _plain(kind: str, about: str, example: Any, *, null: bool = False, **more: Any) -> Schema:
    found: Schema = {"type": [kind, "null"] if null else kind, "description": about, "examples": [example], **more}
    if null and "enum" in found:
        found["enum"] = [*found["enum"], None]
    return found


def text(about: str, example: str | None, *, null: bool = False, enum: Sequence[str] | None = None) -> Schema:
    """A string, one of `enum` if given."""
    return _plain("string", about, example, null=null, **({"enum": list(enum)} if enum else {}))


def instant(about: str, example: str | None = "2026-11-20T10:00:00.000+00:00", *, null: bool = False) -> Schema:
    """A date and time with milliseconds and offset."""
    return _plain("string", about, example, null=null, format="date-time")


def whole(about: str, example: int | None, *, null: bool = False) -> Schema:
    """An integer."""
    return _plain("integer", about, example, null=null)


def number(about: str, example: float) -> Schema:
    """A JSON number: v1's amounts in major units."""
    return _plain("number", about, example)


def boolean(about: str, example: bool) -> Schema:
    """True or false."""
    return _plain("boolean", about, example)


def array(items: Schema, about: str) -> Schema:
    """A list."""
    return {"type": "array", "items": items, "description": about}


def ref(name: str) -> Schema:
    """A schema of the same document."""
    return {"$ref": f"#/components/schemas/{name}"}


def optional(name: str, about: str = "") -> Schema:
    """A schema of the same document, or null."""
    found: Schema = {"anyOf": [ref(name), {"type": "null"}]}
    if about:
        found["description"] = about
    return found


def record(properties: Mapping[str, Schema], *, optional: Sequence[str] = (), about: str = "") -> Schema:
    """An object with these properties, in this order; further ones may be added in later releases."""
    found: Schema = {
        "type": "object",
        "required": [name for name in properties if name not in optional],
        "properties": dict(properties),
    }
    if about:
        found["description"] = about
    return found


def example_of(schema: Schema, schemas: Mapping[str, Schema]) -> Any:
    """A sample of the schema, made of its properties' samples; `schemas` are the document's."""
    if "$ref" in schema:
        return example_of(schemas[schema["$ref"].rsplit("/", 1)[-1]], schemas)
    if "examples" in schema:
        return schema["examples"][0]
    for choice in ("anyOf", "oneOf"):
        if choice in schema:
            return example_of(schema[choice][0], schemas)
    if schema.get("type") == "array":
        return [example_of(schema["items"], schemas)]
    return {name: example_of(one, schemas) for name, one in schema.get("properties", {}).items()}
