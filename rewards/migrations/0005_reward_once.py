"""A friend who is given to another referrer earns that one the same reward."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("rewards", "0004_purchases"), ("participants", "0005_one_standing_referral")]

    operations = [
        migrations.RemoveConstraint(model_name="reward", name="reward_once"),
        migrations.AddConstraint(
            model_name="reward",
            constraint=models.UniqueConstraint(fields=("event", "rule_key", "side", "participant"), name="reward_once"),
        ),
    ]
