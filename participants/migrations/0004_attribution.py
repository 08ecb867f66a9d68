"""A referral may be detached and made anew; who bought before is found under any spelling; more addresses fold to one person."""

from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.models import F, Q, deletion

from referrals.lib.emails import EmailError, parse_email

# Domains whose addresses fold otherwise than before.
REFOLDED = (
    "protonmail.com", "protonmail.ch", "pm.me", "me.com", "mac.com", "ya.ru", "yandex.com", "yandex.by", "yandex.kz", "yandex.ua",
    ".fastmail.com", ".fastmail.fm", ".fastmail.net", ".fastmail.org", ".fastmail.us",
)  # fmt: skip


def mark_standing(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Name the invitee of each bond that was not detached."""
    apps.get_model("participants", "Referral").objects.filter(detached_at=None).update(standing_for_id=F("invitee_id"))


def fold_again(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Reduce the addresses of those domains to the person behind them."""
    participants = apps.get_model("participants", "Participant").objects
    anywhere = Q()
    for domain in REFOLDED:
        anywhere |= Q(email_key__endswith=domain if domain.startswith(".") else f"@{domain}")
    for row in participants.filter(anywhere).only("pk", "email").order_by("pk").iterator():
        try:
            identity = parse_email(row.email).identity
        except EmailError:
            continue
        participants.filter(pk=row.pk).update(identity_key=identity)


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0005_schedules"),
        ("campaigns", "0001_initial"),
        ("participants", "0003_refund_references"),
    ]

    operations = [
        migrations.AddField(
            model_name="participant",
            name="unreferred_reason",
            field=models.CharField(blank=True, max_length=20),
        ),
        migrations.AlterField(
            model_name="referral",
            name="invitee",
            field=models.ForeignKey(
                on_delete=deletion.PROTECT, related_name="referrals_had", to="participants.participant"
            ),
        ),
        migrations.AddField(
            model_name="referral",
            name="standing_for",
            field=models.OneToOneField(
                editable=False,
                null=True,
                on_delete=deletion.PROTECT,
                related_name="referral",
                to="participants.participant",
            ),
        ),
        migrations.AddIndex(
            model_name="participant",
            index=models.Index(fields=["merchant", "is_test", "identity_key"], name="participant_identity"),
        ),
        migrations.RunPython(mark_standing, migrations.RunPython.noop, elidable=True),
        migrations.RunPython(fold_again, migrations.RunPython.noop, elidable=True),
    ]
