"""Campaigns and the versions of their rules, as they stood before the first release."""

from __future__ import annotations

import django.core.validators
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    # A database that has all of these is where this migration and its neighbours lead.
    replaces = [
        ("campaigns", "0004_links"),
        ("campaigns", "0005_shared_friends"),
        ("campaigns", "0006_script_origins"),
        ("campaigns", "0007_mails"),
    ]

    dependencies = [("campaigns", "0001_squashed")]

    operations = [
        migrations.CreateModel(
            name="CampaignText",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("language", models.CharField(max_length=8)),
                ("reward_header", models.CharField(blank=True, max_length=120, verbose_name="headline for friends")),
                ("reward_description", models.CharField(blank=True, max_length=600, verbose_name="text for friends")),
                ("share_header", models.CharField(blank=True, max_length=120, verbose_name="headline for referrers")),
                ("share_description", models.CharField(blank=True, max_length=600, verbose_name="text for referrers")),
                ("share_message", models.CharField(blank=True, max_length=280, verbose_name="message that is shared")),
                ("terms", models.TextField(blank=True, max_length=20000, verbose_name="offer terms")),
                ("thank_you", models.CharField(blank=True, max_length=300, verbose_name="thank-you after joining")),
                (
                    "campaign",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="texts", to="campaigns.campaign"
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("campaign", "language"), name="campaign_text_once")],
            },
        ),
        migrations.AddConstraint(
            model_name="campaign",
            constraint=models.CheckConstraint(
                condition=models.Q(("status", "draft"), ("version__isnull", False), _connector="OR"),
                name="campaign_launched_has_rules",
            ),
        ),
    ]
