"""What a connection knows beside its secrets, checked; the secrets that we make; and the addresses that its company sends to."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from django.utils.translation import gettext as _

from integrations import registry
from integrations.base import Provider, SecretField, SettingError, SettingField
from integrations.models import Connection
from referrals.lib.codes import random_text
from referrals.lib.errors import Refused
from referrals.lib.money import MoneyError, check_currency

# Of a table that is written line by line.
MAX_LINES = 4000


def settings_of(connection: Connection) -> dict[str, str]:
    """Every setting of the connection's provider by name: as it was saved, else as it is by itself."""
    kind = registry.get(connection.provider)
    return {field.name: str(connection.settings.get(field.name, field.default)) for field in kind.settings}


def check_settings(kind: Provider, given: Mapping[str, Any], kept: Mapping[str, Any] | None = None) -> dict[str, str]:
    """The settings, trimmed and checked, on top of those `kept`.

    Raises Refused (422, with the field): setting_unknown, setting_missing, setting_malformed.
    """
    fields = {field.name: field for field in kind.settings}
    for name in given:
        if name not in fields:
            message = _("%(provider)s has no setting called %(name)r.") % {"provider": kind.label, "name": name[:40]}
            raise Refused("setting_unknown", message, field=name[:40])
    values = {
        name: _value(field, given.get(name, (kept or {}).get(name, field.default))) for name, field in fields.items()
    }
    if kind.check is not None:
        try:
            kind.check(values)
        except SettingError as error:
            raise Refused("setting_malformed", str(error), field=error.field) from error
    return values


def _value(field: SettingField, given: Any) -> str:
    if not isinstance(given, str):
        raise Refused("setting_malformed", _("%(label)s is no text.") % {"label": field.label}, field=field.name)
    value = given.replace("\x00", "").replace("\r\n", "\n").strip()
    if len(value) > (MAX_LINES if field.lines else field.limit):
        message = _("%(label)s has at most %(limit)d characters.")
        raise Refused(
            "setting_malformed",
            message % {"label": field.label, "limit": MAX_LINES if field.lines else field.limit},
            field=field.name,
        )
    if field.required and not value:
        raise Refused("setting_missing", _("%(label)s is missing.") % {"label": field.label}, field=field.name)
    if field.choices and value not in {name for name, _label in field.choices}:
        words = {
            "label": field.label,
            "value": value[:40],
            "choices": ", ".join(name for name, _label in field.choices),
        }
        message = _("%(label)s is %(value)r; it has to be one of %(choices)s.")
        raise Refused("setting_malformed", message % words, field=field.name)
    if field.is_currency and value:
        value = value.upper()
        try:
            check_currency(value)
        except MoneyError as error:
            message = _("%(value)r is no currency that we know; write its code, such as USD.")
            raise Refused("setting_malformed", message % {"value": value[:20]}, field=field.name) from error
    return value


def settings_fit(connection: Connection) -> bool:
    """Whether the settings that the connection has are all that its provider needs."""
    try:
        check_settings(registry.get(connection.provider), settings_of(connection))
    except Refused:
        return False
    return True


def make(field: SecretField) -> str:
    """A new secret of the field's kind: 24 random bytes as Standard Webhooks writes them, or 32 letters and digits."""
    if field.made == "standard":
        return "whsec_" + base64.b64encode(os.urandom(24)).decode()
    return random_text(32)


def make_up(field: SecretField) -> str:
    """A secret that no company gave, in its form."""
    return field.make_up(random_text(32, field.made_up_of))


def made_at_once(kind: Provider) -> dict[str, str]:
    """The secrets that a connection has from its beginning."""
    return {field.name: make(field) for field in kind.secrets if field.name == kind.address_key}


def addresses(connection: Connection, secrets: Mapping[str, str]) -> list[tuple[str, str]]:
    """What to paste at the company, as (type of message or "", address): with the key, and one for each type, where that is asked for."""
    kind = registry.get(connection.provider)
    key = {"key": secrets[kind.address_key]} if secrets.get(kind.address_key) else {}
    kinds = [name for name, _why in kind.events] if kind.address_by_event else [""]
    found = []
    for name in kinds:
        query = urlencode(({"event": name} if name else {}) | key)
        found.append((name, connection.webhook_url + (f"?{query}" if query else "")))
    return found
