"""Who they are and what they did: participants, visits, referrals, qualifying events and what was taken back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from campaigns.models import Campaign, CampaignVersion
from participants.agreement_models import Agreement as Agreement
from participants.agreement_models import TermsVersion as TermsVersion
from participants.application_models import Application as Application
from participants.application_models import ApplicationMail as ApplicationMail
from participants.application_models import HubAccess as HubAccess
from participants.application_models import application_nonce as application_nonce
from participants.capture_models import Capture as Capture
from participants.capture_models import CaptureName as CaptureName
from participants.code_models import ChosenCode as ChosenCode
from participants.customer_models import CustomerUpload as CustomerUpload
from participants.customer_models import KnownCustomer as KnownCustomer
from participants.destination_models import PayoutDestination as PayoutDestination
from participants.fraud.models import FraudAction as FraudAction
from participants.fraud.models import FraudBlock as FraudBlock
from participants.fraud.models import FraudCase as FraudCase
from participants.fraud.models import FraudEvaluation as FraudEvaluation
from participants.fraud.models import FraudReason as FraudReason
from participants.fraud.models import Trace as Trace
from participants.fraud.models import TrustedPair as TrustedPair
from participants.friend_models import FriendInvitation as FriendInvitation
from participants.friend_models import FriendReminder as FriendReminder
from participants.invite_models import Invite as Invite
from participants.invite_models import InviteLine as InviteLine
from participants.invite_models import InviteList as InviteList
from participants.invite_models import InviteSettings as InviteSettings
from participants.invite_models import NoInvite as NoInvite
from participants.mail_models import MailBounce as MailBounce
from participants.mail_models import MailOrder as MailOrder
from participants.mail_models import MailStop as MailStop
from participants.request_models import JoinRequest as JoinRequest
from participants.share_models import ReferralShare as ReferralShare
from participants.waiting_models import WaitingEvent as WaitingEvent
from referrals.accounts.tenancy import TenantModel, TenantQuerySet
from referrals.lib import clock
from referrals.lib.codes import public_id, random_text, referral_code
from referrals.lib.money import Money


def _participant_id() -> str:
    return public_id("pt")


def _event_id() -> str:
    return public_id("ev")


def _refund_id() -> str:
    return public_id("re")


def _nonce() -> str:
    return random_text(22)


class Participant(TenantModel):
    """A person enrolled in a campaign; as referrer they share, as invitee (the friend) they came through one."""

    public_id = models.CharField(max_length=32, unique=True, default=_participant_id, editable=False)
    campaign = models.ForeignKey(Campaign, on_delete=models.PROTECT, related_name="participants")
    email = models.CharField(_("e-mail address"), max_length=254)
    # Folded for look-ups, and reduced to the person for "nobody refers themselves" (referrals.lib.emails).
    email_key = models.CharField(max_length=254)
    identity_key = models.CharField(max_length=254)
    first_name = models.CharField(_("first name"), max_length=80, blank=True)
    last_name = models.CharField(_("last name"), max_length=80, blank=True)
    referral_code = models.CharField(max_length=16, unique=True, default=referral_code)
    # The code that they chose last; participants.code_models has all of them.
    vanity_code = models.CharField(max_length=16, blank=True)
    language = models.CharField(max_length=8, blank=True)
    source = models.CharField(max_length=24)
    existing_customer = models.BooleanField(_("was a customer before"), default=False)
    # How that is known: "hand" outweighs what lists, purchases and sources say ("list", "purchase", "source").
    customer_by = models.CharField(max_length=8, blank=True)
    # "attribution_expired" when the link they once opened was too old as they joined.
    unreferred_reason = models.CharField(max_length=20, blank=True)
    # "" for people added through the API, as the documented contract has it (API.md v1, fraudScore).
    fraud_level = models.CharField(max_length=8, blank=True)
    # What they earn, and earn for their referrer, waits for a person (participants.fraud).
    fraud_holds = models.BooleanField(default=False)
    # The rule whose reward they had at the checkout, by a promotion code that stands for it: it is not owed again (rewards.given).
    given_rule = models.CharField(max_length=32, blank=True, editable=False)
    # Their own wish: a place on the leaderboard without a name.
    hidden_on_board = models.BooleanField(default=False)
    joined_at = models.DateTimeField(default=clock.now)
    banned_at = models.DateTimeField(null=True, blank=True)
    ban_reason = models.CharField(max_length=300, blank=True)
    # Their data is gone, and they earn nothing any more (rewards.personal); such a row is banned as well.
    erased_at = models.DateTimeField(null=True, blank=True, editable=False)
    note = models.TextField(blank=True, max_length=4000)
    # What the merchant says of the person, for conditions over attributes: country, plan, anything.
    metadata = models.JSONField(default=dict, blank=True)

    objects = TenantQuerySet["Participant"].as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["campaign", "email_key"], name="participant_once")]
        indexes = [
            # The participants' list of one side, newest first, and of one campaign.
            models.Index(fields=["merchant", "is_test", "-joined_at", "-id"], name="participant_list"),
            models.Index(fields=["campaign", "-joined_at", "-id"], name="participant_campaign"),
            # A payment names an address, not a campaign.
            # ... and a search names its beginning, which PostgreSQL answers from an index of this class only.
            models.Index(
                fields=["merchant", "is_test", "email_key"],
                name="participant_email",
                opclasses=["int8_ops", "bool_ops", "varchar_pattern_ops"],
            ),
            # Who bought before, under whatever spelling.
            models.Index(fields=["merchant", "is_test", "identity_key"], name="participant_identity"),
        ]

    def __str__(self) -> str:
        return str(_("Erased person")) if self.erased_at else self.name or self.email

    @property
    def name(self) -> str:
        """First and last name, as far as known."""
        return f"{self.first_name} {self.last_name}".strip()

    @property
    def is_banned(self) -> bool:
        """Whether the merchant has banned this person."""
        return self.banned_at is not None


class Visit(models.Model):
    """One opening of a referral link. Machines are kept apart by `hidden_reason` and not counted (UX.md, bots)."""

    merchant = models.ForeignKey("accounts.Merchant", on_delete=models.PROTECT, related_name="+")
    is_test = models.BooleanField(default=False)
    campaign = models.ForeignKey(Campaign, on_delete=models.PROTECT, related_name="visits", db_index=False)
    referrer = models.ForeignKey(Participant, on_delete=models.PROTECT, related_name="visits", db_index=False)
    visitor = models.CharField(max_length=22)
    occurred_at = models.DateTimeField(default=clock.now)
    hidden_reason = models.CharField(max_length=12, blank=True)
    channel = models.CharField(max_length=40, blank=True)
    # The UTM parameters that the link came with, by name without "utm_", and the host name of the page it stood on.
    utm = models.JSONField(default=dict, blank=True)
    referer = models.CharField(max_length=100, blank=True)
    network = models.GenericIPAddressField(null=True)
    agent = models.CharField(max_length=200, blank=True)

    class Meta:
        indexes = [
            # Counting a person's clicks, and a campaign's by day.
            models.Index(fields=["referrer", "hidden_reason"], name="visit_referrer"),
            models.Index(fields=["campaign", "occurred_at"], name="visit_campaign"),
            # The visit behind a later referral.
            models.Index(fields=["visitor", "campaign"], name="visit_visitor"),
        ]

    def __str__(self) -> str:
        return f"visit at {self.occurred_at:%Y-%m-%d %H:%M}"


class Referral(TenantModel):
    """The bond between a referrer and an invitee. A detached one stays as history, and the invitee may be attached again.

    Where several share the friend (`split_by` names the model), `referrer` is the one with the largest part, and `shares` has all.

    `standing_for` is the invitee while the bond stands and empty afterwards, so that the database itself sees to it that at most one
    stands, and `participant.referral` is that one: detached ones are found under `participant.referrals_had` only.
    """

    HOW = (
        ("code", _("Referral link or code")),
        ("promotion_code", _("Promotion code")),
        ("cookie", _("Earlier click")),
        ("email", _("Referrer's address")),
        ("manual", _("Attached by hand")),
    )
    STATUSES = (
        ("pending", _("Pending")),
        ("qualified", _("Qualified")),
        ("approved", _("Approved")),
        ("denied", _("Denied")),
    )

    campaign = models.ForeignKey(Campaign, on_delete=models.PROTECT, related_name="referrals")
    referrer = models.ForeignKey(Participant, on_delete=models.PROTECT, related_name="referrals_made")
    invitee = models.ForeignKey(Participant, on_delete=models.PROTECT, related_name="referrals_had")
    standing_for = models.OneToOneField(
        Participant, on_delete=models.PROTECT, null=True, editable=False, related_name="referral"
    )
    how = models.CharField(max_length=14, choices=HOW)
    split_by = models.CharField(max_length=8, blank=True, editable=False)
    status = models.CharField(max_length=9, choices=STATUSES, default="pending")
    visit = models.ForeignKey(Visit, on_delete=models.PROTECT, null=True, related_name="+", db_index=False)
    created_at = models.DateTimeField(default=clock.now)
    detached_at = models.DateTimeField(null=True, blank=True)

    objects = TenantQuerySet["Referral"].as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=~Q(referrer=models.F("invitee")), name="referral_not_self"),
            models.CheckConstraint(
                condition=Q(detached_at=None, standing_for__isnull=False, standing_for=models.F("invitee"))
                | Q(detached_at__isnull=False, standing_for=None),
                name="referral_standing",
            ),
        ]
        indexes = [models.Index(fields=["referrer", "-id"], name="referral_of")]

    def __str__(self) -> str:
        return f"{self.referrer} invited {self.invitee}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Keep `standing_for` in line with `detached_at`."""
        self.standing_for_id = self.invitee_id if self.detached_at is None else None
        names = kwargs.get("update_fields")
        super().save(*args, **kwargs | ({"update_fields": {*names, "standing_for"}} if names is not None else {}))


class QualifyingEvent(TenantModel):
    """What a participant did that may earn rewards, with its source and that source's own id (PRODUCT.md, "Words").

    `version` is the set of rules in force when it was recorded: every later decision about it uses the same ones.
    """

    public_id = models.CharField(max_length=32, unique=True, default=_event_id, editable=False)
    campaign = models.ForeignKey(Campaign, on_delete=models.PROTECT, related_name="qualifying_events")
    version = models.ForeignKey(CampaignVersion, on_delete=models.PROTECT, related_name="+", db_index=False)
    participant = models.ForeignKey(Participant, on_delete=models.PROTECT, related_name="qualifying_events")
    type = models.CharField(max_length=40, default="purchase")
    amount_minor = models.BigIntegerField(null=True, blank=True)
    currency = models.CharField(max_length=3)
    source = models.CharField(max_length=24)
    external_id = models.CharField(max_length=255)
    occurred_at = models.DateTimeField()
    recorded_at = models.DateTimeField(default=clock.now)
    # Taken back so far: the sum of the refunds' rows, kept here for lists.
    refunded_minor = models.BigIntegerField(default=0)
    disputed_at = models.DateTimeField(null=True, blank=True)
    cancelled_at = models.DateTimeField(null=True, blank=True)
    # Imported history whose rewards were settled elsewhere: it counts like any other event, and earns nothing here (docs/imports.md).
    settled = models.BooleanField(default=False)
    metadata = models.JSONField(default=dict, blank=True)

    objects = TenantQuerySet["QualifyingEvent"].as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["campaign", "source", "external_id"], name="event_fact_once"),
            models.CheckConstraint(condition=Q(amount_minor=None) | Q(amount_minor__gte=0), name="event_amount"),
        ]
        indexes = [
            models.Index(fields=["participant", "occurred_at", "id"], name="event_of_participant"),
            # A campaign's purchases by day.
            models.Index(fields=["campaign", "occurred_at"], name="event_of_campaign"),
            # "Purchases and referrals": the events of one side, newest first; and the one with an order number.
            models.Index(fields=["merchant", "is_test", "-occurred_at", "-id"], name="event_list"),
            models.Index(fields=["merchant", "is_test", "external_id"], name="event_external_id"),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.external_id}"

    @property
    def amount(self) -> Money | None:
        """What was paid, if anything was."""
        return None if self.amount_minor is None else Money(self.amount_minor, self.currency)

    @property
    def kept(self) -> Money | None:
        """What is left of the amount after refunds."""
        if self.amount_minor is None:
            return None
        return Money(max(0, self.amount_minor - self.refunded_minor), self.currency)


class EventReference(TenantModel):
    """Another name that a source has for the same payment (checkout, invoice, charge), so that a refund finds it and a twin counts once."""

    source = models.CharField(max_length=24)
    reference = models.CharField(max_length=255)
    event = models.ForeignKey(QualifyingEvent, on_delete=models.PROTECT, related_name="references")

    objects = TenantQuerySet["EventReference"].as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["merchant", "is_test", "source", "reference"], name="event_reference_once")
        ]
        # A search names no source.
        indexes = [models.Index(fields=["merchant", "is_test", "reference"], name="event_reference_name")]

    def __str__(self) -> str:
        return f"{self.source} {self.reference}"


class CustomerReference(TenantModel):
    """A source's own id for a participant (a Stripe customer), so that a later invoice finds them without an address."""

    source = models.CharField(max_length=24)
    customer_id = models.CharField(max_length=255)
    participant = models.ForeignKey(Participant, on_delete=models.PROTECT, related_name="customer_references")

    objects = TenantQuerySet["CustomerReference"].as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["participant", "source", "customer_id"], name="customer_reference_once")
        ]
        indexes = [models.Index(fields=["merchant", "is_test", "source", "customer_id"], name="customer_reference")]

    def __str__(self) -> str:
        return f"{self.source} {self.customer_id}"


class Refund(TenantModel):
    """Money of a qualifying event taken back: a refund, a dispute, or the whole order cancelled.

    One that comes before its purchase waits for it (PRODUCT.md).
    """

    KINDS = (
        ("refund", _("Refund")),
        ("refund_back", _("Refund failed")),
        ("dispute", _("Dispute")),
        ("dispute_won", _("Dispute won")),
        ("cancelled", _("Cancelled")),
    )

    public_id = models.CharField(max_length=32, unique=True, default=_refund_id, editable=False)
    event = models.ForeignKey(QualifyingEvent, on_delete=models.PROTECT, null=True, related_name="refunds")
    kind = models.CharField(max_length=11, choices=KINDS, default="refund")
    # None takes back all of the payment.
    amount_minor = models.BigIntegerField(null=True)
    currency = models.CharField(max_length=3, blank=True)
    source = models.CharField(max_length=24)
    external_id = models.CharField(max_length=255)
    occurred_at = models.DateTimeField()
    recorded_at = models.DateTimeField(default=clock.now)

    objects = TenantQuerySet["Refund"].as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["merchant", "is_test", "source", "external_id"], name="refund_fact_once"),
            models.CheckConstraint(condition=Q(amount_minor=None) | Q(amount_minor__gt=0), name="refund_amount"),
        ]
        indexes = [
            # Refunds that wait for their purchase, newest first.
            models.Index(fields=["merchant", "is_test", "-id"], condition=Q(event=None), name="refund_waiting_list"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.external_id}"


class RefundReference(TenantModel):
    """A name of the payment that a refund waits for.

    A shop's refunds of payments that nobody referred wait for ever; the one that is wanted is found among them by index.
    """

    refund = models.ForeignKey(Refund, on_delete=models.CASCADE, related_name="waiting_for")
    source = models.CharField(max_length=24)
    reference = models.CharField(max_length=255)

    objects = TenantQuerySet["RefundReference"].as_manager()

    class Meta:
        indexes = [models.Index(fields=["merchant", "is_test", "source", "reference"], name="refund_reference")]

    def __str__(self) -> str:
        return f"{self.source} {self.reference}"


class PortalLink(models.Model):
    """A mailed one-time link to a participant's own page: ten minutes, one use (RELIABILITY section 7).

    The link carries this row's number and nonce, signed; the row says whether it was used.
    """

    LIFE = timedelta(minutes=10)

    participant = models.ForeignKey(Participant, on_delete=models.CASCADE, related_name="portal_links")
    nonce = models.CharField(max_length=22, default=_nonce)
    created_at = models.DateTimeField(default=clock.now)
    sent_at = models.DateTimeField(null=True)
    used_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["id"], condition=Q(sent_at=None), name="portal_link_unsent")]

    def __str__(self) -> str:
        return f"link of {self.participant}"


class PortalSession(models.Model):
    """A participant's log-in on one browser, after a mailed link. Only the token's hash is kept."""

    LIFE = timedelta(days=30)

    participant = models.ForeignKey(Participant, on_delete=models.CASCADE, related_name="portal_sessions")
    token_hash = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(default=clock.now)
    expires_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    # Kept to five minutes.
    seen_at = models.DateTimeField(default=clock.wall)
    agent = models.CharField(max_length=200, blank=True)

    def __str__(self) -> str:
        return f"session of {self.participant}"
