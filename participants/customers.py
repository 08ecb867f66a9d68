"""Existing customers: who can't be referred (PRODUCT.md, "Attribution"), by the merchant's list and by earlier purchases."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice

from django.db import transaction
from django.db.models import BooleanField, DateTimeField, Exists, TextField
from django.utils.translation import gettext as _

from participants.models import CustomerReference, KnownCustomer, Participant, QualifyingEvent
from referrals.accounts.models import Merchant
from referrals.accounts.tenancy import Tenant
from referrals.lib import clock
from referrals.lib.emails import EmailError, mask_email, parse_email
from referrals.lib.errors import Refused
from referrals.lib.prepared import PreparedRows, Slot
from referrals.lib.queries import Among

CHUNK = 1000
ID_LENGTH = 255


@dataclass(frozen=True, slots=True)
class Customer:
    """One entry of a list: what it names ("email" and the folded person, or "id"), its fingerprint, a hint for people, and since when
    they are a customer (None: not said)."""

    kind: str
    text: str
    key: str
    hint: str
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Added:
    """What adding came to: how many were new, how many were there before or twice."""

    added: int
    known: int


def by_email(tenant: Tenant, email: str, since: datetime | None = None) -> Customer:
    """A customer by address, folded to the person; Refused `email_invalid`, or `occurred_at` for a date that lies ahead."""
    try:
        found = parse_email(email)
    except EmailError as error:
        raise Refused("email_invalid", str(error), field="email") from error
    key = _fingerprint(tenant, "email", found.identity)
    return Customer("email", found.identity, key, mask_email(found.address)[:80], _past(since))


def by_id(tenant: Tenant, customer_id: str, since: datetime | None = None) -> Customer:
    """A customer by a source's own id, such as Stripe's; Refused `blank`, `too_long`, `invalid_characters`, `occurred_at`."""
    text = customer_id.strip()
    if not text:
        raise Refused("blank", _("There is nothing here."), field="customer_id")
    if len(text) > ID_LENGTH:
        raise Refused("too_long", _("A customer id has at most 255 characters."), field="customer_id")
    if not text.isprintable():
        raise Refused("invalid_characters", _("The customer id has invisible characters."), field="customer_id")
    hint = text if len(text) <= 8 else f"{text[:4]}…{text[-4:]}"
    return Customer("id", text, _fingerprint(tenant, "id", text), hint, _past(since))


def _past(since: datetime | None) -> datetime | None:
    if since is not None and since > clock.now():
        message = _("%(time)s is in the future.") % {"time": since.isoformat()}
        raise Refused("occurred_at", message, field="customer_since")
    return since


def _fingerprint(tenant: Tenant, kind: str, text: str) -> str:
    """The same text has another fingerprint at each merchant, on each side."""
    return hashlib.sha256(f"{tenant.merchant.pk}:{int(tenant.is_test)}:{kind}:{text}".encode()).hexdigest()


def known_keys(tenant: Tenant, keys: Collection[str]) -> set[str]:
    """Which of these fingerprints are on the list."""
    rows = KnownCustomer.objects.for_tenant(tenant).filter(key__in=keys)
    return set(rows.values_list("key", flat=True))


def in_chunks(customers: Iterable[Customer]) -> Iterator[list[Customer]]:
    """A thousand at a time."""
    rest = iter(customers)
    while chunk := list(islice(rest, CHUNK)):
        yield chunk


def put_on_list(tenant: Tenant, customers: Iterable[Customer]) -> Added:
    """Add customers; one who is there keeps the earlier of two dates. Idempotent, in the caller's transaction."""
    now = clock.now()
    added = total = 0
    for chunk in in_chunks(customers):
        total += len(chunk)
        unique: dict[str, Customer] = {}
        for item in chunk:
            before = unique.get(item.key)
            if before is None or (item.since or now) < (before.since or now):
                unique[item.key] = item
        there = {
            row.key: row for row in KnownCustomer.objects.for_tenant(tenant).filter(key__in=unique).select_for_update()
        }
        KnownCustomer.objects.bulk_create(
            [
                KnownCustomer(
                    merchant=tenant.merchant,
                    is_test=tenant.is_test,
                    key=item.key,
                    hint=item.hint,
                    since=item.since or now,
                    added_at=now,
                )
                for item in unique.values()
                if item.key not in there
            ],
            ignore_conflicts=True,
        )
        earlier = []
        for key, row in there.items():
            since = unique[key].since
            if since is not None and since < row.since:
                row.since = since
                earlier.append(row)
        KnownCustomer.objects.bulk_update(earlier, ["since"])
        added += len(unique) - len(there)
    return Added(added, total - added)


def take_off_list(tenant: Tenant, keys: Collection[str]) -> int:
    """Remove customers by fingerprint. Returns how many were there."""
    with transaction.atomic():
        return KnownCustomer.objects.for_tenant(tenant).filter(key__in=keys).delete()[0]


_NEVER = datetime.max.replace(tzinfo=UTC)
_WHY = PreparedRows(
    lambda: Merchant.objects.filter(pk=Slot("merchant")).values_list(
        Exists(
            KnownCustomer.objects.filter(
                Among("key", Slot("keys")),
                merchant=Slot("merchant"),
                is_test=Slot("is_test", BooleanField()),
                since__lte=Slot("before", DateTimeField()),
            )
        ),
        Exists(
            QualifyingEvent.objects.filter(
                participant__merchant=Slot("merchant"),
                participant__is_test=Slot("is_test", BooleanField()),
                participant__identity_key=Slot("identity", TextField()),
                amount_minor__gt=0,
                occurred_at__lt=Slot("until", DateTimeField()),
            ).exclude(participant=Slot("participant"))
        ),
    )
)


def why_customer(
    tenant: Tenant,
    identity: str,
    *,
    before: datetime,
    customer_ids: Sequence[str] = (),
    participant: Participant | None = None,
) -> str:
    """Whether a person was a customer before a moment: "list", "purchase" (in any campaign, under any spelling), or "".

    `participant` is left out: what they themselves bought is no earlier purchase of theirs. One query, by index.
    """
    keys = [_fingerprint(tenant, "email", identity), *(_fingerprint(tenant, "id", one) for one in customer_ids)]
    ((listed, bought),) = _WHY(
        merchant=tenant.merchant.pk,
        is_test=tenant.is_test,
        keys=keys,
        identity=identity,
        before=before,
        participant=participant.pk if participant else 0,
        # Whoever only joins now has bought nothing themselves: what they did at any time is another's.
        until=before if participant else _NEVER,
    )
    return "list" if listed else "purchase" if bought else ""


def participants_of(tenant: Tenant, customers: Collection[Customer]) -> list[int]:
    """Primary keys of the participants behind these customers, by address or by a source's id of theirs."""
    emails = [item.text for item in customers if item.kind == "email"]
    ids = [item.text for item in customers if item.kind == "id"]
    people = Participant.objects.for_tenant(tenant).filter(identity_key__in=emails)
    found = set(people.values_list("pk", flat=True)) if emails else set()
    if ids:
        rows = CustomerReference.objects.for_tenant(tenant).filter(customer_id__in=ids)
        found.update(rows.values_list("participant", flat=True))
    return sorted(found)
