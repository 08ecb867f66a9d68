"""A business with an owner, an admin, a manager and a viewer, made by the services themselves."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from referrals.accounts.models import Membership, Merchant, Role, User
from referrals.accounts.services import create_merchant

MakeMember = Callable[[str, Role], Membership]


@pytest.fixture
def owner(db: None) -> Membership:
    """Ann, who owns Halden Coffee."""
    user = User.objects.create_user("ann@example.com", "a long password", name="Ann")
    merchant = create_merchant(name="Halden Coffee", owner=user)
    return Membership.objects.get(merchant=merchant)


@pytest.fixture
def merchant(owner: Membership) -> Merchant:
    """Ann's business."""
    return owner.merchant


@pytest.fixture
def join_team(owner: Membership) -> MakeMember:
    """join_team("max@example.com", Role.ADMIN): one more member of Ann's team."""

    def make(email: str, role: Role) -> Membership:
        user = User.objects.create_user(email, "a long password")
        return Membership.objects.create(merchant=owner.merchant, user=user, role=role)

    return make
