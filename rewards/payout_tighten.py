"""Limits that a program may set: lower ones. A stolen key must not lift what keeps it in bounds; people do that, logged in anew."""

from __future__ import annotations

from collections.abc import Mapping

from django.db import transaction
from django.utils.translation import gettext as _

from referrals.accounts.tenancy import Tenant
from referrals.events.services import Actor
from referrals.lib.errors import Refused
from referrals.lib.money import Money
from rewards.models import PayoutLimit
from rewards.payout_guards import FIELDS, set_limits


def tighten(*, tenant: Tenant, actor: Actor, currency: str, limits: Mapping[str, int]) -> PayoutLimit:
    """Lower a currency's limits, in minor units; what is not named stays. Raises Refused: limit_loosened (403), amount_not_positive."""
    with transaction.atomic():
        PayoutLimit.objects.get_or_create(merchant=tenant.merchant, is_test=tenant.is_test, currency=currency)
        row = PayoutLimit.objects.for_tenant(tenant).select_for_update().get(currency=currency)
        now = {name: getattr(row, name) for name in FIELDS}
        for name, minor in limits.items():
            if now[name] is not None and minor > now[name]:
                message = _("%(wanted)s is more than today's limit of %(limit)s. People can raise it, on the page.")
                words = {"wanted": Money(minor, currency), "limit": Money(now[name], currency)}
                raise Refused("limit_loosened", message % words, field=name.removesuffix("_minor"), status=403)
        return set_limits(tenant=tenant, actor=actor, currency=currency, limits={**now, **limits})
