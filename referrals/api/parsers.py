"""Reading JSON strictly: UTF-8, no duplicate keys, no NUL, bounded depth and size, numbers kept exact (RELIABILITY F9, section 6)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import IO, Any, NoReturn

from django.http import HttpRequest
from rest_framework.parsers import BaseParser

from referrals.api.errors import ApiError, malformed

MAX_BYTES = 256 * 1024
MAX_DEPTH = 32
# A string (closed or not), or a bracket. Possessive, so that junk costs one pass.
_TOKENS = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[\[\]{}]', re.DOTALL)
_SAFE_DIGITS = 18


class Number(str):
    """A JSON number exactly as it was written, for all but whole numbers of at most 18 digits: money never meets a float."""

    __slots__ = ()


def read_body(request: HttpRequest) -> dict[str, Any]:
    """The request's JSON object; raises ApiError 400, 413 or 415 (RELIABILITY section 6, rows 1 to 7 and 14)."""
    check_encoding(request)
    if _length(request) > MAX_BYTES:
        raise ApiError(413, "body_too_large", "The request's body is larger than 256 KiB; send less at a time.")
    raw = request.body
    if not raw:
        raise malformed("invalid_body", "Send a JSON object; the body is empty.")
    check_content_type(request)
    return parse_object(raw)


def read_file(request: HttpRequest, media: str, most: int) -> bytes:
    """The body as it is, a file of this media type; one byte more than `most` says that it is larger. Raises ApiError 411 or 415."""
    check_encoding(request)
    if not _length(request):
        return b""
    if request.content_type != media:
        raise ApiError(415, "unsupported_media_type", f"Send the file itself as the body, with Content-Type: {media}.")
    return request.read(most + 1)


def check_encoding(request: HttpRequest) -> None:
    """The body comes as it is (415), and its length with it (411)."""
    if request.headers.get("Content-Encoding", "identity").strip().lower() not in {"", "identity"}:
        raise ApiError(415, "unsupported_encoding", "Send the body as it is, without Content-Encoding.")
    if "Transfer-Encoding" in request.headers and not request.META.get("CONTENT_LENGTH"):
        raise ApiError(411, "length_required", "Send the body's length in Content-Length.")


def check_content_type(request: HttpRequest) -> None:
    """Only application/json, in UTF-8; else 415."""
    charset = request.content_params.get("charset", "utf-8") if request.content_params else "utf-8"
    if request.content_type != "application/json" or charset.strip('"').lower() not in {"utf-8", "utf8"}:
        raise ApiError(415, "unsupported_media_type", "Send JSON in UTF-8 with Content-Type: application/json.")


def parse_object(raw: bytes) -> dict[str, Any]:
    """A JSON object from bytes; raises ApiError with the code of RELIABILITY section 6."""
    if len(raw) > MAX_BYTES:
        raise ApiError(413, "body_too_large", "The request's body is larger than 256 KiB; send less at a time.")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise malformed("invalid_json", "The body is not UTF-8.") from error
    if text.startswith("\ufeff"):
        raise malformed("invalid_json", "The body starts with a byte order mark; leave it out.")
    _check_depth(raw)
    try:
        value = json.loads(
            text, object_pairs_hook=_pairs, parse_int=_whole, parse_float=Number, parse_constant=_constant
        )
    except json.JSONDecodeError as error:
        raise malformed("invalid_json", f"The body is not JSON: {error.msg} at character {error.pos}.") from error
    if not isinstance(value, dict):
        raise malformed("invalid_body", "Send a JSON object, such as {}.")
    if b"\\u" in raw or b"\x00" in raw:
        _check_strings(value)
    return value


def _length(request: HttpRequest) -> int:
    given = str(request.META.get("CONTENT_LENGTH") or "0")
    return int(given) if given.isascii() and given.isdigit() and len(given) < 19 else 0


def _check_depth(raw: bytes) -> None:
    if raw.count(b"[") + raw.count(b"{") <= MAX_DEPTH:
        return
    depth = 0
    for token in _TOKENS.finditer(raw):
        mark = token[0]
        if mark in (b"[", b"{"):
            depth += 1
            if depth > MAX_DEPTH:
                raise malformed("json_too_deep", f"The JSON is nested more than {MAX_DEPTH} levels deep.")
        elif mark in (b"]", b"}"):
            depth -= 1


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise malformed("duplicate_key", f"The key {name[:64]!r} stands twice in one object.", name[:64])
        found[name] = value
    return found


def _whole(text: str) -> int | Number:
    return int(text) if len(text) <= _SAFE_DIGITS else Number(text)


def _constant(name: str) -> NoReturn:
    raise malformed("invalid_json", f"{name} is not JSON.")


def _check_strings(value: Any) -> None:
    """No NUL and no half of a surrogate pair anywhere, keys included."""
    if isinstance(value, str):
        _check_text(value)
    elif isinstance(value, dict):
        for name, item in value.items():
            _check_text(name)
            _check_strings(item)
    elif isinstance(value, list):
        for item in value:
            _check_strings(item)


def _check_text(text: str) -> None:
    if "\x00" in text:
        raise malformed("nul_byte", "A text has a NUL character; remove it.")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise malformed("invalid_json", "A text has half of a surrogate pair.") from error


class StrictJSONParser(BaseParser):
    """The same rules for a plain REST framework view."""

    media_type = "application/json"

    def parse(
        self, stream: IO[Any] | Iterable[bytes], media_type: str | None = None, parser_context: Any = None
    ) -> Any:
        """The JSON object in `stream`."""
        raw = stream.read(MAX_BYTES + 1) if hasattr(stream, "read") else b"".join(stream)
        if not raw:
            raise malformed("invalid_body", "Send a JSON object; the body is empty.")
        return parse_object(raw)
