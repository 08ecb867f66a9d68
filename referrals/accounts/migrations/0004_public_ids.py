"""Members and invitations get unguessable ids, so that no row number stands in an address (RELIABILITY section 7)."""

from __future__ import annotations

from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

import referrals.accounts.models
from referrals.lib.codes import public_id


def fill(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    for name, prefix in (("Membership", "mem"), ("Invitation", "inv")):
        model = apps.get_model("accounts", name)
        for row in model.objects.filter(public_id=""):
            row.public_id = public_id(prefix)
            row.save(update_fields=["public_id"])


class Migration(migrations.Migration):
    dependencies = [("accounts", "0003_rate_limit")]
    operations = [
        migrations.AlterField(
            model_name="apikey",
            name="public_id",
            field=models.CharField(
                default=referrals.accounts.models._key_id, editable=False, max_length=32, unique=True
            ),
        ),
        migrations.AddField(
            model_name="membership",
            name="public_id",
            field=models.CharField(default="", editable=False, max_length=32),
        ),
        migrations.AddField(
            model_name="invitation",
            name="public_id",
            field=models.CharField(default="", editable=False, max_length=32),
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
        migrations.AlterField(
            model_name="membership",
            name="public_id",
            field=models.CharField(
                default=referrals.accounts.models._membership_id, editable=False, max_length=32, unique=True
            ),
        ),
        migrations.AlterField(
            model_name="invitation",
            name="public_id",
            field=models.CharField(
                default=referrals.accounts.models._invitation_id, editable=False, max_length=32, unique=True
            ),
        ),
    ]
