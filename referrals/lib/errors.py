"""Refused: understood, but not done. Every service raises this one; each front end gives it its own form."""

from __future__ import annotations

from typing import Any


class Refused(Exception):
    """A request that is refused, with nothing changed.

    `code` is stable and documented (API.md), `message` a plain sentence that names the value and says what to do, `field` the
    input at fault if there is one, `status` the HTTP status that fits: 404 unknown, 409 wrong state, 422 refused.
    """

    def __init__(
        self, code: str, message: str, *, field: str = "", status: int = 422, details: dict[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.field = field
        self.status = status
        self.details = details or {}
