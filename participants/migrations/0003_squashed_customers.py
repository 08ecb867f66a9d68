"""People, codes, visits, referrals and what they did, as they stood before the first release."""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

import participants.customer_models
import participants.models
import participants.waiting_models
import referrals.lib.clock
import referrals.lib.codes

NAMES = ("first_name", "last_name")


def index_names(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Indexes for a search by the beginning of a name: PostgreSQL answers `istartswith` by one over the capitals, SQLite by none."""
    if schema_editor.connection.vendor == "postgresql":
        for name in NAMES:
            schema_editor.execute(
                f"CREATE INDEX participant_{name} ON participants_participant"
                f" (merchant_id, is_test, UPPER({name}::text) text_pattern_ops)"
            )


def drop_names(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if schema_editor.connection.vendor == "postgresql":
        for name in NAMES:
            schema_editor.execute(f"DROP INDEX participant_{name}")


class Migration(migrations.Migration):
    # A database that has all of these is where this migration and its neighbours lead.
    replaces = [
        ("participants", "0011_forget_waiting"),
        ("participants", "0012_name_search"),
        ("participants", "0013_hidden_on_board"),
        ("participants", "0014_links"),
        ("participants", "0015_chosen_codes"),
        ("participants", "0016_shared_friends"),
        ("participants", "0017_mails"),
    ]

    dependencies = [("participants", "0002_squashed_events_and_referrals")]

    operations = [
        migrations.CreateModel(
            name="FraudReason",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("code", models.CharField(blank=True, max_length=3)),
                ("name", models.CharField(max_length=24)),
                ("points", models.PositiveSmallIntegerField()),
                ("evidence", models.JSONField(default=dict)),
                (
                    "evaluation",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="reasons",
                        to="participants.fraudevaluation",
                    ),
                ),
            ],
            options={
                "ordering": ["pk"],
            },
        ),
        migrations.CreateModel(
            name="ReferralShare",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("position", models.PositiveSmallIntegerField()),
                ("numerator", models.BigIntegerField()),
                ("denominator", models.BigIntegerField()),
                (
                    "participant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="shares",
                        to="participants.participant",
                    ),
                ),
                (
                    "referral",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="shares", to="participants.referral"
                    ),
                ),
            ],
            options={
                "ordering": ["position"],
                "constraints": [
                    models.UniqueConstraint(fields=("referral", "participant"), name="referral_share_once"),
                    models.CheckConstraint(
                        condition=models.Q(("numerator__gt", 0), ("denominator__gt", models.F("numerator"))),
                        name="referral_share_part",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="WaitingEvent",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("is_test", models.BooleanField(default=False)),
                (
                    "public_id",
                    models.CharField(
                        default=participants.waiting_models._waiting_id, editable=False, max_length=32, unique=True
                    ),
                ),
                ("scope", models.CharField(blank=True, max_length=32)),
                ("customer_id", models.CharField(max_length=255)),
                ("code", models.CharField(blank=True, max_length=16)),
                ("type", models.CharField(default="purchase", max_length=40)),
                ("amount_minor", models.BigIntegerField(null=True)),
                ("currency", models.CharField(blank=True, max_length=3)),
                ("source", models.CharField(max_length=24)),
                ("external_id", models.CharField(max_length=255)),
                ("references", models.JSONField(default=list)),
                ("occurred_at", models.DateTimeField()),
                ("first_purchase_at", models.DateTimeField(null=True)),
                ("metadata", models.JSONField(default=dict)),
                ("recorded_at", models.DateTimeField(default=referrals.lib.clock.now)),
                ("found_at", models.DateTimeField(null=True)),
                ("event_ref", models.CharField(blank=True, max_length=32)),
                (
                    "campaign",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
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
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("found_at", None)),
                        fields=["merchant", "is_test", "source", "customer_id"],
                        name="waiting_event_for",
                    ),
                    models.Index(
                        condition=models.Q(("found_at", None)),
                        fields=["merchant", "is_test", "-id"],
                        name="waiting_event_list",
                    ),
                    models.Index(fields=["recorded_at"], name="waiting_event_age"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("merchant", "is_test", "scope", "source", "external_id"), name="waiting_event_once"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="CustomerUpload",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("is_test", models.BooleanField(default=False)),
                (
                    "public_id",
                    models.CharField(
                        default=participants.customer_models._upload_id, editable=False, max_length=32, unique=True
                    ),
                ),
                ("name", models.CharField(max_length=120)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("checking", "Being looked at"),
                            ("checked", "Ready to be applied"),
                            ("applying", "Being applied"),
                            ("done", "Applied"),
                            ("dropped", "Not applied"),
                        ],
                        default="checking",
                        max_length=8,
                    ),
                ),
                ("data", models.BinaryField(null=True)),
                ("columns", models.JSONField(default=list)),
                ("has_header", models.BooleanField(default=True)),
                ("column", models.PositiveSmallIntegerField(default=0)),
                (
                    "kind",
                    models.CharField(
                        choices=[("email", "E-mail addresses"), ("id", "Customer ids")], default="email", max_length=5
                    ),
                ),
                ("since_column", models.PositiveSmallIntegerField(null=True)),
                ("rows", models.PositiveIntegerField(default=0)),
                ("position", models.PositiveIntegerField(default=0)),
                ("decided_to", models.PositiveIntegerField(default=0)),
                ("added", models.PositiveIntegerField(default=0)),
                ("known", models.PositiveIntegerField(default=0)),
                ("wrong", models.PositiveIntegerField(default=0)),
                ("decided", models.PositiveIntegerField(default=0)),
                ("wrong_rows", models.JSONField(default=list)),
                ("actor", models.JSONField(default=list)),
                ("created_at", models.DateTimeField(default=referrals.lib.clock.wall)),
                ("finished_at", models.DateTimeField(null=True)),
                (
                    "merchant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="accounts.merchant"
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["merchant", "is_test", "-id"], name="customer_upload_list"),
                    models.Index(
                        condition=models.Q(("data", None), _negated=True),
                        fields=["created_at"],
                        name="customer_upload_open",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="FraudBlock",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("is_test", models.BooleanField(default=False)),
                (
                    "kind",
                    models.CharField(
                        choices=[("domain", "Mail domain"), ("network", "Network"), ("host", "Web site")],
                        max_length=7,
                        verbose_name="kind",
                    ),
                ),
                ("value", models.CharField(max_length=253, verbose_name="value")),
                ("note", models.CharField(max_length=300, verbose_name="reason")),
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
                    models.UniqueConstraint(fields=("merchant", "is_test", "kind", "value"), name="fraud_block_once")
                ],
            },
        ),
        migrations.CreateModel(
            name="KnownCustomer",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("is_test", models.BooleanField(default=False)),
                ("key", models.CharField(max_length=64)),
                ("hint", models.CharField(max_length=80)),
                ("since", models.DateTimeField()),
                ("added_at", models.DateTimeField(default=referrals.lib.clock.now)),
                (
                    "merchant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="accounts.merchant"
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["merchant", "is_test", "-id"], name="known_customer_list")],
                "constraints": [
                    models.UniqueConstraint(fields=("merchant", "is_test", "key"), name="known_customer_once")
                ],
            },
        ),
        migrations.RunPython(index_names, drop_names),
    ]
