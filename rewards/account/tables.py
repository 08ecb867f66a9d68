"""Which tables an archive has, in an order in which each comes after those it points at; and which it leaves out, and why.

Every model that is a side's data (rewards.wiping.plan) is in the archive unless it is named here, so that a new one is not forgotten.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

from django.db import models

from referrals.accounts.tenancy import Tenant
from rewards.wiping import Emptied, plan

_SECRETS = "Secrets stay where they are: connect it again."
_OURS = "A fingerprint that only this business's own key makes: it says nothing elsewhere."
_ON_THE_WAY = "On its way, and over within days: whoever has the account would send it once more."
LEFT_OUT: dict[str, str] = {
    **dict.fromkeys(
        (
            "integrations.InboundEvent", "integrations.PromotionPlan", "integrations.PromotionCode", "integrations.Reconciliation",
            "integrations.SandboxRow", "integrations.WebhookDelivery", "integrations.WebhookAttempt", "integrations.WebhookEndpoint",
            "integrations.Catalogue", "integrations.CatalogueProduct",
            "integrations.Connection", "accounts.ApiKey", "accounts.SigningSecret", "participants.PayoutDestination",
        ),
        _SECRETS,
    ),
    **dict.fromkeys(("participants.KnownCustomer", "participants.NoInvite", "participants.Trace"), _OURS),
    **dict.fromkeys(
        (
            "participants.PortalSession", "participants.PortalLink", "participants.MailOrder", "participants.JoinRequest",
            "participants.ApplicationMail", "hosted.Mail", "hosted.WaitingNotice", "participants.InviteList", "participants.InviteLine",
            "participants.Capture",
            "participants.CaptureName", "participants.CustomerUpload", "api.IdempotencyRecord", "rewards.Import", "rewards.ImportFile",
            "rewards.WhatIf", "rewards.Transfer", "rewards.ExportSchedule", "rewards.PayoutShipment",
            # Nothing begins to be paid by itself in an account that was read.
            "rewards.PayoutRoute", "rewards.PayoutCalendar", "rewards.PayoutRun", "rewards.TeamAlert",
        ),
        _ON_THE_WAY,
    ),
    "rewards.CouponList": "Its codes are secrets, and are given once: make the list anew where they are to be given.",
    "rewards.PayoutFile": "Its lines hold payout addresses, which stay where they are; what was paid with it is in the archive.",
    "campaigns.Listing": "A public page: list the campaign in the hub again.",
}  # fmt: skip
# Columns that no archive has, whatever the table.
SECRET_COLUMNS = frozenset({"sealed", "token_hash", "secret", "secrets", "password", "key_hash", "hash"})
OWN = frozenset({"merchant", "is_test"})
# Read before the tables that name their rows in a text.
_EARLY = ("participants.Referral",)


@lru_cache(maxsize=1)
def tables() -> tuple[Emptied, ...]:
    """The archive's tables, those that are pointed at first."""
    found = [table for table in reversed(plan()) if not is_left_out(table.model)]
    early = [table for table in found if table.model._meta.label in _EARLY]
    first = next(n for n, table in enumerate(found) if table.model._meta.label == "participants.QualifyingEvent")
    before = [table for table in found[:first] if table not in early]
    rest = [table for table in found[first:] if table not in early]
    return (*before, *early, *rest)


def is_left_out(model: type[models.Model]) -> bool:
    """Whether an archive lacks this table: it is named above, or has a column for a secret."""
    return model._meta.label in LEFT_OUT or bool({field.name for field in model._meta.concrete_fields} & SECRET_COLUMNS)


def columns(model: type[models.Model]) -> list[Any]:
    """The fields of a table as an archive has them, the primary key among them; whose it is, is left out."""
    return [field for field in model._meta.local_concrete_fields if field.name not in OWN]


@lru_cache(maxsize=512)
def pointed_at(field: Any) -> type[models.Model] | None:
    """The archive's table that a field points at; None for one that is no key, or points at what the archive lacks."""
    other = field.related_model if isinstance(field, models.ForeignKey) else None
    known = {table.model for table in tables()}
    return other if isinstance(other, type) and other in known else None


def rows_of(table: Emptied, tenant: Tenant) -> Iterator[dict[str, Any]]:
    """The side's rows by primary key, streamed, with plain values."""
    names = [field.attname for field in columns(table.model)]
    yield from table.rows(tenant).order_by("pk").values(*names).iterator(chunk_size=2000)


def is_empty(tenant: Tenant, left: Sequence[str] = ("events.Event",)) -> str:
    """ "" when the side has none of the archive's rows, else the name of a table that has some. History alone is no content."""
    for table in tables():
        if table.model._meta.label not in left and table.rows(tenant).exists():
            return str(table.model._meta.verbose_name_plural)
    return ""
