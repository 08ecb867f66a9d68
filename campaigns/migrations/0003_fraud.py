from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("campaigns", "0002_rules_to_the_full"),
    ]

    operations = [
        migrations.AddField(
            model_name="campaign",
            name="fraud_preset",
            field=models.CharField(
                choices=[("relaxed", "Relaxed"), ("balanced", "Balanced"), ("strict", "Strict")],
                default="balanced",
                max_length=8,
                verbose_name="fraud check",
            ),
        ),
    ]
