"""Payouts: the kill switch, limits, and a second person's approval."""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models

import referrals.lib.clock


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0001_squashed"),
        ("rewards", "0005_transfers"),
    ]

    operations = [
        migrations.AddField(
            model_name="payoutbatch",
            name="approved_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="payoutbatch",
            name="approved_by",
            field=models.CharField(blank=True, max_length=300),
        ),
        migrations.AddField(
            model_name="payoutbatch",
            name="created_by_id",
            field=models.CharField(blank=True, max_length=80),
        ),
        migrations.AddField(
            model_name="payoutbatch",
            name="needs_approval",
            field=models.BooleanField(default=False),
        ),
        migrations.CreateModel(
            name="PayoutLimit",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("is_test", models.BooleanField(default=False)),
                ("currency", models.CharField(max_length=3)),
                ("a_day_minor", models.BigIntegerField(blank=True, null=True)),
                ("a_person_a_day_minor", models.BigIntegerField(blank=True, null=True)),
                ("second_person_above_minor", models.BigIntegerField(blank=True, null=True)),
                (
                    "merchant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="accounts.merchant"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("merchant", "is_test", "currency"), name="payout_limit_once"),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("a_day_minor", None), ("a_day_minor__gt", 0), _connector="OR"),
                            models.Q(("a_person_a_day_minor", None), ("a_person_a_day_minor__gt", 0), _connector="OR"),
                            models.Q(
                                ("second_person_above_minor", None),
                                ("second_person_above_minor__gte", 0),
                                _connector="OR",
                            ),
                        ),
                        name="payout_limit_positive",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="PayoutStop",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("is_test", models.BooleanField(default=False)),
                ("stopped_at", models.DateTimeField(default=referrals.lib.clock.now)),
                ("stopped_by", models.CharField(blank=True, max_length=300)),
                ("note", models.CharField(blank=True, max_length=500)),
                (
                    "merchant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="accounts.merchant"
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("merchant", "is_test"), name="payout_stop_once")],
            },
        ),
    ]
