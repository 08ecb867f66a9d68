"""`Idempotency-Key`: the first request runs, the others get its answer (RELIABILITY section 2; INV-10).

The key is claimed by an insert of its own, with a lease by the database's clock. The answer is stored in the transaction of the
effect, so neither exists without the other; whatever fails leaves no record, and the key can be used again.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.db import DatabaseError, IntegrityError, transaction
from django.db.models.functions import Now
from django.http import HttpRequest

from referrals.accounts.tenancy import Tenant
from referrals.api.errors import ApiError, malformed
from referrals.api.models import IdempotencyRecord
from referrals.lib.codes import random_text
from referrals.lib.sealed import SealError, seal, unseal

log = logging.getLogger(__name__)
HEADER = "Idempotency-Key"
LEASE = timedelta(seconds=30)
KEPT = timedelta(days=7)
_SEALED = "sealed:"
_PLAIN = re.compile(r"[!-+\--~]{1,255}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer: a value for JSON, its HTTP status, and further headers. A `secret` one is kept sealed for repetitions."""

    data: Any
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    secret: bool = False

    def text(self) -> str:
        """The body."""
        if isinstance(self.data, str) and self.headers.get("Content-Type", "").startswith("text/csv"):
            return self.data
        return json.dumps(self.data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


@dataclass(frozen=True, slots=True)
class Stored:
    """An answer as it goes out: the body as text; `replayed` when it is an earlier request's."""

    body: str
    status: int
    headers: dict[str, str]
    replayed: bool = False


def key_of(request: HttpRequest, *, required: bool) -> str:
    """The header's key, bare or quoted, or ""; raises ApiError 400.

    A comma is refused: it is what two headers look like when a server joins them.
    """
    given = request.headers.get(HEADER)
    if given is None:
        if required:
            raise malformed(
                "idempotency_key_missing",
                f"This moves money: send a header {HEADER} of your own choice, and repeat it with every repetition.",
            )
        return ""
    text = given.strip()
    if len(text) > 1 and text.startswith('"') and text.endswith('"'):
        text = text[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    if not _PLAIN.fullmatch(text):
        raise malformed(
            "idempotency_key_invalid",
            f"{HEADER} is 1 to 255 printable ASCII characters without space and comma, sent once.",
        )
    return text


def fingerprint(method: str, path: str, body: Any) -> str:
    """SHA-256 of what is asked, whatever the order of the body's names."""
    canonical = json.dumps([method, path, body], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def run(work: Callable[[], Answer], *, in_steps: bool = False) -> Stored:
    """Do the work in one transaction, or as it does itself when it commits `in_steps`."""
    with nullcontext() if in_steps else transaction.atomic():
        answer = work()
    return Stored(answer.text(), answer.status, answer.headers)


def run_once(
    tenant: Tenant, key: str, method: str, path: str, body: Any, work: Callable[[], Answer], *, in_steps: bool = False
) -> Stored:
    """Do the work once for this key, or give the answer it had; raises ApiError 409 or 422, and whatever `work` raises.

    Work that commits `in_steps` changes nothing when it is done again, and is when it broke off before its answer was kept.
    """
    asked = fingerprint(method, path, body)
    owner = random_text(22)
    claim = _claim(tenant, key, method, path, asked, owner)
    if isinstance(claim, Stored):
        return claim
    try:
        with nullcontext() if in_steps else transaction.atomic():
            answer = work()
            text = answer.text()
            mine = IdempotencyRecord.objects.filter(pk=claim, owner=owner, status=None)
            kept = _SEALED + seal({"body": text}, bound_to=_bound_to(claim)) if answer.secret else text
            if not mine.update(status=answer.status, body=kept, headers=answer.headers, leased_until=None):
                raise _running()
    except Exception:
        _release(claim, owner)
        raise
    return Stored(text, answer.status, answer.headers)


def _claim(tenant: Tenant, key: str, method: str, path: str, asked: str, owner: str) -> int | Stored:
    """The primary key of a record that is ours to fill, or the stored answer."""
    for _try in range(5):
        try:
            with transaction.atomic():
                return IdempotencyRecord.objects.create(
                    merchant=tenant.merchant,
                    is_test=tenant.is_test,
                    key=key,
                    method=method,
                    path=path[:500],
                    request_hash=asked,
                    leased_until=Now() + LEASE,
                    owner=owner,
                ).pk
        except IntegrityError:
            known = IdempotencyRecord.objects.for_tenant(tenant).filter(key=key).first()
        if known is None or _forgotten(known):
            continue
        return _known(known, asked, owner)
    raise _running()


def _forgotten(record: IdempotencyRecord) -> bool:
    """Whether the record is older than what is kept; it is deleted then."""
    old = IdempotencyRecord.objects.filter(pk=record.pk, created_at__lt=Now() - KEPT).exclude(leased_until__gt=Now())
    return bool(old.delete()[0])


def _known(record: IdempotencyRecord, asked: str, owner: str) -> int | Stored:
    if record.request_hash != asked:
        raise ApiError(
            422,
            "idempotency_key_reused",
            f"This {HEADER} came with another request before ({record.method} {record.path}); use a new one.",
        )
    if record.status is not None:
        return Stored(_opened(record), record.status, record.headers, replayed=True)
    dead = IdempotencyRecord.objects.filter(pk=record.pk, status=None, leased_until__lt=Now())
    if dead.update(leased_until=Now() + LEASE, owner=owner):
        return record.pk
    raise _running()


def _bound_to(pk: int) -> str:
    return f"idempotency.body:{pk}"


def _opened(record: IdempotencyRecord) -> str:
    """The stored body; 410 when it was sealed with a key that is gone."""
    if not record.body.startswith(_SEALED):
        return record.body
    try:
        found: str = unseal(record.body.removeprefix(_SEALED), bound_to=_bound_to(record.pk))["body"]
    except SealError as error:
        message = "The answer held a secret and can't be opened any more; ask for a new one."
        raise ApiError(410, "answer_gone", message) from error
    return found


def _running() -> ApiError:
    return ApiError(
        409,
        "request_in_progress",
        f"A request with this {HEADER} is still running; ask again in a second.",
        headers={"Retry-After": "1"},
    )


def _release(pk: int, owner: str) -> None:
    """Let the key be used again. When even that fails, the lease runs out by itself."""
    try:
        IdempotencyRecord.objects.filter(pk=pk, owner=owner, status=None).delete()
    except DatabaseError:
        log.warning("an idempotency record could not be released; its lease will run out")


def forget_old(*, limit: int = 10_000) -> int:
    """Delete stored answers older than seven days; business keys outlive them. Returns how many (for the sweeper)."""
    old = IdempotencyRecord.objects.filter(created_at__lt=Now() - KEPT).order_by("created_at")
    return IdempotencyRecord.objects.filter(pk__in=list(old.values_list("pk", flat=True)[:limit])).delete()[0]
