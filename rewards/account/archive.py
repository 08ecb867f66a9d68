"""Writing an account away: a zip with a manifest and, for each table, a file with one JSON object in a line.

Amounts are integers in minor units, times ISO 8601 in UTC, keys the numbers of this installation. `manifest.json` names the format's
version, every file with its rows and SHA-256, what is left out and why, and what the account adds up to (rewards.account.totals).
"""

from __future__ import annotations

import base64
import hashlib
import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.db import connection, transaction

from referrals.accounts.tenancy import Tenant
from referrals.lib import clock
from rewards.account.tables import LEFT_OUT, columns, rows_of, tables
from rewards.account.totals import totals
from rewards.wiping import Emptied

FORMAT = "passalong-account"
VERSION = 1
MANIFEST = "manifest.json"


def write_archive(tenant: Tenant, path: Path) -> dict[str, Any]:
    """Write the side's account to `path`, as it stands at one moment, and return the manifest. Memory does not grow with it."""
    partial = path.with_suffix(".part")
    try:
        with _one_moment(), zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
            files = [_write_table(archive, table, tenant) for table in tables()]
            manifest = _manifest(tenant, files)
            archive.writestr(MANIFEST, json.dumps(manifest, indent=1))
        partial.chmod(0o600)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return manifest


def _manifest(tenant: Tenant, files: list[dict[str, Any]]) -> dict[str, Any]:
    merchant = tenant.merchant
    return {
        "format": FORMAT,
        "version": VERSION,
        "made_at": clock.wall().astimezone(UTC).isoformat(timespec="seconds"),
        "business": {
            "id": merchant.public_id,
            "name": merchant.name,
            "currency": merchant.currency,
            "time_zone": merchant.time_zone,
            "website": merchant.website,
        },
        "is_test": tenant.is_test,
        "files": files,
        "left_out": LEFT_OUT,
        "totals": totals(tenant),
    }


def _write_table(archive: zipfile.ZipFile, table: Emptied, tenant: Tenant) -> dict[str, Any]:
    label = table.model._meta.label
    name = f"tables/{label}.jsonl"
    digest, count = hashlib.sha256(), 0
    with archive.open(name, "w", force_zip64=True) as file:
        for row in rows_of(table, tenant):
            line = json.dumps(row, default=_plain, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
            digest.update(line)
            file.write(line)
            count += 1
    fields = [field.attname for field in columns(table.model)]
    return {"name": name, "table": label, "rows": count, "sha256": digest.hexdigest(), "columns": fields}


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, date | Decimal):
        return str(value)
    if isinstance(value, bytes | memoryview):
        return base64.b64encode(bytes(value)).decode()
    raise TypeError(f"{type(value).__name__} has no place in an archive")


@contextmanager
def _one_moment() -> Iterator[None]:
    """Everything that is read inside is read as it stood at the beginning, and nobody waits for it."""
    if connection.in_atomic_block:
        yield  # a test's own transaction
    elif connection.vendor == "postgresql":
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            yield
    else:
        # Not atomic(), which would keep writers out for as long as it takes (BEGIN IMMEDIATE).
        with connection.cursor() as cursor:
            cursor.execute("BEGIN DEFERRED")
        try:
            yield
        finally:
            with connection.cursor() as cursor:
                cursor.execute("COMMIT")
