import django.db.models.deletion
from django.db import migrations, models

import referrals.lib.clock


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0006_clock_and_wipe"),
        ("campaigns", "0003_fraud"),
        ("participants", "0008_customers"),
    ]

    operations = [
        migrations.AddField(
            model_name="participant",
            name="fraud_holds",
            field=models.BooleanField(default=False),
        ),
        migrations.CreateModel(
            name="FraudCase",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("is_test", models.BooleanField(default=False)),
                (
                    "level",
                    models.CharField(
                        choices=[("Low", "Low"), ("Medium", "Medium"), ("High", "High"), ("unknown", "Not checked")],
                        max_length=8,
                    ),
                ),
                ("score", models.PositiveSmallIntegerField()),
                ("rank", models.PositiveSmallIntegerField()),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("open", "To decide"),
                            ("held", "On hold"),
                            ("approved", "Approved"),
                            ("denied", "Denied"),
                        ],
                        default="open",
                        max_length=8,
                    ),
                ),
                ("cleared", models.JSONField(default=list)),
                ("opened_at", models.DateTimeField(default=referrals.lib.clock.now)),
                (
                    "campaign",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
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
                (
                    "participant",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="fraud_case",
                        to="participants.participant",
                    ),
                ),
                (
                    "referrer",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="participants.participant"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="FraudAction",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("is_test", models.BooleanField(default=False)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("approve", "Approved"),
                            ("hold", "Kept on hold"),
                            ("deny", "Denied"),
                            ("ban", "Referrer banned"),
                            ("trust", "Pair trusted"),
                            ("block_domain", "Mail domain blocked"),
                            ("block_network", "Network blocked"),
                        ],
                        max_length=13,
                    ),
                ),
                ("note", models.CharField(max_length=300)),
                ("actor", models.CharField(blank=True, max_length=300)),
                ("at", models.DateTimeField(default=referrals.lib.clock.now)),
                ("before", models.JSONField(default=dict)),
                ("undone_at", models.DateTimeField(null=True)),
                (
                    "merchant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="accounts.merchant"
                    ),
                ),
                (
                    "case",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="actions", to="participants.fraudcase"
                    ),
                ),
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="FraudEvaluation",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("is_test", models.BooleanField(default=False)),
                ("rules_version", models.PositiveSmallIntegerField(default=1)),
                ("inputs_hash", models.CharField(blank=True, max_length=64)),
                ("preset", models.CharField(max_length=8)),
                (
                    "level",
                    models.CharField(
                        choices=[("Low", "Low"), ("Medium", "Medium"), ("High", "High"), ("unknown", "Not checked")],
                        max_length=8,
                    ),
                ),
                ("score", models.PositiveSmallIntegerField()),
                ("holds", models.BooleanField()),
                ("decided_at", models.DateTimeField(default=referrals.lib.clock.now)),
                ("current", models.BooleanField(default=True)),
                (
                    "event",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="fraud_evaluations",
                        to="participants.qualifyingevent",
                    ),
                ),
                (
                    "merchant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="accounts.merchant"
                    ),
                ),
                (
                    "participant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="fraud_evaluations",
                        to="participants.participant",
                    ),
                ),
                (
                    "referral",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="participants.referral",
                    ),
                ),
            ],
        ),
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
            name="Trace",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("is_test", models.BooleanField(default=False)),
                ("at", models.DateTimeField(default=referrals.lib.clock.now)),
                ("address", models.CharField(blank=True, max_length=22)),
                ("browser", models.CharField(blank=True, max_length=22)),
                ("network", models.GenericIPAddressField(null=True)),
                ("agent", models.CharField(blank=True, max_length=200)),
                ("hosting", models.BooleanField(default=False)),
                (
                    "merchant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="accounts.merchant"
                    ),
                ),
                (
                    "participant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="traces",
                        to="participants.participant",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="TrustedPair",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("is_test", models.BooleanField(default=False)),
                ("one", models.CharField(max_length=254)),
                ("other", models.CharField(max_length=254)),
                ("note", models.CharField(max_length=300)),
                ("added_by", models.CharField(blank=True, max_length=300)),
                ("added_at", models.DateTimeField(default=referrals.lib.clock.now)),
                (
                    "merchant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="accounts.merchant"
                    ),
                ),
            ],
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
        migrations.AddIndex(
            model_name="fraudcase",
            index=models.Index(fields=["merchant", "is_test", "status", "-rank", "-id"], name="fraud_queue"),
        ),
        migrations.AddIndex(
            model_name="fraudevaluation",
            index=models.Index(fields=["merchant", "is_test", "-decided_at"], name="fraud_evaluated"),
        ),
        migrations.AddIndex(
            model_name="fraudevaluation",
            index=models.Index(
                condition=models.Q(("current", True), ("level", "unknown")), fields=["decided_at"], name="fraud_unknown"
            ),
        ),
        migrations.AddConstraint(
            model_name="fraudevaluation",
            constraint=models.UniqueConstraint(
                condition=models.Q(("current", True), ("event", None)),
                fields=("participant",),
                name="fraud_of_joining_once",
            ),
        ),
        migrations.AddConstraint(
            model_name="fraudevaluation",
            constraint=models.UniqueConstraint(
                condition=models.Q(("current", True)), fields=("event",), name="fraud_of_event_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="fraudevaluation",
            constraint=models.CheckConstraint(condition=models.Q(("score__lte", 100)), name="fraud_score"),
        ),
        migrations.AddIndex(
            model_name="trace",
            index=models.Index(fields=["participant", "-at"], name="trace_of"),
        ),
        migrations.AddIndex(
            model_name="trace",
            index=models.Index(fields=["merchant", "is_test", "address", "at"], name="trace_address"),
        ),
        migrations.AddIndex(
            model_name="trace",
            index=models.Index(fields=["at"], name="trace_at"),
        ),
        migrations.AddConstraint(
            model_name="trustedpair",
            constraint=models.UniqueConstraint(
                fields=("merchant", "is_test", "one", "other"), name="trusted_pair_once"
            ),
        ),
    ]
