"""The rule that 0004 has filled the rows for; on its own, because PostgreSQL changes no table with rows just written."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("participants", "0004_attribution")]

    operations = [
        migrations.AddConstraint(
            model_name="referral",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("detached_at", None), ("standing_for", models.F("invitee")), ("standing_for__isnull", False)
                    ),
                    models.Q(("detached_at__isnull", False), ("standing_for", None)),
                    _connector="OR",
                ),
                name="referral_standing",
            ),
        ),
    ]
