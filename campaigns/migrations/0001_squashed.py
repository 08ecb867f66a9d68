"""Campaigns and the versions of their rules, as they stood before the first release."""

from __future__ import annotations

import django.core.validators
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import campaigns.models
import referrals.accounts.models
import referrals.lib.clock
import referrals.lib.codes


class Migration(migrations.Migration):
    initial = True
    # A database that has all of these is where this migration and its neighbours lead.
    replaces = [
        ("campaigns", "0001_initial"),
        ("campaigns", "0002_rules_to_the_full"),
        ("campaigns", "0003_fraud"),
    ]

    dependencies = [
        ("accounts", "0001_squashed"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Campaign",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("is_test", models.BooleanField(default=False)),
                (
                    "landing_mode",
                    models.CharField(
                        choices=[("hosted", "Our hosted page"), ("redirect", "A page of mine")],
                        default="hosted",
                        max_length=8,
                    ),
                ),
                ("landing_url", models.URLField(blank=True, max_length=2000, verbose_name="page address")),
                ("allowed_hosts", models.JSONField(blank=True, default=list)),
                ("app_schemes", models.JSONField(blank=True, default=list)),
                ("script_origins", models.JSONField(blank=True, default=list)),
                ("utm", models.JSONField(blank=True, default=dict)),
                (
                    "consent",
                    models.CharField(
                        choices=[
                            ("always", "Always, as a cookie that the offer needs"),
                            ("ask", "Only after the visitor agrees"),
                            ("never", "Never"),
                        ],
                        default="always",
                        max_length=6,
                    ),
                ),
                ("own_codes", models.BooleanField(default=True, verbose_name="people choose their own code")),
                (
                    "link_name",
                    models.CharField(
                        blank=True,
                        max_length=30,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[a-z0-9](?:[a-z0-9-]{1,28}[a-z0-9])\\Z", "Use small letters, digits and hyphens."
                            )
                        ],
                        verbose_name="name in links",
                    ),
                ),
                ("host", models.CharField(blank=True, max_length=253, verbose_name="own host name")),
                ("host_verified_at", models.DateTimeField(editable=False, null=True)),
                (
                    "public_id",
                    models.CharField(
                        default=referrals.lib.codes.campaign_id, editable=False, max_length=10, unique=True
                    ),
                ),
                ("name", models.CharField(max_length=120, verbose_name="name")),
                (
                    "type",
                    models.CharField(
                        choices=[
                            ("refer_a_friend", "Refer a friend"),
                            ("affiliate", "Affiliate"),
                            ("newsletter", "Newsletter"),
                            ("milestone", "Milestones"),
                            ("leaderboard", "Leaderboard"),
                        ],
                        default="refer_a_friend",
                        max_length=16,
                        verbose_name="type",
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[("draft", "Draft"), ("active", "Active"), ("paused", "Paused"), ("ended", "Ended")],
                        default="draft",
                        max_length=6,
                        verbose_name="status",
                    ),
                ),
                ("status_since", models.DateTimeField(default=referrals.lib.clock.now, editable=False)),
                (
                    "currency",
                    models.CharField(
                        max_length=3,
                        validators=[referrals.accounts.models.check_currency_code],
                        verbose_name="currency",
                    ),
                ),
                ("starts_at", models.DateTimeField(blank=True, null=True, verbose_name="starts")),
                ("ends_at", models.DateTimeField(blank=True, null=True, verbose_name="ends")),
                (
                    "attribution_model",
                    models.CharField(
                        choices=[
                            ("first_click", "First click wins"),
                            ("last_click", "Last click wins"),
                            ("linear", "Shared, every click the same"),
                            ("position", "Shared, 40% for the first and the last click"),
                        ],
                        default="first_click",
                        max_length=11,
                    ),
                ),
                (
                    "window_days",
                    models.PositiveSmallIntegerField(default=60, verbose_name="attribution window in days"),
                ),
                (
                    "fraud_preset",
                    models.CharField(
                        choices=[("relaxed", "Relaxed"), ("balanced", "Balanced"), ("strict", "Strict")],
                        default="balanced",
                        max_length=8,
                        verbose_name="fraud check",
                    ),
                ),
                ("default_language", models.CharField(default="en", max_length=8)),
                (
                    "brand_color",
                    models.CharField(
                        default="#0a6470",
                        max_length=7,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^#[0-9a-fA-F]{6}\\Z", "Use a colour such as #c93a17."
                            )
                        ],
                        verbose_name="brand colour",
                    ),
                ),
                (
                    "font",
                    models.CharField(
                        choices=[
                            ("sans", "Clean"),
                            ("serif", "Classic"),
                            ("rounded", "Friendly"),
                            ("mono", "Technical"),
                        ],
                        default="sans",
                        max_length=7,
                        verbose_name="font",
                    ),
                ),
                ("revision", models.PositiveIntegerField(default=1, editable=False)),
                ("counts_referrers", models.BooleanField(default=False, editable=False)),
                ("has_budget", models.BooleanField(default=False, editable=False)),
                ("has_splits", models.BooleanField(default=False, editable=False)),
                ("leaderboard_closed_at", models.DateTimeField(editable=False, null=True)),
                ("created_at", models.DateTimeField(default=referrals.lib.clock.now, editable=False)),
                ("launched_at", models.DateTimeField(editable=False, null=True)),
                (
                    "merchant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="accounts.merchant"
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["merchant", "is_test", "-id"], name="campaign_list")],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("window_days__gte", 1), ("window_days__lte", 365)), name="campaign_window"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("ends_at", None),
                            ("starts_at", None),
                            ("ends_at__gt", models.F("starts_at")),
                            _connector="OR",
                        ),
                        name="campaign_ends_after_start",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("link_name", ""), _negated=True),
                        fields=("link_name",),
                        name="campaign_link_name",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("host_verified_at__isnull", False)), fields=("host",), name="campaign_host"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="CampaignVersion",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("number", models.PositiveIntegerField()),
                ("published_at", models.DateTimeField(default=referrals.lib.clock.now)),
                (
                    "campaign",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="versions", to="campaigns.campaign"
                    ),
                ),
                (
                    "published_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "ordering": ["-number"],
                "constraints": [models.UniqueConstraint(fields=("campaign", "number"), name="campaign_version_once")],
            },
        ),
        migrations.AddField(
            model_name="Campaign",
            name="version",
            field=models.ForeignKey(
                editable=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="campaigns.campaignversion",
            ),
        ),
        migrations.CreateModel(
            name="RewardRule",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "amount_type",
                    models.CharField(
                        choices=[
                            ("fixed", "Fixed amount"),
                            ("percent", "Share of the purchase"),
                            ("units", "Units of something"),
                        ],
                        default="fixed",
                        max_length=7,
                    ),
                ),
                ("amount_minor", models.BigIntegerField(blank=True, null=True)),
                ("percent", models.DecimalField(blank=True, decimal_places=4, max_digits=7, null=True)),
                ("cap_minor", models.BigIntegerField(blank=True, null=True)),
                ("units", models.PositiveIntegerField(blank=True, null=True)),
                ("units_label", models.CharField(blank=True, max_length=60)),
                ("key", models.CharField(default=campaigns.models.rule_key, max_length=32)),
                ("position", models.PositiveSmallIntegerField(default=0)),
                ("side", models.CharField(choices=[("referrer", "Referrer"), ("invitee", "Friend")], max_length=8)),
                (
                    "trigger",
                    models.CharField(
                        choices=[
                            ("join", "When they join"),
                            ("first_event", "First purchase"),
                            ("every_event", "Every purchase"),
                            ("nth_event", "The n-th purchase"),
                            ("from_nth_event", "Every purchase from the n-th on"),
                            ("milestone", "A milestone"),
                            ("tier", "A tier"),
                            ("leaderboard", "A rank on the leaderboard"),
                            ("status", "A status you set"),
                        ],
                        max_length=14,
                    ),
                ),
                ("event_type", models.CharField(default="purchase", max_length=40)),
                ("nth", models.PositiveIntegerField(blank=True, null=True)),
                ("recurring", models.BooleanField(default=False)),
                ("label", models.CharField(blank=True, max_length=60)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("cash", "Cash"),
                            ("coupon", "Coupon"),
                            ("store_credit", "Store credit"),
                            ("gift_card", "Gift card"),
                            ("custom", "Custom"),
                        ],
                        default="cash",
                        max_length=12,
                    ),
                ),
                ("minimum_purchase_minor", models.BigIntegerField(blank=True, null=True)),
                ("max_purchases_per_friend", models.PositiveIntegerField(blank=True, null=True)),
                ("new_customers_only", models.BooleanField(default=False)),
                ("within_days", models.PositiveSmallIntegerField(blank=True, null=True)),
                ("limit_per_referrer_minor", models.BigIntegerField(blank=True, null=True)),
                ("limit_per_referrer_year_minor", models.BigIntegerField(blank=True, null=True)),
                ("limit_campaign_minor", models.BigIntegerField(blank=True, null=True)),
                ("limit_campaign_month_minor", models.BigIntegerField(blank=True, null=True)),
                ("limit_campaign_week_minor", models.BigIntegerField(blank=True, null=True)),
                ("limit_campaign_day_minor", models.BigIntegerField(blank=True, null=True)),
                ("conditions", models.JSONField(blank=True, null=True)),
                ("review_days", models.PositiveSmallIntegerField(default=0)),
                (
                    "delivery",
                    models.CharField(
                        choices=[
                            ("manual", "By hand"),
                            ("immediate", "At once after review"),
                            ("weekly", "Weekly"),
                            ("day_15", "On the 15th"),
                            ("month_end", "On the last day of the month"),
                        ],
                        default="manual",
                        max_length=9,
                    ),
                ),
                ("minimum_payout_minor", models.BigIntegerField(blank=True, null=True)),
                (
                    "version",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="rules",
                        to="campaigns.campaignversion",
                    ),
                ),
            ],
            options={
                "ordering": ["position", "pk"],
                "constraints": [
                    models.UniqueConstraint(fields=("version", "key"), name="rule_once_per_version"),
                    models.CheckConstraint(
                        condition=models.Q(("amount_minor", None), ("amount_minor__gt", 0), _connector="OR"),
                        name="rule_amount_positive",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("percent", None), models.Q(("percent__gt", 0), ("percent__lte", 100)), _connector="OR"
                        ),
                        name="rule_percent",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("amount_minor__isnull", False), ("amount_type", "fixed")),
                            models.Q(("amount_type", "percent"), ("percent__isnull", False)),
                            models.Q(("amount_type", "units"), ("units__isnull", False)),
                            _connector="OR",
                        ),
                        name="rule_has_amount",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="RuleTier",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "amount_type",
                    models.CharField(
                        choices=[
                            ("fixed", "Fixed amount"),
                            ("percent", "Share of the purchase"),
                            ("units", "Units of something"),
                        ],
                        default="fixed",
                        max_length=7,
                    ),
                ),
                ("amount_minor", models.BigIntegerField(blank=True, null=True)),
                ("percent", models.DecimalField(blank=True, decimal_places=4, max_digits=7, null=True)),
                ("cap_minor", models.BigIntegerField(blank=True, null=True)),
                ("units", models.PositiveIntegerField(blank=True, null=True)),
                ("units_label", models.CharField(blank=True, max_length=60)),
                ("first", models.PositiveIntegerField()),
                ("last", models.PositiveIntegerField(blank=True, null=True)),
                (
                    "rule",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="tiers", to="campaigns.rewardrule"
                    ),
                ),
            ],
            options={
                "ordering": ["first"],
                "constraints": [
                    models.UniqueConstraint(fields=("rule", "first"), name="tier_once"),
                    models.CheckConstraint(
                        condition=models.Q(("last", None), ("last__gte", models.F("first")), _connector="OR"),
                        name="tier_forward",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="StatusChange",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "status",
                    models.CharField(
                        choices=[("draft", "Draft"), ("active", "Active"), ("paused", "Paused"), ("ended", "Ended")],
                        max_length=6,
                    ),
                ),
                ("at", models.DateTimeField(default=referrals.lib.clock.now)),
                (
                    "campaign",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="status_changes",
                        to="campaigns.campaign",
                    ),
                ),
            ],
            options={
                "ordering": ["at", "pk"],
                "indexes": [models.Index(fields=["campaign", "at"], name="status_change_at")],
            },
        ),
        migrations.CreateModel(
            name="CampaignImage",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("kind", models.CharField(choices=[("logo", "Logo"), ("hero", "Picture")], max_length=4)),
                ("digest", models.CharField(max_length=16)),
                ("content", models.BinaryField()),
                ("width", models.PositiveIntegerField()),
                ("height", models.PositiveIntegerField()),
                (
                    "campaign",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="images", to="campaigns.campaign"
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("campaign", "kind"), name="campaign_image_once")],
            },
        ),
        migrations.CreateModel(
            name="CampaignMail",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("kind", models.CharField(max_length=16)),
                ("is_on", models.BooleanField(default=True)),
                ("words", models.JSONField(blank=True, default=dict)),
                (
                    "campaign",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="mails", to="campaigns.campaign"
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("campaign", "kind"), name="campaign_mail_once")],
            },
        ),
    ]
