"""What is on offer: campaigns, the versions of their rules, their texts, their look."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any, cast

from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from campaigns.conditions import conditions_from_json
from campaigns.join_models import JoinFields
from campaigns.link_models import LinkFields
from campaigns.listing_models import Listing as Listing
from campaigns.mail_models import CampaignMail as CampaignMail
from campaigns.sighting_models import Sighting as Sighting
from campaigns.terms import Amount, Delivery, Fixed, Kind, Limits, Percent, RuleTerms, Side, Tier, Trigger, Units
from referrals.accounts.models import User, check_currency_code
from referrals.accounts.tenancy import TenantModel, TenantQuerySet
from referrals.lib import clock
from referrals.lib.codes import campaign_id, public_id
from referrals.lib.money import Money


class Status(models.TextChoices):
    """Where a campaign stands. API v1 says Active, Pause and End (API.md)."""

    DRAFT = "draft", _("Draft")
    ACTIVE = "active", _("Active")
    PAUSED = "paused", _("Paused")
    ENDED = "ended", _("Ended")


class CampaignType(models.TextChoices):
    """A type is a set of sensible rules, pages and texts, not a different code path (PRODUCT.md)."""

    REFER_A_FRIEND = "refer_a_friend", _("Refer a friend")
    AFFILIATE = "affiliate", _("Affiliate")
    NEWSLETTER = "newsletter", _("Newsletter")
    MILESTONE = "milestone", _("Milestones")
    LEADERBOARD = "leaderboard", _("Leaderboard")


class CampaignQuerySet(TenantQuerySet["Campaign"]):
    """Campaigns by what they do."""

    def running(self) -> CampaignQuerySet:
        """Launched and neither paused nor ended."""
        return self.filter(status=Status.ACTIVE)

    def launched(self) -> CampaignQuerySet:
        """Everything but drafts: what has a public page."""
        return self.exclude(status=Status.DRAFT)


class Campaign(JoinFields, LinkFields, TenantModel):
    """One referral programme of a merchant."""

    FONTS = (
        ("sans", _("Clean")),
        ("serif", _("Classic")),
        ("rounded", _("Friendly")),
        ("mono", _("Technical")),
    )
    FRAUD_PRESETS = (("relaxed", _("Relaxed")), ("balanced", _("Balanced")), ("strict", _("Strict")))
    MODELS = (
        ("first_click", _("First click wins")),
        ("last_click", _("Last click wins")),
        ("linear", _("Shared, every click the same")),
        ("position", _("Shared, 40% for the first and the last click")),
    )

    public_id = models.CharField(max_length=10, unique=True, default=campaign_id, editable=False)
    name = models.CharField(_("name"), max_length=120)
    type = models.CharField(_("type"), max_length=16, choices=CampaignType.choices, default=CampaignType.REFER_A_FRIEND)
    status = models.CharField(_("status"), max_length=6, choices=Status.choices, default=Status.DRAFT)
    # Events from this moment on are judged by the present status without reading its history.
    status_since = models.DateTimeField(default=clock.now, editable=False)
    currency = models.CharField(_("currency"), max_length=3, validators=[check_currency_code])
    starts_at = models.DateTimeField(_("starts"), null=True, blank=True)
    ends_at = models.DateTimeField(_("ends"), null=True, blank=True)
    attribution_model = models.CharField(max_length=11, choices=MODELS, default="first_click")
    window_days = models.PositiveSmallIntegerField(_("attribution window in days"), default=60)
    fraud_preset = models.CharField(_("fraud check"), max_length=8, choices=FRAUD_PRESETS, default="balanced")
    default_language = models.CharField(max_length=8, default="en")
    brand_color = models.CharField(
        _("brand colour"),
        max_length=7,
        default="#0a6470",
        validators=[RegexValidator(r"^#[0-9a-fA-F]{6}\Z", _("Use a colour such as #c93a17."))],
    )
    font = models.CharField(_("font"), max_length=7, choices=FONTS, default="sans")
    version = models.ForeignKey(
        "CampaignVersion", on_delete=models.PROTECT, null=True, editable=False, related_name="+"
    )
    revision = models.PositiveIntegerField(default=1, editable=False)
    # Whether any version of the rules has looked at a referrer as a whole, or kept a budget: what deciding has to lock and load.
    counts_referrers = models.BooleanField(default=False, editable=False)
    has_budget = models.BooleanField(default=False, editable=False)
    # Whether a friend was ever shared between several referrers (campaigns.splits): set by the first one, and kept.
    has_splits = models.BooleanField(default=False, editable=False)
    # When the prizes of its leaderboard were given.
    leaderboard_closed_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(default=clock.now, editable=False)
    launched_at = models.DateTimeField(null=True, editable=False)

    objects = CampaignQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(window_days__gte=1, window_days__lte=365), name="campaign_window"),
            models.CheckConstraint(
                condition=Q(ends_at=None) | Q(starts_at=None) | Q(ends_at__gt=models.F("starts_at")),
                name="campaign_ends_after_start",
            ),
            models.CheckConstraint(
                condition=Q(status="draft") | Q(version__isnull=False), name="campaign_launched_has_rules"
            ),
            # One campaign for each name. An unproven host name is nobody's, so that nobody can keep the owner out.
            models.UniqueConstraint(fields=["link_name"], condition=~Q(link_name=""), name="campaign_link_name"),
            models.UniqueConstraint(fields=["host"], condition=Q(host_verified_at__isnull=False), name="campaign_host"),
        ]
        indexes = [models.Index(fields=["merchant", "is_test", "-id"], name="campaign_list")]

    def __str__(self) -> str:
        return self.name

    @property
    def is_open(self) -> bool:
        """Whether people can join now: active and inside its dates."""
        return self.closed_reason(clock.now()) is None

    def closed_reason(self, at: datetime, status: str | None = None) -> str | None:
        """Why nobody can join or earn at `at`: campaign_not_started, campaign_paused, campaign_ended, or None.

        `status` is what the campaign was at that time, when that is not what it is now.
        """
        status = status or self.status
        if status == Status.DRAFT or (self.starts_at is not None and at < self.starts_at):
            return "campaign_not_started"
        if status == Status.ENDED or (self.ends_at is not None and at >= self.ends_at):
            return "campaign_ended"
        return "campaign_paused" if status == Status.PAUSED else None

    def closed_reasons(self, times: Iterable[datetime]) -> dict[datetime, str | None]:
        """closed_reason() at each time, by the status that was in force then; at most one query, for times before the last change."""
        times = list(times)
        changes: list[StatusChange] = []
        if any(at < self.status_since for at in times):
            changes = list(StatusChange.objects.filter(campaign_id=self.pk).order_by("-at", "-pk"))
        answers: dict[datetime, str | None] = {}
        for at in times:
            status = str(self.status)
            if at < self.status_since:
                status = next((change.status for change in changes if change.at <= at), Status.DRAFT)
            answers[at] = self.closed_reason(at, status)
        return answers

    def money(self, minor: int) -> Money:
        """An amount in the campaign's currency."""
        return Money(minor, self.currency)


class StatusChange(models.Model):
    """From when a campaign has had which status: what a late event is judged by (seed 004: "while the campaign was paused")."""

    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, related_name="status_changes")
    status = models.CharField(max_length=6, choices=Status.choices)
    at = models.DateTimeField(default=clock.now)

    class Meta:
        ordering = ["at", "pk"]
        indexes = [models.Index(fields=["campaign", "at"], name="status_change_at")]

    def __str__(self) -> str:
        return f"{self.status} from {self.at:%Y-%m-%d %H:%M}"


class CampaignVersion(models.Model):
    """One published set of rules. Rewards keep the version they were made under; publishing makes the next (PRODUCT.md)."""

    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    published_at = models.DateTimeField(default=clock.now)
    published_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["campaign", "number"], name="campaign_version_once")]
        ordering = ["-number"]

    def __str__(self) -> str:
        return f"version {self.number}"


def rule_key() -> str:
    """The id of a rule that stays the same through all versions."""
    return public_id("rule")


class AmountFields(models.Model):
    """How much: fixed (minor units), per cent with a cap (minor units), or units of something."""

    TYPES = (
        ("fixed", _("Fixed amount")),
        ("percent", _("Share of the purchase")),
        ("units", _("Units of something")),
    )

    amount_type = models.CharField(max_length=7, choices=TYPES, default="fixed")
    amount_minor = models.BigIntegerField(null=True, blank=True)
    percent = models.DecimalField(max_digits=7, decimal_places=4, null=True, blank=True)
    cap_minor = models.BigIntegerField(null=True, blank=True)
    units = models.PositiveIntegerField(null=True, blank=True)
    units_label = models.CharField(max_length=60, blank=True)

    class Meta:
        abstract = True

    def amount_in(self, currency: str) -> Amount:
        """The amount as a plain value in the campaign's currency."""
        if self.amount_type == "percent":
            return Percent(cast(Decimal, self.percent), money_or_none(self.cap_minor, currency))
        if self.amount_type == "units":
            return Units(cast(int, self.units), self.units_label)
        return Fixed(Money(cast(int, self.amount_minor), currency))


def money_or_none(minor: int | None, currency: str) -> Money | None:
    """An amount that may be left open."""
    return None if minor is None else Money(minor, currency)


def amount_fields(amount: Amount) -> dict[str, Any]:
    """The columns of AmountFields that keep an amount."""
    match amount:
        case Fixed(money):
            return {"amount_type": "fixed", "amount_minor": money.minor}
        case Percent(rate, cap):
            return {"amount_type": "percent", "percent": rate, "cap_minor": cap.minor if cap else None}
        case Units(units, label):
            return {"amount_type": "units", "units": units, "units_label": label}


class RewardRule(AmountFields):
    """One rule of one version, for one side: what API.md calls `Rule`. Never changed once its version is published."""

    SIDES = (("referrer", _("Referrer")), ("invitee", _("Friend")))
    TRIGGERS = (
        ("join", _("When they join")),
        ("first_event", _("First purchase")),
        ("every_event", _("Every purchase")),
        ("nth_event", _("The n-th purchase")),
        ("from_nth_event", _("Every purchase from the n-th on")),
        ("milestone", _("A milestone")),
        ("tier", _("A tier")),
        ("leaderboard", _("A rank on the leaderboard")),
        ("status", _("A status you set")),
    )
    KINDS = (
        ("cash", _("Cash")),
        ("coupon", _("Coupon")),
        ("store_credit", _("Store credit")),
        ("gift_card", _("Gift card")),
        ("custom", _("Custom")),
    )
    DELIVERIES = (
        ("manual", _("By hand")),
        ("immediate", _("At once after review")),
        ("weekly", _("Weekly")),
        ("day_15", _("On the 15th")),
        ("month_end", _("On the last day of the month")),
    )

    version = models.ForeignKey(CampaignVersion, on_delete=models.CASCADE, related_name="rules")
    key = models.CharField(max_length=32, default=rule_key)
    position = models.PositiveSmallIntegerField(default=0)
    side = models.CharField(max_length=8, choices=SIDES)
    trigger = models.CharField(max_length=14, choices=TRIGGERS)
    event_type = models.CharField(max_length=40, default="purchase")
    nth = models.PositiveIntegerField(null=True, blank=True)
    recurring = models.BooleanField(default=False)
    label = models.CharField(max_length=60, blank=True)
    kind = models.CharField(max_length=12, choices=KINDS, default="cash")
    minimum_purchase_minor = models.BigIntegerField(null=True, blank=True)
    max_purchases_per_friend = models.PositiveIntegerField(null=True, blank=True)
    new_customers_only = models.BooleanField(default=False)
    within_days = models.PositiveSmallIntegerField(null=True, blank=True)
    limit_per_referrer_minor = models.BigIntegerField(null=True, blank=True)
    limit_per_referrer_year_minor = models.BigIntegerField(null=True, blank=True)
    limit_campaign_minor = models.BigIntegerField(null=True, blank=True)
    limit_campaign_month_minor = models.BigIntegerField(null=True, blank=True)
    limit_campaign_week_minor = models.BigIntegerField(null=True, blank=True)
    limit_campaign_day_minor = models.BigIntegerField(null=True, blank=True)
    # All or any of comparisons with attributes of event, friend, referrer and campaign, as API.md's Rule writes them.
    conditions = models.JSONField(null=True, blank=True)
    review_days = models.PositiveSmallIntegerField(default=0)
    delivery = models.CharField(max_length=9, choices=DELIVERIES, default="manual")
    minimum_payout_minor = models.BigIntegerField(null=True, blank=True)

    class Meta:
        ordering = ["position", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["version", "key"], name="rule_once_per_version"),
            models.CheckConstraint(condition=Q(amount_minor=None) | Q(amount_minor__gt=0), name="rule_amount_positive"),
            models.CheckConstraint(condition=Q(percent=None) | Q(percent__gt=0, percent__lte=100), name="rule_percent"),
            models.CheckConstraint(
                condition=Q(amount_type="fixed", amount_minor__isnull=False)
                | Q(amount_type="percent", percent__isnull=False)
                | Q(amount_type="units", units__isnull=False),
                name="rule_has_amount",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.side}: {self.trigger}"

    def terms(self, currency: str) -> RuleTerms:
        """The rule as plain values in the campaign's currency. Reads `tiers`: prefetch them for many rules."""

        def money(minor: int | None) -> Money | None:
            return money_or_none(minor, currency)

        return RuleTerms(
            key=self.key,
            side=cast(Side, self.side),
            trigger=cast(Trigger, self.trigger),
            amount=self.amount_in(currency),
            kind=cast(Kind, self.kind),
            event=self.event_type,
            nth=self.nth,
            recurring=self.recurring,
            label=self.label,
            minimum_purchase=money(self.minimum_purchase_minor),
            max_purchases_per_friend=self.max_purchases_per_friend,
            new_customers_only=self.new_customers_only,
            within_days=self.within_days,
            conditions=conditions_from_json(self.conditions),
            limits=Limits(
                per_referrer=money(self.limit_per_referrer_minor),
                per_referrer_year=money(self.limit_per_referrer_year_minor),
                campaign=money(self.limit_campaign_minor),
                campaign_month=money(self.limit_campaign_month_minor),
                campaign_week=money(self.limit_campaign_week_minor),
                campaign_day=money(self.limit_campaign_day_minor),
            ),
            tiers=tuple(
                Tier(row.first, row.last, row.amount_in(currency))
                for row in sorted(self.tiers.all(), key=lambda row: row.first)
            ),
            review_days=self.review_days,
            delivery=cast(Delivery, self.delivery),
            minimum_payout=money(self.minimum_payout_minor),
        )


class RuleTier(AmountFields):
    """The amount of a rule from the `first` to the `last` friend (FlexiTiers, seed 004), or of these ranks of a leaderboard."""

    rule = models.ForeignKey(RewardRule, on_delete=models.CASCADE, related_name="tiers")
    first = models.PositiveIntegerField()
    last = models.PositiveIntegerField(null=True, blank=True)

    class Meta:
        ordering = ["first"]
        constraints = [
            models.UniqueConstraint(fields=["rule", "first"], name="tier_once"),
            models.CheckConstraint(condition=Q(last=None) | Q(last__gte=models.F("first")), name="tier_forward"),
        ]

    def __str__(self) -> str:
        return f"{self.first} to {self.last or 'any'}"


class CampaignText(models.Model):
    """What the pages say, in one language (PRODUCT.md, "Texts"). An empty field falls back to the default language, then to ours."""

    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, related_name="texts")
    language = models.CharField(max_length=8)
    reward_header = models.CharField(_("headline for friends"), max_length=120, blank=True)
    reward_description = models.CharField(_("text for friends"), max_length=600, blank=True)
    share_header = models.CharField(_("headline for referrers"), max_length=120, blank=True)
    share_description = models.CharField(_("text for referrers"), max_length=600, blank=True)
    share_message = models.CharField(_("message that is shared"), max_length=280, blank=True)
    terms = models.TextField(_("offer terms"), max_length=20_000, blank=True)
    thank_you = models.CharField(_("thank-you after joining"), max_length=300, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["campaign", "language"], name="campaign_text_once")]

    def __str__(self) -> str:
        return f"{self.campaign} ({self.language})"


class CampaignImage(models.Model):
    """A logo or picture, decoded and written anew by us (no EXIF, no SVG), kept in the database (RELIABILITY section 6, row 26)."""

    KINDS = (("logo", _("Logo")), ("hero", _("Picture")))

    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, related_name="images")
    kind = models.CharField(max_length=4, choices=KINDS)
    digest = models.CharField(max_length=16)
    content = models.BinaryField()
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["campaign", "kind"], name="campaign_image_once")]

    def __str__(self) -> str:
        return f"{self.kind} of {self.campaign}"
