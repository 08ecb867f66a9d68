"""What every merchant page needs: navigation, memberships, which side is shown."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest


def merchant(request: HttpRequest) -> dict[str, Any]:
    """Template context for merchant pages; empty elsewhere."""
    return {}
