"""Connecting a provider: secrets in, never out; how a connection is doing; and working on a message once more."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from integrations import listening, promotions, registry
from integrations.base import Provider
from integrations.models import Connection, InboundEndpoint, InboundEvent
from integrations.sandbox.sending import SETTING
from integrations.setup import check_settings, made_at_once, make, settings_fit, settings_of
from referrals.accounts.tenancy import Tenant
from referrals.events import types
from referrals.events.services import Actor, Happening, record
from referrals.lib import clock
from referrals.lib.errors import Refused
from referrals.lib.queue import enqueue
from referrals.lib.sealed import SealError

Tone = Literal["ok", "todo", "warn", "fail"]
QUIET_AFTER = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Health:
    """How a connection is doing: `tone` for the colour, `word` for a tag, `text` with what to do or know, if anything, `since` when.

    The tone `todo` says that the merchant has to do something.
    """

    tone: Tone
    word: str
    text: str = ""
    since: datetime | None = None


def provider_of(slug: str) -> Provider:
    """The provider; Refused 404 names one that we don't know."""
    if slug not in registry.SLUGS:
        raise Refused(
            "provider_unknown", _("No provider %(slug)r.") % {"slug": slug[:40]}, field="provider", status=404
        )
    return registry.get(slug)


def connect(
    *,
    tenant: Tenant,
    actor: Actor,
    provider: str,
    secrets: Mapping[str, str] | None = None,
    settings: Mapping[str, Any] | None = None,
    label: str = "",
) -> Connection:
    """A new connection. Without secrets it is begun: its address exists, so that the provider can be set up and give the secret.

    Beginning twice gives the same unfinished connection. Raises Refused: provider_unknown, too_long, and what check_secrets() and
    check_settings() raise.
    """
    kind = provider_of(provider)
    made = made_at_once(kind)
    values = check_secrets(kind, tenant, secrets, made) if secrets is not None else made
    chosen = check_settings(kind, settings) if settings is not None else {}
    if secrets is None and settings is None:
        begun = _unfinished(tenant, kind)
        if begun is not None:
            return begun
    row = Connection(
        merchant=tenant.merchant,
        is_test=tenant.is_test,
        provider=kind.slug,
        label=_label(label),
        settings=chosen or _first_settings(tenant, kind),
        created_at=clock.now(),
    )
    row.secrets = values
    with transaction.atomic():
        row.save(force_insert=True)
        record(tenant, actor, _happening(types.CONNECTION_CREATED, row, sorted(values)))
        if _wants_endpoint(row, values):
            listening.ask(row)
    return row


def _unfinished(tenant: Tenant, kind: Provider) -> Connection | None:
    rows = Connection.objects.for_tenant(tenant).filter(provider=kind.slug, removed_at=None).order_by("-pk")[:20]
    return next((row for row in rows if not is_ready(row) or (kind.address_key and not row.last_event_at)), None)


def _first_settings(tenant: Tenant, kind: Provider) -> dict[str, str]:
    """Two systems of one's own may both number their orders from 1: the second gets a name that keeps its ids apart."""
    names = [field.name for field in kind.settings if field.keeps_apart]
    if not names:
        return {}
    others = Connection.objects.for_tenant(tenant).filter(provider=kind.slug).count()
    return dict.fromkeys(names, f"system{others + 1}") if others else {}


def secrets_of(connection: Connection) -> dict[str, str]:
    """The secrets by name; none when they can't be opened, because the installation's keys were lost or the row was tampered with."""
    try:
        return connection.secrets
    except SealError:
        return {}


def is_ready(connection: Connection) -> bool:
    """Whether all secrets and settings that the provider needs are there."""
    secrets = secrets_of(connection)
    needed = [field for field in registry.get(connection.provider).secrets if field.required]
    return all(secrets.get(field.name) for field in needed) and settings_fit(connection)


def _wants_endpoint(row: Connection, changed: Collection[str]) -> bool:
    """Whether the address for messages is ours to make: with the key, for who did not make it by hand; or it is ours already."""
    kind, secrets = registry.get(row.provider), secrets_of(row)
    if kind.listening and kind.listening_needs:
        may = any(secrets.get(name) for name in kind.listening_needs.split("|"))
        return may and is_ready(row) and bool(changed)
    if not kind.listening or not all(secrets.get(field.unless) for field in kind.secrets if field.unless):
        return False
    made = InboundEndpoint.objects.filter(connection=row).exists()
    return made if is_ready(row) else bool(changed)


def _can_open(connection: Connection) -> bool:
    try:
        return connection.secrets is not None
    except SealError:
        return False


def check_secrets(
    kind: Provider, tenant: Tenant, given: Mapping[str, str], kept: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The secrets, trimmed and checked, on top of those `kept`; an empty value keeps the old one.

    Raises Refused (422, with the field): secret_unknown, secret_missing, secret_malformed, wrong_mode. No message repeats a secret.
    """
    fields = {field.name: field for field in kind.secrets}
    for name in given:
        if name not in fields:
            message = _("%(provider)s has no secret called %(name)r.") % {"provider": kind.label, "name": name[:40]}
            raise Refused("secret_unknown", message, field=name[:40])
    values = dict(kept or {})
    for name, field in fields.items():
        value = given.get(name, "")
        if not isinstance(value, str) or (value.strip() and not field.matches(value.strip())):
            raise Refused("secret_malformed", str(field.wrong), field=name)
        if value.strip():
            values[name] = value.strip()
        if field.required and not values.get(name) and not (field.unless and _given(values, given, field.unless)):
            other = fields.get(field.unless)
            words = _("Paste the %(label)s, or the %(other)s.") if other else _("Paste the %(label)s.")
            names = {"label": field.label, "other": other.label if other else ""}
            raise Refused("secret_missing", words % names, field=name)
        mode = field.mode(values.get(name, ""))
        if mode is not None and mode is not tenant.is_test:
            raise Refused("wrong_mode", _wrong_mode(is_test=mode), field=name)
    return values


def _given(values: Mapping[str, str], given: Mapping[str, str], name: str) -> bool:
    """Whether a secret is kept or comes now, in whatever order the form has them."""
    return bool(values.get(name) or given.get(name, "").strip())


def _wrong_mode(*, is_test: bool) -> str:
    if is_test:
        return _("This is a test key, and you are in live mode. Use the live key, or switch to test mode.")
    return _("This is a live key, and you are in test mode. Use the test key, or switch to live mode.")


def update_secrets(
    *,
    connection: Connection,
    actor: Actor,
    secrets: Mapping[str, str],
    remove: tuple[str, ...] = (),
    settings: Mapping[str, Any] | None = None,
    label: str | None = None,
    partly: bool = False,
) -> Connection:
    """Replace the secrets and settings that are given, take away the secrets in `remove`, and rename.

    `partly` leaves the secrets as they are, also where one is still missing. Raises what check_secrets() and check_settings() raise.
    """
    kind = registry.get(connection.provider)
    with transaction.atomic():
        row = Connection.objects.select_for_update(no_key=True).select_related("merchant").get(pk=connection.pk)
        if row.removed_at is not None:
            raise Refused("invalid_state", _("This connection is removed. Connect anew."), status=409)
        before = secrets_of(row)
        kept = {name: value for name, value in before.items() if name not in remove}
        values = before if partly else check_secrets(kind, row.tenant, secrets, kept)
        changed = sorted(name for name in {*values, *before} if values.get(name) != before.get(name))
        row.secrets = values
        if settings is not None:
            chosen = check_settings(kind, settings, settings_of(row))
            changed += sorted(name for name in chosen if chosen[name] != settings_of(row).get(name))
            row.settings = {**row.settings, **chosen}
        if label is not None and _label(label) != row.label:
            row.label = _label(label)
            changed.append("label")
        if changed:
            row.refused, row.last_refused_at = 0, None
            if set(changed) - {"label"}:
                row.ended_at = row.key_refused_at = None
                if {field.name for field in kind.secrets} & set(changed):
                    row.settings.pop(SETTING, None)  # secrets that somebody pastes are for the company itself
            row.save(
                update_fields=[
                    "sealed",
                    "settings",
                    "label",
                    "refused",
                    "last_refused_at",
                    "ended_at",
                    "key_refused_at",
                ]
            )
            record(row.tenant, actor, _happening(types.CONNECTION_CHANGED, row, changed))
        if _wants_endpoint(row, changed):
            listening.ask(row)
    return row


def make_secret(*, connection: Connection, actor: Actor, name: str) -> str:
    """A new secret made by us in the place of `name`, which is shown this once. The old one is worth nothing from now on.

    Raises Refused: secret_unknown for one that the company makes, invalid_state for a removed connection.
    """
    kind = registry.get(connection.provider)
    field = next((field for field in kind.secrets if field.name == name and field.made), None)
    if field is None:
        message = _("%(provider)s has no secret called %(name)r.") % {"provider": kind.label, "name": name[:40]}
        raise Refused("secret_unknown", message, field=name[:40])
    value = make(field)
    with transaction.atomic():
        row = Connection.objects.select_for_update(no_key=True).select_related("merchant").get(pk=connection.pk)
        if row.removed_at is not None:
            raise Refused("invalid_state", _("This connection is removed. Connect anew."), status=409)
        row.secrets = {**secrets_of(row), name: value}
        row.refused, row.last_refused_at = 0, None
        row.save(update_fields=["sealed", "refused", "last_refused_at"])
        record(row.tenant, actor, _happening(types.CONNECTION_CHANGED, row, [name]))
    return value


def disconnect(*, connection: Connection, actor: Actor) -> Connection:
    """Stop listening and forget the secrets. What was received stays. Refused 409 for one that is removed already."""
    with transaction.atomic():
        row = Connection.objects.select_for_update(no_key=True).select_related("merchant").get(pk=connection.pk)
        if row.removed_at is not None:
            raise Refused("invalid_state", _("This connection is removed already."), status=409)
        row.removed_at, row.secrets = clock.now(), {}
        row.save(update_fields=["removed_at", "sealed"])
        record(row.tenant, actor, _happening(types.CONNECTION_REMOVED, row, []))
    return row


def listen(*, connection: Connection) -> None:
    """Try again to make the address for messages, where that is ours to do; nothing where it is not."""
    with transaction.atomic():
        row = Connection.objects.select_for_update(no_key=True).get(pk=connection.pk)
        if row.removed_at is None and InboundEndpoint.objects.filter(connection=row).exists():
            listening.ask(row)


def leave(*, connection: Connection, actor: Actor) -> bool:
    """Take away what we keep at the company, then disconnect. False when something stays there for the merchant to delete.

    The network first, because the key is forgotten with the rest; whatever it answers, the connection ends. Refused as disconnect().
    """
    gone = connection.removed_at is None and listening.remove(connection)
    gone = connection.removed_at is None and promotions.drop(connection) and gone
    disconnect(connection=connection, actor=actor)
    return gone


def process_again(*, inbound: InboundEvent) -> InboundEvent:
    """Have a message worked on once more, from the start; what it did before is not done twice.

    Refused 409 while a worker has it.
    """
    with transaction.atomic():
        moved = (
            InboundEvent.objects.filter(pk=inbound.pk)
            .exclude(state="received", attempts__gt=0, next_attempt_at__gt=clock.wall(), error="")
            .update(state="received", attempts=0, next_attempt_at=clock.wall(), processed_at=None)
        )
        if not moved:
            raise Refused("invalid_state", _("This message is being worked on. Look again in a minute."), status=409)
        enqueue("integrations.inbox.process", inbound.pk)
    inbound.refresh_from_db()
    return inbound


def health(connection: Connection) -> Health:
    """What a merchant should know first about a connection."""
    kind = registry.get(connection.provider)
    if connection.removed_at is not None:
        return Health("todo", _("Disconnected"))
    if connection.ended_at is not None:
        return Health("fail", _("Uninstalled"), _("The company says that we are uninstalled there. Install again."))
    if not is_ready(connection):
        if not _can_open(connection):
            return Health(
                "fail", _("Locked"), _("Its secrets can't be opened with this installation's keys. Paste them again.")
            )
        address = listening.waits(connection)
        if address is not None and address.problem:
            return Health("fail", _("Not finished"), address.problem_sentence)
        if address is not None:
            return Health(
                "todo", _("Being set up"), _("The address for messages is being made there. Look again soon.")
            )
        if any(not secrets_of(connection).get(field.name) for field in kind.secrets if field.required):
            return Health("todo", _("Not finished"), _("Its secret is missing. Paste it on its page."))
        return Health("todo", _("Not finished"), _("Its settings are not complete. Fill them in on its page."))
    if connection.key_refused_at is not None:
        return Health(
            "fail",
            _("Key refused"),
            _("The company refuses the key. Make a new one there, and paste it on its page."),
            connection.key_refused_at,
        )
    if connection.refused:
        words = ngettext(
            "%(count)d message refused since the last good one: the secret does not fit.",
            "%(count)d messages refused since the last good one: the secret does not fit.",
            connection.refused,
        )
        return Health("fail", _("Refusing"), words % {"count": connection.refused})
    if connection.failing_since is not None:
        return Health("warn", _("Needs a look"), _("Some messages could not be processed."), connection.failing_since)
    if not kind.tells:
        return Health("ok", _("Ready"))  # it speaks only when something is paid, or never
    if connection.last_event_at is None:
        return Health("todo", _("Waiting"), _("The first message has not arrived yet."))
    silence = clock.now() - connection.last_event_at
    if connection.quiet_after and silence > timedelta(seconds=connection.quiet_after):
        return Health("warn", _("Quiet"), _("No message for longer than usual. Look whether the company still sends."))
    if silence > QUIET_AFTER:
        return Health("warn", _("Quiet"), _("No message for more than two weeks."))
    return Health("ok", _("Working"))


def _label(text: str) -> str:
    text = " ".join(text.replace("\x00", "").split())
    if len(text) > 80:
        raise Refused("too_long", _("A name has at most 80 characters."), field="label")
    return text


def _happening(type_: str, row: Connection, changed: list[str]) -> Happening:
    return Happening(type_, "connection", row.public_id, data={"provider": row.provider, "changed": changed})
