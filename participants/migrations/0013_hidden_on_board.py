"""A person may keep their name off the leaderboard (UX.md, "Leaderboard")."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("participants", "0012_name_search"),
    ]

    operations = [
        migrations.AddField(
            model_name="participant",
            name="hidden_on_board",
            field=models.BooleanField(default=False),
        ),
    ]
