"""Connecting by allowing an app at the company: where to go, and what came back becomes the connection's secrets.

The way there and back belongs to one browser session: the session keeps a state that is made anew each time and works once.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django.utils.translation import gettext as _

from integrations import inbox, registry
from integrations.accounts import account_of
from integrations.base import Account, Delivery, Installing, ProviderError
from integrations.models import Connection
from integrations.services import update_secrets
from referrals.events.services import Actor
from referrals.lib import clock
from referrals.lib.codes import random_text
from referrals.lib.errors import Refused
from referrals.lib.signing import SignatureError

# How long somebody may take at the company.
VALID = timedelta(minutes=30)


def is_possible(connection: Connection) -> bool:
    """Whether this connection can be made by allowing an app."""
    found = registry.install(connection.provider)
    return found is not None and connection.removed_at is None and found.is_possible(account_of(connection))


def begin(*, connection: Connection, whose: str, back: str) -> tuple[str, dict[str, str]]:
    """The company's address, and what the session keeps until the browser is back.

    `whose` is the account there, such as a shop's address. Raises Refused: invalid_state (409), secret_malformed.
    """
    at = _installing(connection)
    provider = registry.get(connection.provider)
    field = next(field for field in provider.secrets if field.name == provider.install_field)
    whose = whose.strip().lower().removeprefix("https://").rstrip("/")
    if not field.matches(whose):
        raise Refused("secret_malformed", str(field.wrong), field=field.name)
    kept = {
        "state": random_text(32),
        "connection": connection.public_id,
        "whose": whose,
        "at": clock.wall().isoformat(),
    }
    try:
        address = at.address(_account(connection, whose), back=back, state=kept["state"])
    except ProviderError as error:
        raise Refused("secret_malformed", str(field.wrong), field=field.name) from error
    return address, kept


def finish(*, connection: Connection, actor: Actor, kept: Mapping[str, Any], query: Mapping[str, str]) -> Connection:
    """Take what came back. Raises Refused: install_refused (422) for what is not genuine or too late, install_failed (502)."""
    at = _installing(connection)
    state = str(kept.get("state") or "")
    if not state or not hmac.compare_digest(state.encode(), query.get("state", "").encode("utf-8", "replace")):
        raise _refused(_("This is not the way back of an installation that you began here."))
    if datetime.fromisoformat(str(kept["at"])) < clock.wall() - VALID:
        raise _refused(_("That took longer than half an hour."))
    try:
        secrets = at.finish(_account(connection, str(kept["whose"])), query)
    except SignatureError as error:
        raise _refused(str(error)) from error
    except ProviderError as error:
        message = _("%(provider)s did not let us in: %(why)s Try again.")
        label = registry.get(connection.provider).label
        raise Refused("install_failed", message % {"provider": label, "why": error}, status=502) from error
    row = update_secrets(connection=connection, actor=actor, secrets=secrets)
    # By which a message to the app's own address finds its connection: the secrets are sealed.
    row.settings["installed_for"] = str(kept["whose"])
    row.save(update_fields=["settings"])
    return row


def receive(slug: str, delivery: Delivery) -> inbox.Receipt:
    """A message to the app's own address: proved by the app, then given to each connection that it is about, which proves it again.

    404 where there is no app; the provider's own refusal for a signature that does not fit; 200 also when it is about nobody here.
    """
    provider = registry.get(slug) if slug in registry.SLUGS else None
    app = registry.app(slug) if provider is not None else None
    account = app.account() if app is not None else None
    if provider is None or app is None or account is None:
        return inbox.Receipt(404, "not_found", "There is no such app.")
    if len(delivery.body) > inbox.MAX_BYTES:
        return inbox.Receipt(413, "too_large", "A message may have 1 MiB.")
    try:
        provider.source.verify(delivery, account)
    except SignatureError as error:
        return inbox.Receipt(provider.refusal_status, "signature", str(error))
    answers = [inbox.receive(public_id, delivery) for public_id in _connections_of(slug, app.whose(delivery))]
    return next((answer for answer in answers if answer.status != 200), inbox.Receipt(200, "received"))


def _connections_of(slug: str, whose: str) -> list[str]:
    rows = Connection.objects.filter(provider=slug, removed_at=None, settings__installed_for=whose or None)
    return list(rows.order_by("pk").values_list("public_id", flat=True)[:100])


def _refused(why: str) -> Refused:
    return Refused("install_refused", _("%(why)s Nothing was changed. Begin again.") % {"why": why})


def _installing(connection: Connection) -> Installing:
    found = registry.install(connection.provider)
    if found is None or not is_possible(connection):
        raise Refused(
            "invalid_state", _("This connection can't be made this way. Paste the secrets instead."), status=409
        )
    return found


def _account(connection: Connection, whose: str) -> Account:
    """The connection's account, as the one that was asked for."""
    account = account_of(connection)
    field = registry.get(connection.provider).install_field
    return replace(account, secrets={**account.secrets, field: whose})
