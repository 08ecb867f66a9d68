"""People, codes, visits, referrals and what they did, as they stood before the first release."""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models

import participants.customer_models
import participants.models
import participants.waiting_models
import referrals.lib.clock
import referrals.lib.codes


class Migration(migrations.Migration):
    # A database that has all of these is where this migration and its neighbours lead.
    replaces = [
        ("participants", "0006_purchases"),
        ("participants", "0007_rules_to_the_full"),
        ("participants", "0008_customers"),
        ("participants", "0009_fraud"),
        ("participants", "0010_waiting_events"),
    ]

    dependencies = [("participants", "0001_squashed")]

    operations = [
        migrations.CreateModel(
            name="QualifyingEvent",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("is_test", models.BooleanField(default=False)),
                (
                    "public_id",
                    models.CharField(default=participants.models._event_id, editable=False, max_length=32, unique=True),
                ),
                ("type", models.CharField(default="purchase", max_length=40)),
                ("amount_minor", models.BigIntegerField(blank=True, null=True)),
                ("currency", models.CharField(max_length=3)),
                ("source", models.CharField(max_length=24)),
                ("external_id", models.CharField(max_length=255)),
                ("occurred_at", models.DateTimeField()),
                ("recorded_at", models.DateTimeField(default=referrals.lib.clock.now)),
                ("refunded_minor", models.BigIntegerField(default=0)),
                ("disputed_at", models.DateTimeField(blank=True, null=True)),
                ("cancelled_at", models.DateTimeField(blank=True, null=True)),
                ("metadata", models.JSONField(blank=True, default=dict)),
                (
                    "campaign",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="qualifying_events",
                        to="campaigns.campaign",
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
                        related_name="qualifying_events",
                        to="participants.participant",
                    ),
                ),
                (
                    "version",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="campaigns.campaignversion",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["participant", "occurred_at", "id"], name="event_of_participant"),
                    models.Index(fields=["campaign", "occurred_at"], name="event_of_campaign"),
                    models.Index(fields=["merchant", "is_test", "-occurred_at", "-id"], name="event_list"),
                    models.Index(fields=["merchant", "is_test", "external_id"], name="event_external_id"),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("campaign", "source", "external_id"), name="event_fact_once"),
                    models.CheckConstraint(
                        condition=models.Q(("amount_minor", None), ("amount_minor__gte", 0), _connector="OR"),
                        name="event_amount",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="EventReference",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("is_test", models.BooleanField(default=False)),
                ("source", models.CharField(max_length=24)),
                ("reference", models.CharField(max_length=255)),
                (
                    "merchant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="accounts.merchant"
                    ),
                ),
                (
                    "event",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="references",
                        to="participants.qualifyingevent",
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["merchant", "is_test", "reference"], name="event_reference_name")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("merchant", "is_test", "source", "reference"), name="event_reference_once"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Refund",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("is_test", models.BooleanField(default=False)),
                (
                    "public_id",
                    models.CharField(
                        default=participants.models._refund_id, editable=False, max_length=32, unique=True
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("refund", "Refund"),
                            ("dispute", "Dispute"),
                            ("dispute_won", "Dispute won"),
                            ("cancelled", "Cancelled"),
                        ],
                        default="refund",
                        max_length=11,
                    ),
                ),
                ("amount_minor", models.BigIntegerField(null=True)),
                ("currency", models.CharField(blank=True, max_length=3)),
                ("source", models.CharField(max_length=24)),
                ("external_id", models.CharField(max_length=255)),
                ("occurred_at", models.DateTimeField()),
                ("recorded_at", models.DateTimeField(default=referrals.lib.clock.now)),
                (
                    "event",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="refunds",
                        to="participants.qualifyingevent",
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
                        condition=models.Q(("event", None)),
                        fields=["merchant", "is_test", "-id"],
                        name="refund_waiting_list",
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("merchant", "is_test", "source", "external_id"), name="refund_fact_once"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("amount_minor", None), ("amount_minor__gt", 0), _connector="OR"),
                        name="refund_amount",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="RefundReference",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("is_test", models.BooleanField(default=False)),
                ("source", models.CharField(max_length=24)),
                ("reference", models.CharField(max_length=255)),
                (
                    "merchant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="accounts.merchant"
                    ),
                ),
                (
                    "refund",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="waiting_for",
                        to="participants.refund",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["merchant", "is_test", "source", "reference"], name="refund_reference")
                ],
            },
        ),
        migrations.CreateModel(
            name="Trace",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("is_test", models.BooleanField(default=False)),
                ("at", models.DateTimeField(default=referrals.lib.clock.now)),
                ("address", models.CharField(blank=True, max_length=22)),
                ("browser", models.CharField(blank=True, max_length=22)),
                ("network", models.GenericIPAddressField(null=True)),
                ("agent", models.CharField(blank=True, max_length=200)),
                ("hosting", models.BooleanField(default=False)),
                (
                    "merchant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="accounts.merchant"
                    ),
                ),
                (
                    "participant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="traces",
                        to="participants.participant",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["participant", "-at"], name="trace_of"),
                    models.Index(fields=["merchant", "is_test", "address", "at"], name="trace_address"),
                    models.Index(fields=["at"], name="trace_at"),
                ],
            },
        ),
        migrations.CreateModel(
            name="TrustedPair",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("is_test", models.BooleanField(default=False)),
                ("one", models.CharField(max_length=254)),
                ("other", models.CharField(max_length=254)),
                ("note", models.CharField(max_length=300)),
                ("added_by", models.CharField(blank=True, max_length=300)),
                ("added_at", models.DateTimeField(default=referrals.lib.clock.now)),
                (
                    "merchant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="accounts.merchant"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("merchant", "is_test", "one", "other"), name="trusted_pair_once")
                ],
            },
        ),
        migrations.CreateModel(
            name="Visit",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("is_test", models.BooleanField(default=False)),
                ("visitor", models.CharField(max_length=22)),
                ("occurred_at", models.DateTimeField(default=referrals.lib.clock.now)),
                ("hidden_reason", models.CharField(blank=True, max_length=12)),
                ("channel", models.CharField(blank=True, max_length=40)),
                ("utm", models.JSONField(blank=True, default=dict)),
                ("referer", models.CharField(blank=True, max_length=100)),
                ("network", models.GenericIPAddressField(null=True)),
                ("agent", models.CharField(blank=True, max_length=200)),
                (
                    "campaign",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="visits",
                        to="campaigns.campaign",
                    ),
                ),
                (
                    "merchant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="accounts.merchant"
                    ),
                ),
                (
                    "referrer",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="visits",
                        to="participants.participant",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["referrer", "hidden_reason"], name="visit_referrer"),
                    models.Index(fields=["campaign", "occurred_at"], name="visit_campaign"),
                    models.Index(fields=["visitor", "campaign"], name="visit_visitor"),
                ],
            },
        ),
        migrations.CreateModel(
            name="Referral",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("is_test", models.BooleanField(default=False)),
                (
                    "how",
                    models.CharField(
                        choices=[
                            ("code", "Referral link or code"),
                            ("promotion_code", "Promotion code"),
                            ("cookie", "Earlier click"),
                            ("email", "Referrer's address"),
                            ("manual", "Attached by hand"),
                        ],
                        max_length=14,
                    ),
                ),
                ("split_by", models.CharField(blank=True, editable=False, max_length=8)),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("pending", "Pending"),
                            ("qualified", "Qualified"),
                            ("approved", "Approved"),
                            ("denied", "Denied"),
                        ],
                        default="pending",
                        max_length=9,
                    ),
                ),
                ("created_at", models.DateTimeField(default=referrals.lib.clock.now)),
                ("detached_at", models.DateTimeField(blank=True, null=True)),
                (
                    "campaign",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="referrals", to="campaigns.campaign"
                    ),
                ),
                (
                    "invitee",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="referrals_had",
                        to="participants.participant",
                    ),
                ),
                (
                    "merchant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="accounts.merchant"
                    ),
                ),
                (
                    "referrer",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="referrals_made",
                        to="participants.participant",
                    ),
                ),
                (
                    "standing_for",
                    models.OneToOneField(
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="referral",
                        to="participants.participant",
                    ),
                ),
                (
                    "visit",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="participants.visit",
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["referrer", "-id"], name="referral_of")],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("referrer", models.F("invitee")), _negated=True), name="referral_not_self"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("detached_at", None),
                                ("standing_for", models.F("invitee")),
                                ("standing_for__isnull", False),
                            ),
                            models.Q(("detached_at__isnull", False), ("standing_for", None)),
                            _connector="OR",
                        ),
                        name="referral_standing",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="FraudEvaluation",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("is_test", models.BooleanField(default=False)),
                ("rules_version", models.PositiveSmallIntegerField(default=1)),
                ("inputs_hash", models.CharField(blank=True, max_length=64)),
                ("preset", models.CharField(max_length=8)),
                (
                    "level",
                    models.CharField(
                        choices=[("Low", "Low"), ("Medium", "Medium"), ("High", "High"), ("unknown", "Not checked")],
                        max_length=8,
                    ),
                ),
                ("score", models.PositiveSmallIntegerField()),
                ("holds", models.BooleanField()),
                ("decided_at", models.DateTimeField(default=referrals.lib.clock.now)),
                ("current", models.BooleanField(default=True)),
                (
                    "merchant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="accounts.merchant"
                    ),
                ),
                (
                    "participant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="fraud_evaluations",
                        to="participants.participant",
                    ),
                ),
                (
                    "event",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="fraud_evaluations",
                        to="participants.qualifyingevent",
                    ),
                ),
                (
                    "referral",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="participants.referral",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["merchant", "is_test", "-decided_at"], name="fraud_evaluated"),
                    models.Index(
                        condition=models.Q(("current", True), ("level", "unknown")),
                        fields=["decided_at"],
                        name="fraud_unknown",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("current", True), ("event", None)),
                        fields=("participant",),
                        name="fraud_of_joining_once",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("current", True)), fields=("event",), name="fraud_of_event_once"
                    ),
                    models.CheckConstraint(condition=models.Q(("score__lte", 100)), name="fraud_score"),
                ],
            },
        ),
    ]
