"""People, businesses and keys for operators. Hashes, session keys and second factors are not shown."""

from __future__ import annotations

from typing import Any

from allauth.account.decorators import secure_admin_login
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib import admin
from django.contrib.auth.models import Group
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from referrals.accounts.models import ApiKey, Invitation, Membership, Merchant, RateLimit, User
from referrals.accounts.operators import KeptForEver, LookOnly

admin.site.site_header = _("Passalong for operators")
admin.site.site_title = _("Passalong")
admin.site.site_url = "/app/"
# Operators log in where everybody does: with limits, second factors and passkeys.
setattr(admin.site, "login", secure_admin_login(admin.site.login))  # noqa: B010 -- mypy takes a plain one for a mistake
for foreign in (Group, Authenticator, UserSession):
    if admin.site.is_registered(foreign):
        admin.site.unregister(foreign)


@admin.register(User)
class UserAdmin(KeptForEver):
    """People; a lost password is reset by the person."""

    list_display = ("email", "name", "is_active", "is_staff", "date_joined", "last_login")
    list_filter = ("is_active", "is_staff")
    search_fields = ("email", "name")
    fields = ("email", "name", "is_active", "is_staff", "is_superuser", "date_joined", "last_login")
    readonly_fields = ("email", "date_joined", "last_login")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """People sign up or are invited; `manage.py create_merchant` and `createsuperuser` make the first ones."""
        return False


@admin.register(Authenticator)
class SecondFactorAdmin(LookOnly):
    """Second factors without their secrets; deleting one lets a person back in who has lost theirs."""

    list_display = ("user", "type", "created_at", "last_used_at")
    list_select_related = ("user",)
    search_fields = ("user__email",)
    fields = ("user", "type", "created_at", "last_used_at")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Superusers only."""
        return bool(getattr(request.user, "is_superuser", False))


@admin.register(UserSession)
class SessionAdmin(LookOnly):
    """Who is logged in where, without the key of the session."""

    list_display = ("user", "created_at", "last_seen_at", "ip", "user_agent")
    list_select_related = ("user",)
    search_fields = ("user__email", "ip")
    fields = ("user", "created_at", "last_seen_at", "ip", "user_agent")


class MembershipInline(admin.TabularInline):  # type: ignore[type-arg]  # not generic at run time
    """The team of a business."""

    model = Membership
    extra = 0
    autocomplete_fields = ("user",)
    fields = ("user", "role", "created_at")
    readonly_fields = ("created_at",)


@admin.register(Merchant)
class MerchantAdmin(KeptForEver):
    """Businesses. Giving one an owner is how a team gets back in that has lost its last."""

    list_display = ("name", "public_id", "currency", "time_zone", "created_at")
    search_fields = ("name", "public_id")
    readonly_fields = ("public_id", "created_at")
    inlines = (MembershipInline,)


@admin.register(Invitation)
class InvitationAdmin(LookOnly):
    """Invitations; the links can't be read here."""

    list_display = ("email", "merchant", "role", "created_at", "expires_at", "accepted_at", "revoked_at")
    list_select_related = ("merchant",)
    search_fields = ("email", "merchant__name")
    exclude = ("token_hash",)


@admin.register(ApiKey)
class ApiKeyAdmin(LookOnly):
    """API keys without their hashes."""

    list_display = ("__str__", "merchant", "is_test", "kind", "created_at", "last_used_at", "expires_at", "revoked_at")
    list_select_related = ("merchant",)
    list_filter = ("is_test", "kind")
    search_fields = ("name", "last4", "merchant__name", "public_id")
    exclude = ("key_hash",)


@admin.register(RateLimit)
class RateLimitAdmin(LookOnly):
    """Counters of attempts; who is behind one can't be read."""

    list_display = ("key_hash", "count", "resets_at")
