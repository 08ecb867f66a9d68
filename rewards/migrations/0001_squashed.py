"""Decisions, rewards and the ledger, as they stood before the first release."""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models

import referrals.lib.clock
import rewards.models
import rewards.payout_models


class Migration(migrations.Migration):
    initial = True
    # A database that has all of these is where this migration and its neighbours lead.
    replaces = [
        ("rewards", "0001_initial"),
        ("rewards", "0002_append_only"),
        ("rewards", "0003_schedules"),
        ("rewards", "0004_purchases"),
        ("rewards", "0005_reward_once"),
        ("rewards", "0006_rules_to_the_full"),
    ]

    dependencies = [
        ("accounts", "0001_squashed"),
        ("campaigns", "0002_squashed_texts"),
        ("participants", "0003_squashed_customers"),
    ]

    operations = [
        migrations.CreateModel(
            name="PayoutBatch",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("is_test", models.BooleanField(default=False)),
                (
                    "public_id",
                    models.CharField(
                        default=rewards.payout_models._batch_id, editable=False, max_length=32, unique=True
                    ),
                ),
                ("key", models.CharField(max_length=80)),
                ("method", models.CharField(max_length=24)),
                ("note", models.CharField(blank=True, max_length=500)),
                ("created_by", models.CharField(blank=True, max_length=300)),
                ("created_at", models.DateTimeField(default=referrals.lib.clock.now)),
                ("undone_at", models.DateTimeField(null=True)),
                (
                    "merchant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="accounts.merchant"
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "payout batches",
                "indexes": [models.Index(fields=["merchant", "is_test", "-id"], name="payout_batch_list")],
                "constraints": [
                    models.UniqueConstraint(fields=("merchant", "is_test", "key"), name="payout_batch_once")
                ],
            },
        ),
        migrations.CreateModel(
            name="Payout",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("is_test", models.BooleanField(default=False)),
                (
                    "public_id",
                    models.CharField(
                        default=rewards.payout_models._payout_id, editable=False, max_length=32, unique=True
                    ),
                ),
                ("side", models.CharField(choices=[("referrer", "Referrer"), ("invitee", "Friend")], max_length=8)),
                ("method", models.CharField(max_length=24)),
                ("amount_minor", models.BigIntegerField()),
                ("netted_minor", models.BigIntegerField(default=0)),
                ("currency", models.CharField(max_length=3)),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("queued", "Queued"),
                            ("sending", "Sending"),
                            ("sent", "Sent"),
                            ("paid", "Paid"),
                            ("failed", "Failed"),
                            ("unknown", "Outcome unknown"),
                            ("needs_attention", "Needs attention"),
                            ("undone", "Undone"),
                        ],
                        default="queued",
                        max_length=15,
                    ),
                ),
                ("key", models.CharField(max_length=64, unique=True)),
                ("reference", models.CharField(blank=True, max_length=255)),
                ("message", models.CharField(blank=True, max_length=500)),
                ("attempts", models.PositiveIntegerField(default=0)),
                ("next_attempt_at", models.DateTimeField(blank=True, null=True)),
                ("created_at", models.DateTimeField(default=referrals.lib.clock.now)),
                ("paid_at", models.DateTimeField(blank=True, null=True)),
                (
                    "merchant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="accounts.merchant"
                    ),
                ),
                (
                    "participant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="payouts",
                        to="participants.participant",
                    ),
                ),
                (
                    "batch",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="payouts", to="rewards.payoutbatch"
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["merchant", "is_test", "-id"], name="payout_list")],
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("amount_minor__gte", 0)), name="payout_amount")
                ],
            },
        ),
        migrations.CreateModel(
            name="Reward",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("is_test", models.BooleanField(default=False)),
                (
                    "public_id",
                    models.CharField(default=rewards.models._reward_id, editable=False, max_length=32, unique=True),
                ),
                ("side", models.CharField(choices=[("referrer", "Referrer"), ("invitee", "Friend")], max_length=8)),
                ("rule_key", models.CharField(max_length=32)),
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
                        max_length=12,
                    ),
                ),
                ("amount_minor", models.BigIntegerField()),
                ("currency", models.CharField(max_length=3)),
                ("units", models.PositiveIntegerField(blank=True, null=True)),
                ("units_label", models.CharField(blank=True, max_length=60)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("review", "In review"),
                            ("due", "Due"),
                            ("queued", "Queued"),
                            ("sending", "Sending"),
                            ("issued", "Issued"),
                            ("held", "Held"),
                            ("waiting", "Waiting for the recipient"),
                            ("attention", "Needs attention"),
                            ("void", "Void"),
                            ("reversed", "Reversed"),
                        ],
                        max_length=9,
                    ),
                ),
                ("reason", models.CharField(blank=True, max_length=32)),
                ("note", models.CharField(blank=True, max_length=500)),
                ("stage_at", models.DateTimeField(default=referrals.lib.clock.now)),
                ("review_ends_at", models.DateTimeField(blank=True, null=True)),
                ("created_at", models.DateTimeField(default=referrals.lib.clock.now)),
                ("issued_at", models.DateTimeField(blank=True, null=True)),
                ("revision", models.PositiveIntegerField(default=0)),
                (
                    "campaign",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="rewards",
                        to="campaigns.campaign",
                    ),
                ),
                (
                    "event",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="rewards",
                        to="participants.qualifyingevent",
                    ),
                ),
                (
                    "merchant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="accounts.merchant"
                    ),
                ),
                (
                    "participant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="rewards",
                        to="participants.participant",
                    ),
                ),
                (
                    "payout",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="rewards",
                        to="rewards.payout",
                    ),
                ),
                (
                    "rule",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="campaigns.rewardrule",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["merchant", "is_test", "state", "stage_at", "id"], name="reward_stage"),
                    models.Index(fields=["campaign", "state", "stage_at", "id"], name="reward_campaign_stage"),
                    models.Index(
                        fields=["merchant", "is_test", "state", "amount_minor", "id"], name="reward_amount_sort"
                    ),
                    models.Index(
                        condition=models.Q(("state", "review")), fields=["review_ends_at"], name="reward_review_end"
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("event", "rule_key", "side", "participant"), name="reward_once"),
                    models.CheckConstraint(condition=models.Q(("amount_minor__gte", 0)), name="reward_amount"),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("state", "issued"), _negated=True), ("payout__isnull", False), _connector="OR"
                        ),
                        name="reward_issued_by_payout",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="PayoutItem",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("amount_minor", models.BigIntegerField()),
                (
                    "payout",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="items", to="rewards.payout"
                    ),
                ),
                (
                    "reward",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="payout_items", to="rewards.reward"
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("payout", "reward"), name="payout_item_once")],
            },
        ),
        migrations.CreateModel(
            name="LedgerEntry",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("is_test", models.BooleanField(default=False)),
                ("key", models.CharField(max_length=96, unique=True)),
                ("side", models.CharField(choices=[("referrer", "Referrer"), ("invitee", "Friend")], max_length=8)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("earn", "Earned"),
                            ("reverse", "Taken back"),
                            ("pay", "Paid"),
                            ("pay_back", "Payment undone"),
                            ("adjust", "Adjusted"),
                        ],
                        max_length=8,
                    ),
                ),
                ("amount_minor", models.BigIntegerField()),
                ("currency", models.CharField(max_length=3)),
                ("note", models.CharField(blank=True, max_length=500)),
                ("actor", models.CharField(blank=True, max_length=300)),
                ("created_at", models.DateTimeField(default=referrals.lib.clock.now)),
                (
                    "merchant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="accounts.merchant"
                    ),
                ),
                (
                    "participant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="ledger",
                        to="participants.participant",
                    ),
                ),
                (
                    "payout",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="ledger",
                        to="rewards.payout",
                    ),
                ),
                (
                    "reward",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="ledger",
                        to="rewards.reward",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "ledger entries",
                "indexes": [models.Index(fields=["participant", "side"], name="ledger_balance")],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("amount_minor__gt", 0), ("kind__in", ["earn", "pay_back"])),
                            models.Q(("amount_minor__lt", 0), ("kind__in", ["reverse", "pay"])),
                            models.Q(
                                ("kind", "adjust"),
                                models.Q(("amount_minor", 0), _negated=True),
                                models.Q(("note", ""), _negated=True),
                            ),
                            _connector="OR",
                        ),
                        name="ledger_sign",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="RewardTally",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("is_test", models.BooleanField(default=False)),
                ("currency", models.CharField(max_length=3)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("review", "In review"),
                            ("due", "Due"),
                            ("queued", "Queued"),
                            ("sending", "Sending"),
                            ("issued", "Issued"),
                            ("held", "Held"),
                            ("waiting", "Waiting for the recipient"),
                            ("attention", "Needs attention"),
                            ("void", "Void"),
                            ("reversed", "Reversed"),
                        ],
                        max_length=9,
                    ),
                ),
                ("count", models.IntegerField()),
                ("amount_minor", models.BigIntegerField()),
                (
                    "campaign",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="campaigns.campaign",
                    ),
                ),
                (
                    "merchant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="accounts.merchant"
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "reward tallies",
                "indexes": [models.Index(fields=["merchant", "is_test", "campaign", "state"], name="reward_tally")],
            },
        ),
        migrations.CreateModel(
            name="WhatIf",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("is_test", models.BooleanField(default=False)),
                (
                    "public_id",
                    models.CharField(default=rewards.models._what_if_id, editable=False, max_length=32, unique=True),
                ),
                ("rules", models.JSONField(default=list)),
                ("digest", models.CharField(max_length=64)),
                ("revision", models.PositiveIntegerField()),
                ("asked_by", models.CharField(max_length=320)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("queued", "Waiting"),
                            ("running", "Running"),
                            ("done", "Done"),
                            ("failed", "Failed"),
                            ("cancelled", "Cancelled"),
                        ],
                        default="queued",
                        max_length=9,
                    ),
                ),
                ("events", models.PositiveIntegerField(default=0)),
                ("events_done", models.PositiveIntegerField(default=0)),
                ("work", models.JSONField(default=dict)),
                ("result", models.JSONField(null=True)),
                ("attempts", models.PositiveSmallIntegerField(default=0)),
                ("owner", models.CharField(blank=True, max_length=22)),
                ("leased_until", models.DateTimeField(null=True)),
                ("created_at", models.DateTimeField(default=referrals.lib.clock.wall)),
                ("finished_at", models.DateTimeField(null=True)),
                (
                    "campaign",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="what_ifs", to="campaigns.campaign"
                    ),
                ),
                (
                    "merchant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="accounts.merchant"
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("state__in", ["queued", "running"])), fields=["id"], name="what_if_open"
                    ),
                    models.Index(fields=["created_at"], name="what_if_age"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("state__in", ["queued", "running"])),
                        fields=("campaign", "asked_by", "digest"),
                        name="what_if_open_once",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="BudgetUse",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("is_test", models.BooleanField(default=False)),
                ("rule_key", models.CharField(max_length=32)),
                ("period", models.CharField(max_length=10)),
                ("used_minor", models.BigIntegerField(default=0)),
                (
                    "campaign",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="budget_uses", to="campaigns.campaign"
                    ),
                ),
                (
                    "merchant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="accounts.merchant"
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "budget uses",
                "constraints": [
                    models.UniqueConstraint(fields=("campaign", "rule_key", "period"), name="budget_use_once")
                ],
            },
        ),
    ]
