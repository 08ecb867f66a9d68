"""Connections and the messages they brought, as they stood before the first release."""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models

import integrations.models
import referrals.lib.clock


class Migration(migrations.Migration):
    initial = True
    # A database that has all of these is where this migration leads.
    replaces = [
        ("integrations", "0001_initial"),
        ("integrations", "0002_words_and_facts"),
        ("integrations", "0003_schedules"),
        ("integrations", "0004_real_time_for_tries"),
        ("integrations", "0005_unidentified"),
    ]

    dependencies = [
        ("accounts", "0001_squashed"),
    ]

    operations = [
        migrations.CreateModel(
            name="Connection",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("is_test", models.BooleanField(default=False)),
                (
                    "public_id",
                    models.CharField(
                        default=integrations.models._connection_id, editable=False, max_length=32, unique=True
                    ),
                ),
                ("provider", models.CharField(max_length=24)),
                ("label", models.CharField(blank=True, max_length=80, verbose_name="name")),
                ("sealed", models.TextField(editable=False)),
                ("created_at", models.DateTimeField(default=referrals.lib.clock.now)),
                ("removed_at", models.DateTimeField(null=True)),
                ("last_event_at", models.DateTimeField(null=True)),
                ("failing_since", models.DateTimeField(null=True)),
                ("refused", models.PositiveIntegerField(default=0)),
                ("last_refused_at", models.DateTimeField(null=True)),
                (
                    "merchant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="accounts.merchant"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="InboundEvent",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("is_test", models.BooleanField(default=False)),
                (
                    "public_id",
                    models.CharField(
                        default=integrations.models._inbound_id, editable=False, max_length=32, unique=True
                    ),
                ),
                ("event_id", models.CharField(max_length=255)),
                ("type", models.CharField(max_length=80)),
                ("body", models.BinaryField()),
                ("headers", models.JSONField(default=dict)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("received", "Received"),
                            ("processed", "Processed"),
                            ("ignored", "Ignored"),
                            ("failed", "Failed"),
                        ],
                        default="received",
                        max_length=9,
                    ),
                ),
                ("outcome", models.CharField(blank=True, max_length=40)),
                ("facts", models.JSONField(blank=True, default=dict)),
                ("error", models.TextField(blank=True)),
                ("event_ref", models.CharField(blank=True, max_length=32)),
                ("attempts", models.PositiveIntegerField(default=0)),
                ("next_attempt_at", models.DateTimeField(default=referrals.lib.clock.wall, null=True)),
                ("received_at", models.DateTimeField(default=referrals.lib.clock.now)),
                ("processed_at", models.DateTimeField(null=True)),
                (
                    "connection",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="inbound_events",
                        to="integrations.connection",
                    ),
                ),
                (
                    "merchant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="accounts.merchant"
                    ),
                ),
            ],
        ),
        migrations.AddIndex(
            model_name="connection",
            index=models.Index(fields=["merchant", "is_test", "provider"], name="connection_list"),
        ),
        migrations.AddIndex(
            model_name="inboundevent",
            index=models.Index(
                condition=models.Q(("next_attempt_at__isnull", False)),
                fields=["next_attempt_at"],
                name="inbound_waiting",
            ),
        ),
        migrations.AddIndex(
            model_name="inboundevent",
            index=models.Index(fields=["connection", "-id"], name="inbound_list"),
        ),
        migrations.AddIndex(
            model_name="inboundevent",
            index=models.Index(
                condition=models.Q(
                    (
                        "outcome__in",
                        (
                            "no_email",
                            "no_participant",
                            "no_participant_code",
                            "no_participant_promotion",
                            "not_referred",
                        ),
                    )
                ),
                fields=["merchant", "is_test", "-id"],
                name="inbound_unidentified",
            ),
        ),
        migrations.AddConstraint(
            model_name="inboundevent",
            constraint=models.UniqueConstraint(fields=("connection", "event_id"), name="inbound_event_once"),
        ),
    ]
