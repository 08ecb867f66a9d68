"""To whom no mail goes: wishes and bounces."""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models

import referrals.lib.clock


class Migration(migrations.Migration):
    dependencies = [
        ("participants", "0016_shared_friends"),
    ]

    operations = [
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
    ]
