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
    initial = True
    # A database that has all of these is where this migration and its neighbours lead.
    replaces = [
        ("participants", "0001_initial"),
        ("participants", "0002_lists"),
        ("participants", "0003_refund_references"),
        ("participants", "0004_attribution"),
        ("participants", "0005_one_standing_referral"),
    ]

    dependencies = [
        ("accounts", "0001_squashed"),
        ("campaigns", "0002_squashed_texts"),
    ]

    operations = [
        migrations.CreateModel(
            name="Participant",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("is_test", models.BooleanField(default=False)),
                (
                    "public_id",
                    models.CharField(
                        default=participants.models._participant_id, editable=False, max_length=32, unique=True
                    ),
                ),
                ("email", models.CharField(max_length=254, verbose_name="e-mail address")),
                ("email_key", models.CharField(max_length=254)),
                ("identity_key", models.CharField(max_length=254)),
                ("first_name", models.CharField(blank=True, max_length=80, verbose_name="first name")),
                ("last_name", models.CharField(blank=True, max_length=80, verbose_name="last name")),
                (
                    "referral_code",
                    models.CharField(default=referrals.lib.codes.referral_code, max_length=16, unique=True),
                ),
                ("vanity_code", models.CharField(blank=True, max_length=16)),
                ("language", models.CharField(blank=True, max_length=8)),
                ("source", models.CharField(max_length=24)),
                ("existing_customer", models.BooleanField(default=False, verbose_name="was a customer before")),
                ("customer_by", models.CharField(blank=True, max_length=8)),
                ("unreferred_reason", models.CharField(blank=True, max_length=20)),
                ("fraud_level", models.CharField(blank=True, max_length=8)),
                ("fraud_holds", models.BooleanField(default=False)),
                ("hidden_on_board", models.BooleanField(default=False)),
                ("joined_at", models.DateTimeField(default=referrals.lib.clock.now)),
                ("banned_at", models.DateTimeField(blank=True, null=True)),
                ("ban_reason", models.CharField(blank=True, max_length=300)),
                ("note", models.TextField(blank=True, max_length=4000)),
                ("metadata", models.JSONField(blank=True, default=dict)),
                (
                    "campaign",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="participants",
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
                "indexes": [
                    models.Index(fields=["merchant", "is_test", "-joined_at", "-id"], name="participant_list"),
                    models.Index(fields=["campaign", "-joined_at", "-id"], name="participant_campaign"),
                    models.Index(
                        fields=["merchant", "is_test", "email_key"],
                        name="participant_email",
                        opclasses=["int8_ops", "bool_ops", "varchar_pattern_ops"],
                    ),
                    models.Index(fields=["merchant", "is_test", "identity_key"], name="participant_identity"),
                ],
                "constraints": [models.UniqueConstraint(fields=("campaign", "email_key"), name="participant_once")],
            },
        ),
        migrations.CreateModel(
            name="FraudCase",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("is_test", models.BooleanField(default=False)),
                (
                    "level",
                    models.CharField(
                        choices=[("Low", "Low"), ("Medium", "Medium"), ("High", "High"), ("unknown", "Not checked")],
                        max_length=8,
                    ),
                ),
                ("score", models.PositiveSmallIntegerField()),
                ("rank", models.PositiveSmallIntegerField()),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("open", "To decide"),
                            ("held", "On hold"),
                            ("approved", "Approved"),
                            ("denied", "Denied"),
                        ],
                        default="open",
                        max_length=8,
                    ),
                ),
                ("cleared", models.JSONField(default=list)),
                ("opened_at", models.DateTimeField(default=referrals.lib.clock.now)),
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
                (
                    "participant",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="fraud_case",
                        to="participants.participant",
                    ),
                ),
                (
                    "referrer",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="participants.participant"
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["merchant", "is_test", "status", "-rank", "-id"], name="fraud_queue")],
            },
        ),
        migrations.CreateModel(
            name="FraudAction",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("is_test", models.BooleanField(default=False)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("approve", "Approved"),
                            ("hold", "Kept on hold"),
                            ("deny", "Denied"),
                            ("ban", "Referrer banned"),
                            ("trust", "Pair trusted"),
                            ("block_domain", "Mail domain blocked"),
                            ("block_network", "Network blocked"),
                        ],
                        max_length=13,
                    ),
                ),
                ("note", models.CharField(max_length=300)),
                ("actor", models.CharField(blank=True, max_length=300)),
                ("at", models.DateTimeField(default=referrals.lib.clock.now)),
                ("before", models.JSONField(default=dict)),
                ("undone_at", models.DateTimeField(null=True)),
                (
                    "merchant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="accounts.merchant"
                    ),
                ),
                (
                    "case",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="actions", to="participants.fraudcase"
                    ),
                ),
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="MailStop",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("kind", models.CharField(blank=True, max_length=16)),
                ("stopped_at", models.DateTimeField(default=referrals.lib.clock.wall)),
                (
                    "participant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="mail_stops",
                        to="participants.participant",
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("participant", "kind"), name="mail_stop_once")],
            },
        ),
        migrations.CreateModel(
            name="MailBounce",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("email_key", models.CharField(max_length=254)),
                ("code", models.PositiveSmallIntegerField()),
                ("text", models.CharField(blank=True, max_length=300)),
                ("bounced_at", models.DateTimeField(default=referrals.lib.clock.wall)),
                ("cleared_at", models.DateTimeField(null=True)),
                (
                    "participant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="mail_bounces",
                        to="participants.participant",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("cleared_at", None)),
                        fields=("participant", "email_key"),
                        name="mail_bounce_once",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="CustomerReference",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("is_test", models.BooleanField(default=False)),
                ("source", models.CharField(max_length=24)),
                ("customer_id", models.CharField(max_length=255)),
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
                        related_name="customer_references",
                        to="participants.participant",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["merchant", "is_test", "source", "customer_id"], name="customer_reference")
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("participant", "source", "customer_id"), name="customer_reference_once"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="ChosenCode",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("is_test", models.BooleanField(default=False)),
                ("code", models.CharField(max_length=16)),
                ("key", models.CharField(max_length=16)),
                ("created_at", models.DateTimeField(default=referrals.lib.clock.now)),
                ("released_at", models.DateTimeField(null=True)),
                (
                    "campaign",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
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
                (
                    "participant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="chosen_codes",
                        to="participants.participant",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("released_at", None)),
                        fields=["merchant", "is_test", "key"],
                        name="chosen_code_key",
                    )
                ],
                "constraints": [models.UniqueConstraint(fields=("campaign", "key"), name="chosen_code_once")],
            },
        ),
        migrations.CreateModel(
            name="PortalLink",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("nonce", models.CharField(default=participants.models._nonce, max_length=22)),
                ("created_at", models.DateTimeField(default=referrals.lib.clock.now)),
                ("sent_at", models.DateTimeField(null=True)),
                ("used_at", models.DateTimeField(null=True)),
                (
                    "participant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="portal_links",
                        to="participants.participant",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(condition=models.Q(("sent_at", None)), fields=["id"], name="portal_link_unsent")
                ],
            },
        ),
        migrations.CreateModel(
            name="PortalSession",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("token_hash", models.CharField(max_length=64, unique=True)),
                ("created_at", models.DateTimeField(default=referrals.lib.clock.now)),
                ("expires_at", models.DateTimeField()),
                ("ended_at", models.DateTimeField(null=True)),
                ("agent", models.CharField(blank=True, max_length=200)),
                (
                    "participant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="portal_sessions",
                        to="participants.participant",
                    ),
                ),
            ],
        ),
    ]
