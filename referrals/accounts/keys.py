"""API keys: made, shown once, rotated with an overlap, revoked, and recognised. Only the hash is kept (RELIABILITY section 7)."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from referrals.accounts.models import ApiKey, Scope, User, hash_token
from referrals.accounts.tenancy import Tenant
from referrals.events import types
from referrals.events.services import Actor, Happening, record
from referrals.lib.errors import Refused

MAX_KEYS = 50
MAX_OVERLAP_HOURS = 168
CACHE_SECONDS = 30  # a revoked key may live this long in another process
CACHE_SIZE = 1024
USED_EVERY = timedelta(minutes=5)
_SHAPE = re.compile(r"(?:sk|pk)_(?:live|test)_[0-9A-Za-z]{43}", re.ASCII)


@dataclass(slots=True)
class _Known:
    key: ApiKey
    until: float


_known: dict[str, _Known] = {}


def create_api_key(
    *,
    tenant: Tenant,
    name: str,
    actor: Actor,
    kind: str = "secret",
    scopes: Iterable[str] = (),
    user: User | None = None,
) -> tuple[ApiKey, str]:
    """A key and its text, which is to be shown once and can't be read again.

    Publishable keys have no scopes. Raises Refused: `name_required`, `kind_unknown`, `scope_unknown`, `too_many_keys`.
    """
    if ApiKey.objects.for_tenant(tenant).usable(timezone.now()).count() >= MAX_KEYS:
        message = _("There are %(count)d keys already. Revoke one that is no longer used.") % {"count": MAX_KEYS}
        raise Refused("too_many_keys", message, status=409)
    with transaction.atomic():
        return _make(tenant, name, actor, kind=kind, scopes=scopes, user=user, data={})


def _make(
    tenant: Tenant,
    name: str,
    actor: Actor,
    *,
    kind: str,
    scopes: Iterable[str],
    user: User | None,
    data: dict[str, str],
) -> tuple[ApiKey, str]:
    name = name.strip()
    if not name or len(name) > 80:
        raise Refused("name_required", _("Give the key a name of at most 80 characters."), field="name")
    if kind not in dict(ApiKey.KINDS):
        raise Refused("kind_unknown", _("A key is either secret or publishable."), field="kind")
    wanted = set(scopes)
    unknown = wanted - set(Scope.values)
    if unknown:
        message = _("%(scope)s is not a scope.") % {"scope": min(unknown)}
        raise Refused("scope_unknown", message, field="scopes")
    text = ApiKey.make_text(kind, tenant.is_test)
    key = ApiKey.objects.create(
        merchant=tenant.merchant,
        is_test=tenant.is_test,
        name=name,
        kind=kind,
        prefix=text[:8],
        last4=text[-4:],
        key_hash=hash_token(text),
        scopes=[scope for scope in Scope.values if scope in wanted] if kind == "secret" else [],
        created_by=user,
    )
    record(
        tenant,
        actor,
        Happening(types.API_KEY_CREATED, "api_key", key.public_id, data={"name": name, "last4": key.last4, **data}),
    )
    return key, text


def rotate_api_key(
    *, key: ApiKey, actor: Actor, user: User | None = None, overlap_hours: int = 24
) -> tuple[ApiKey, str]:
    """A new key with the same name and scopes; the old one works for `overlap_hours` more (0 to 168).

    Raises Refused: `overlap`, `key_revoked`.
    """
    if not 0 <= overlap_hours <= MAX_OVERLAP_HOURS:
        message = _("The old key can stay for 0 to %(hours)d hours.") % {"hours": MAX_OVERLAP_HOURS}
        raise Refused("overlap", message, field="overlap_hours")
    now = timezone.now()
    ends = now + timedelta(hours=overlap_hours)
    with transaction.atomic():
        usable = ApiKey.objects.for_tenant(key.tenant).usable(now).filter(pk=key.pk)
        # A rotated key is not rotated again, and an end that was set is never put off.
        if not usable.filter(expires_at=None).update(expires_at=ends):
            raise Refused("key_revoked", _("This key was revoked or rotated before; use its successor."), status=409)
        made = _make(
            key.tenant,
            key.name,
            actor,
            kind=key.kind,
            scopes=key.scopes,
            user=user,
            data={"rotated_from": key.public_id, "old_key_ends": ends.isoformat()},
        )
    _known.pop(key.key_hash, None)
    return made


def revoke_api_key(*, key: ApiKey, actor: Actor) -> None:
    """Stop a key at once (other processes notice within 30 seconds). Raises Refused `key_revoked` when it was before."""
    with transaction.atomic():
        if not ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=timezone.now()):
            raise Refused("key_revoked", _("This key was revoked before."), status=409)
        data = {"name": key.name, "last4": key.last4}
        record(key.tenant, actor, Happening(types.API_KEY_REVOKED, "api_key", key.public_id, data=data))
    _known.pop(key.key_hash, None)


def authenticate(text: str) -> ApiKey | None:
    """The usable key behind `text`, with its merchant; None otherwise. Mostly answered from memory, without a query."""
    if not _SHAPE.fullmatch(text):
        return None
    digest = hash_token(text)
    known = _known.get(digest)
    if known is None or known.until <= time.monotonic():
        known = _look_up(digest)
        if known is None:
            return None
    key, now = known.key, timezone.now()
    if key.expires_at is not None and key.expires_at <= now:
        return None
    if key.last_used_at is None or now - key.last_used_at >= USED_EVERY:
        stale = Q(last_used_at=None) | Q(last_used_at__lte=now - USED_EVERY)
        ApiKey.objects.filter(stale, pk=key.pk).update(last_used_at=now)
        key.last_used_at = now
    return key


def _look_up(digest: str) -> _Known | None:
    key = ApiKey.objects.select_related("merchant").usable(timezone.now()).filter(key_hash=digest).first()
    if key is None:
        _known.pop(digest, None)
        return None
    while len(_known) >= CACHE_SIZE:
        _known.pop(next(iter(_known)), None)
    known = _known[digest] = _Known(key, time.monotonic() + CACHE_SECONDS)
    return known
