"""What every merchant page needs: navigation with what is due, the businesses to choose from, which side is shown."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import Count, Sum
from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import SimpleLazyObject
from django.utils.translation import gettext as _

from referrals.accounts.tenancy import Tenant
from referrals.lib import clock
from referrals.web.access import attach
from rewards import payout_guards
from rewards.models import Payout, RewardTally, State

Item = dict[str, Any]
# Pages below these addresses say so while payouts are stopped.
PAYING = ("web:rewards", "web:payouts", "web:payout_routes")


def merchant(request: HttpRequest) -> dict[str, Any]:
    """Template context for merchant pages; empty elsewhere. The navigation is worked out only when a page shows it.

    Account pages (password, sessions) get the frame of the business too.
    """
    user = getattr(request, "user", None)
    if user is None:
        return {}
    if request.path.startswith("/account/") and user.is_authenticated:
        attach(request)
    tenant: Tenant | None = getattr(request, "tenant", None)
    if tenant is None:
        return {}
    return {
        "test_now": clock.now() if tenant.is_test and clock.now() - clock.wall() > timedelta(seconds=1) else None,
        "nav": SimpleLazyObject(lambda: navigation(request.path, tenant)),
        "memberships": getattr(request, "memberships", []),
        "stop": SimpleLazyObject(lambda: stop_of(request.path, tenant)),
    }


def stop_of(path: str, tenant: Tenant) -> dict[str, Any]:
    """What the pages about rewards and payouts say while nothing leaves; empty elsewhere, and while all is well. One query at most."""
    if not path.startswith(tuple(reverse(page) for page in PAYING)):
        return {}
    if settings.PAYOUTS_STOPPED:
        return {"everywhere": True}
    row = payout_guards.stopped(tenant)
    return {"row": row, "url": reverse("web:payout_safety")} if row else {}


def counts(tenant: Tenant) -> tuple[int, int]:
    """(rewards that are due, payouts of which nobody knows whether they were paid), in one query."""
    due = RewardTally.objects.for_tenant(tenant).filter(state=State.DUE).values_list("state").annotate(n=Sum("count"))
    open_ = Payout.objects.for_tenant(tenant).filter(status="needs_attention").values_list("status")
    found = dict(due.order_by().union(open_.annotate(n=Count("pk")).order_by(), all=True))
    return found.get(State.DUE, 0), found.get("needs_attention", 0)


def navigation(path: str, tenant: Tenant) -> list[Item]:
    """The main menu with what waits for somebody; the entry whose address the path begins with is the current one."""
    due, questions = counts(tenant)
    items: list[Item] = [
        {"icon": "house", "label": _("Home"), "page": "web:home"},
        {"icon": "megaphone", "label": _("Campaigns"), "page": "web:campaigns"},
        {"icon": "users", "label": _("Participants"), "page": "web:participants"},
        {"icon": "shopping-bag", "label": _("Purchases"), "page": "web:purchases"},
        {"icon": "gift", "label": _("Rewards"), "page": "web:rewards", "count": due, "id": "rewards"},
        {"icon": "wallet", "label": _("Payouts"), "page": "web:payouts", "count": questions, "id": "payouts"},
        {"icon": "shield-check", "label": _("Fraud review"), "page": "web:fraud"},
        {"icon": "plug", "label": _("Connections"), "page": "web:connections", "group": "setup"},
        {"icon": "code-xml", "label": _("Developers"), "page": "web:developers", "group": "setup"},
        {"icon": "settings", "label": _("Settings"), "page": "web:settings", "group": "setup"},
    ]
    home = reverse("web:home")
    for item in items:
        item["url"] = reverse(item["page"])
        item["current"] = path == home if item["url"] == home else path.startswith(item["url"])
        # Applications have no entry of their own: they belong to the programmes, and most businesses have none.
        if item["page"] == "web:campaigns" and path.startswith(reverse("web:applications")):
            item["current"] = True
    return items
