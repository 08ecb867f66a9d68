"""Kinds of mail are named by campaigns.mails."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("hosted", "0002_schedules"),
    ]

    operations = [
        migrations.AlterField(
            model_name="mail",
            name="kind",
            field=models.CharField(max_length=16),
        ),
    ]
