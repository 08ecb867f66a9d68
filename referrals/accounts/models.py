"""Who may do what: users, merchants, memberships with four roles, invitations, API keys."""

from __future__ import annotations

import hashlib
import secrets
import zoneinfo
from datetime import datetime, timedelta
from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from referrals.accounts.secret_models import SigningSecret as SigningSecret
from referrals.accounts.tenancy import TenantModel, TenantQuerySet
from referrals.lib import clock
from referrals.lib.codes import public_id, random_text
from referrals.lib.money import CURRENCIES


class UserManager(BaseUserManager["User"]):
    """Makes users by e-mail address."""

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> User:
        """A user with this address, folded to lower case; without a password only other ways of logging in work."""
        user = self.model(email=email.strip().lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> User:
        """An operator of the installation: may use Django's admin, belongs to no merchant by that."""
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)


class User(AbstractBaseUser, PermissionsMixin):
    """A person who logs in with an e-mail address."""

    email = models.EmailField(_("e-mail address"), max_length=254, unique=True)
    name = models.CharField(_("name"), max_length=120, blank=True)
    is_staff = models.BooleanField(_("operator"), default=False)
    is_active = models.BooleanField(_("active"), default=True)
    date_joined = models.DateTimeField(default=timezone.now)

    objects = UserManager()
    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        constraints = [models.UniqueConstraint(Lower("email"), name="user_email_once")]

    def __str__(self) -> str:
        return self.name or self.email


def _merchant_id() -> str:
    return public_id("mer")


def check_zone(name: str) -> None:
    """Refuse a time zone that the system does not know, naming it."""
    if name not in zoneinfo.available_timezones():
        raise ValidationError(_("%(name)s is not a time zone; use one such as Europe/Oslo."), params={"name": name})


def check_currency_code(code: str) -> None:
    """Refuse a currency code outside ISO 4217, naming it."""
    if code not in CURRENCIES:
        raise ValidationError(_("%(code)s is not a currency; use three capitals such as USD."), params={"code": code})


class Merchant(models.Model):
    """The tenant: a business that runs campaigns (PRODUCT.md, "Words")."""

    public_id = models.CharField(max_length=32, unique=True, default=_merchant_id, editable=False)
    name = models.CharField(_("name"), max_length=120)
    currency = models.CharField(_("usual currency"), max_length=3, default="USD", validators=[check_currency_code])
    time_zone = models.CharField(_("time zone"), max_length=64, default="UTC", validators=[check_zone])
    website = models.URLField(_("website"), max_length=500, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    def __str__(self) -> str:
        return self.name

    @property
    def zone(self) -> zoneinfo.ZoneInfo:
        """The zone for days and month ends on the merchant's pages."""
        return zoneinfo.ZoneInfo(self.time_zone)


class Role(models.TextChoices):
    """What a member may do; each role may do all that those below it may."""

    OWNER = "owner", _("Owner")
    ADMIN = "admin", _("Admin")
    MANAGER = "manager", _("Manager")
    VIEWER = "viewer", _("Viewer")

    def covers(self, needed: Role) -> bool:
        """Whether this role is at least `needed`."""
        order = list(Role)
        return order.index(self) <= order.index(needed)


def _membership_id() -> str:
    return public_id("mem")


class Membership(models.Model):
    """A user's place in a merchant's team. There is at most one for a pair."""

    public_id = models.CharField(max_length=32, unique=True, default=_membership_id, editable=False)
    merchant = models.ForeignKey(Merchant, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(_("role"), max_length=8, choices=Role.choices, default=Role.VIEWER)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["merchant", "user"], name="membership_once")]

    def __str__(self) -> str:
        return f"{self.user} ({self.role})"

    def may(self, needed: Role) -> bool:
        """Whether the member's role is at least `needed`."""
        return Role(self.role).covers(needed)


def hash_token(token: str) -> str:
    """SHA-256 in hex of a high-entropy token: what is stored instead of it (RELIABILITY section 7, "API keys")."""
    return hashlib.sha256(token.encode()).hexdigest()


def _invitation_id() -> str:
    return public_id("inv")


class Invitation(models.Model):
    """An invitation to a merchant's team, mailed as a link that works once and for seven days."""

    LIFE = timedelta(days=7)

    public_id = models.CharField(max_length=32, unique=True, default=_invitation_id, editable=False)
    merchant = models.ForeignKey(Merchant, on_delete=models.CASCADE, related_name="invitations")
    email = models.EmailField(_("e-mail address"), max_length=254)
    role = models.CharField(_("role"), max_length=8, choices=Role.choices, default=Role.VIEWER)
    token_hash = models.CharField(max_length=64, unique=True, editable=False)
    invited_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["merchant", "email"],
                condition=models.Q(accepted_at=None, revoked_at=None),
                name="invitation_open_once",
            )
        ]

    def __str__(self) -> str:
        return f"{self.email} ({self.role})"

    @property
    def is_open(self) -> bool:
        """Whether the link can still be used."""
        return self.accepted_at is None and self.revoked_at is None and self.expires_at > timezone.now()


class Scope(models.TextChoices):
    """What a secret API key may do (API.md; a key without the scope is answered 403)."""

    READ = "read", _("Read everything")
    PARTICIPANTS = "participants", _("Add and change participants")
    EVENTS = "events", _("Record events and refunds")
    CAMPAIGNS = "campaigns", _("Create and change campaigns")
    REWARDS = "rewards", _("Approve, hold, void and reverse rewards")
    PAYOUTS = "payouts", _("Issue rewards")
    CONNECTIONS = "connections", _("Manage connections")


class ApiKeyQuerySet(TenantQuerySet["ApiKey"]):
    """API keys by what they can still do."""

    def usable(self, now: datetime) -> ApiKeyQuerySet:
        """Neither revoked nor expired."""
        return self.filter(revoked_at=None).exclude(expires_at__lte=now)


def _key_id() -> str:
    return public_id("key")


class ApiKey(TenantModel):
    """A key for the REST API. Only its hash is stored; prefix and last four characters are shown."""

    KINDS = (("secret", _("Secret")), ("publishable", _("Publishable")))

    public_id = models.CharField(max_length=32, unique=True, default=_key_id, editable=False)
    name = models.CharField(_("name"), max_length=80)
    kind = models.CharField(max_length=11, choices=KINDS, default="secret")
    prefix = models.CharField(max_length=12, editable=False)
    last4 = models.CharField(max_length=4, editable=False)
    key_hash = models.CharField(max_length=64, unique=True, editable=False)
    scopes = models.JSONField(default=list)
    created_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects = ApiKeyQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…{self.last4})"

    def allows(self, scope: Scope) -> bool:
        """Whether the key has the scope. Any secret key may read."""
        return self.kind == "secret" and (scope == Scope.READ or scope in self.scopes)

    @staticmethod
    def make_text(kind: str, is_test: bool) -> str:
        """A new key's text: sk_live_, sk_test_, pk_live_ or pk_test_ and 43 random characters (256 bits)."""
        return f"{'sk' if kind == 'secret' else 'pk'}_{'test' if is_test else 'live'}_{random_text(43)}"


def new_token() -> str:
    """A link's secret: 256 bits, safe in an address."""
    return secrets.token_urlsafe(32)


class RateLimit(models.Model):
    """How often something was done within a span of time; see referrals.accounts.limits. Keys are hashed, so no address is kept."""

    key_hash = models.CharField(max_length=64, primary_key=True)
    count = models.PositiveIntegerField()
    resets_at = models.BigIntegerField(db_index=True)  # seconds since 1970

    def __str__(self) -> str:
        return f"{self.key_hash[:8]}: {self.count}"


class MerchantClock(models.Model):
    """The clock of a merchant's test side. No row: it is the real time there. It moves forward only (ADR 7).

    `moment` was reached at the real time `since` and the clock has run with it from then on. During a move `since` is None: it
    stands at `moment`, and is led to `target` from one thing that happens to the next.
    """

    merchant = models.OneToOneField(Merchant, on_delete=models.CASCADE, related_name="+")
    moment = models.DateTimeField()
    since = models.DateTimeField(null=True)
    target = models.DateTimeField(null=True)
    # The last move: where it began, the newest Event before it, and who asked for it.
    moved_from = models.DateTimeField(null=True)
    after_event = models.BigIntegerField(default=0)
    moved_by = models.CharField(max_length=300, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(since__isnull=False, target=None)
                | models.Q(since=None, target__isnull=False, target__gte=models.F("moment")),
                name="clock_runs_or_moves",
            )
        ]

    def __str__(self) -> str:
        return f"{self.now():%Y-%m-%d %H:%M}"

    def now(self) -> datetime:
        """What time it is on the test side."""
        if self.since is None:
            return self.moment
        return self.moment + max(clock.wall() - self.since, timedelta())

    @property
    def is_moving(self) -> bool:
        """Whether a move is under way."""
        return self.target is not None


def _wipe_id() -> str:
    return public_id("wipe")


class Wipe(models.Model):
    """An order to delete everything on a merchant's test side, and how far it has come. The row is the job (ADR 3)."""

    public_id = models.CharField(max_length=32, unique=True, default=_wipe_id, editable=False)
    merchant = models.ForeignKey(Merchant, on_delete=models.CASCADE, related_name="+")
    asked_by = models.JSONField(default=dict)
    asked_at = models.DateTimeField(default=timezone.now)
    # Rows at the beginning and rows that are gone; what is written meanwhile goes too, so the second may exceed the first.
    total = models.BigIntegerField(default=0)
    deleted = models.BigIntegerField(default=0)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["merchant"], condition=models.Q(finished_at=None), name="wipe_one_at_a_time"
            )
        ]
        indexes = [models.Index(fields=["id"], condition=models.Q(finished_at=None), name="wipe_unfinished")]

    def __str__(self) -> str:
        return f"{self.deleted} of {self.total}"
