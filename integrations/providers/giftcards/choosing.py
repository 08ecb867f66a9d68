"""Whether a reward can be a certain gift card, said before anything is ordered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from integrations import catalogue
from integrations.models import Connection
from integrations.providers.giftcards.issuer import LINKS, MAIL, POST
from referrals.lib.money import Money


def choices(connection: Connection, name: str) -> tuple[tuple[str, str], ...]:
    """The cards that are sent by e-mail or as a link."""
    return catalogue.choices(connection, MAIL, LINKS) if name == "product" else ()


def post_choices(connection: Connection, name: str) -> tuple[tuple[str, str], ...]:
    """The cards that are sent by post."""
    return catalogue.choices(connection, POST) if name == "product" else ()


def obstacle(connection: Connection, amount: Money, options: Mapping[str, Any]) -> str:
    """Why this amount can't be the chosen card by e-mail or link; "" when it can, or when nothing is chosen yet."""
    return catalogue.obstacle(
        connection, amount, str(options.get("product") or ""), str(options.get("delivery") or MAIL)
    )


def post_obstacle(connection: Connection, amount: Money, options: Mapping[str, Any]) -> str:
    """The same by post."""
    return catalogue.obstacle(connection, amount, str(options.get("product") or ""), POST)
