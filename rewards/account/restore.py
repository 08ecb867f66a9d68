"""Reading an account back into an empty one: all of it or nothing. Checked before anything is written: the format, every file's sum.

Rows get new primary keys. Public ids are kept where nobody has them, and made anew where somebody does (an account copied beside its
original); wherever a text names one, it names the new one. What changed is in the answer. Nothing begins to move by it: what was on its
way to be paid waits for a person, no webhook tells of the history that was read, and host names are to be proven anew.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.apps import apps
from django.core.exceptions import ValidationError
from django.db import DataError, IntegrityError, connection, models, transaction
from django.utils.translation import gettext as _

from referrals.accounts.models import Merchant, check_currency_code, check_zone
from referrals.accounts.tenancy import Tenant
from referrals.events import types
from referrals.events.models import Event
from referrals.events.services import Actor, Happening, record
from referrals.lib.bulk import insert_rows
from referrals.lib.codes import BASE62, random_text, referral_code
from referrals.lib.errors import Refused
from referrals.lib.queries import Among
from rewards.account.archive import FORMAT, MANIFEST, VERSION
from rewards.account.tables import columns, is_empty, pointed_at, tables
from rewards.account.totals import totals
from rewards.queueing import let_nothing_leave
from rewards.wiping import Emptied

# More than this unpacked is no account of ours, or a bomb.
MOST_BYTES = 20 * 1024**3
_MOST_MANIFEST = 4 * 1024**2
_CHUNK = 5000
_PUBLIC = re.compile(r"[a-z]{2,4}_[A-Za-z0-9]{22}")
_CAMPAIGN = re.compile(r'"([A-Za-z0-9]{10})"')
_STATUS = re.compile(r'"status:(\d+):')
# What reading something else than our own archive runs into.
_NO_ZIP = (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, OSError, EOFError, ValueError)
_BROKEN = (*_NO_ZIP, KeyError, TypeError, AttributeError, ValidationError, IntegrityError, DataError)
# Unique texts of the whole installation, and what stands in their place when they are taken.
_CODES = {"participants.Participant": ("referral_code",), "participants.Invite": ("code",), "rewards.Payout": ("key",)}
_LOOSE = {"campaigns.Campaign": ("link_name", "host")}
# What a public id may look like: it stands in addresses.
_ID = re.compile(r"([a-z]{2,4}_)?[A-Za-z0-9]{10,22}", re.ASCII)
_logger = logging.getLogger(__name__)


@dataclass
class Restored:
    """What came of it: rows by table, and old -> new of the ids and codes that somebody else has here."""

    rows: dict[str, int] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)
    codes: dict[str, str] = field(default_factory=dict)


def restore(*, tenant: Tenant, path: Path, actor: Actor) -> Restored:
    """Read an archive into this side. Raises Refused, with nothing changed: archive_damaged, archive_version, account_not_empty (409),
    archive_totals (what was read adds up to something else)."""
    look_at(path)
    try:
        with zipfile.ZipFile(path) as archive:
            manifest = read_manifest(archive)
            with transaction.atomic():
                # Two at once: the second waits, and then finds it full.
                Merchant.objects.select_for_update().get(pk=tenant.merchant.pk)
                return _Restoring(tenant, archive, manifest).run(actor)
    except _BROKEN as error:
        _logger.info("an archive can't be read", exc_info=True)
        raise _damaged(_("it was changed or cut")) from error


def look_at(path: Path) -> None:
    """Whether it is an archive of an account at all, by its manifest alone: cheap, before the rest is read in the background.

    Raises Refused: archive_damaged, archive_version.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _manifest(archive)
    except FileNotFoundError as error:
        raise _damaged(_("there is no such file")) from error
    except _NO_ZIP as error:
        raise _damaged(_("it is no zip file, or not the whole of it")) from error


def _manifest(archive: zipfile.ZipFile) -> dict[str, Any]:
    """What the archive says of itself. Raises Refused as look_at()."""
    if MANIFEST not in archive.namelist():
        raise _damaged(_("there is no %(name)s in it") % {"name": MANIFEST})
    if archive.getinfo(MANIFEST).file_size > _MOST_MANIFEST:
        raise _damaged(_("its %(name)s is too large") % {"name": MANIFEST})
    try:
        manifest = json.loads(archive.read(MANIFEST))
    except _BROKEN as error:
        raise _damaged(_("its %(name)s is no JSON, or was changed") % {"name": MANIFEST}) from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise _damaged(_("it is no archive of an account"))
    if manifest.get("version") != VERSION:
        message = _("The archive has version %(found)s of the format; this installation reads version %(known)s.")
        found = str(manifest.get("version"))[:20]
        raise Refused("archive_version", message % {"found": found, "known": VERSION}, field="file")
    return manifest


def read_manifest(archive: zipfile.ZipFile) -> dict[str, Any]:
    """The manifest, once every file is what it says. Raises Refused as restore()."""
    if sum(item.file_size for item in archive.infolist()) > MOST_BYTES:
        raise _damaged(_("it is too large"))
    manifest = _manifest(archive)
    known = {table.model._meta.label: {one.attname for one in columns(table.model)} for table in tables()}
    for item in manifest["files"]:
        strange = set(item["columns"]) - known.get(item["table"], set())
        if item["table"] not in known or strange:
            message = _("The archive comes from another release: it has %(what)s, which this one does not know.")
            raise Refused("archive_version", message % {"what": item["table"]}, field="file")
        _check_file(archive, item)
    named = {MANIFEST, *(item["name"] for item in manifest["files"])}
    if set(archive.namelist()) != named or len(archive.namelist()) != len(named):
        raise _damaged(_("its files are not those that it names"))
    return dict(manifest)


def _check_file(archive: zipfile.ZipFile, item: Mapping[str, Any]) -> None:
    digest, rows = hashlib.sha256(), 0
    with archive.open(item["name"]) as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
            rows += piece.count(b"\n")
    if (digest.hexdigest(), rows) != (item["sha256"], item["rows"]):
        raise _damaged(_("%(name)s was changed or cut") % {"name": item["name"]})


def _damaged(why: str) -> Refused:
    return Refused(
        "archive_damaged", _("The archive can't be read: %(why)s. Nothing was changed.") % {"why": why}, field="file"
    )


class _Restoring:
    """One reading; keys and ids are mapped as it goes."""

    def __init__(self, tenant: Tenant, archive: zipfile.ZipFile, manifest: Mapping[str, Any]) -> None:
        self.tenant, self.archive, self.manifest = tenant, archive, manifest
        self.files = {item["table"]: item for item in manifest["files"]}
        self.keys: dict[type[models.Model], dict[int, int]] = {}
        self.order = {table.model: number for number, table in enumerate(tables())}
        # Keys of payouts that are taken: told to no one.
        self.payouts: dict[str, str] = {}
        self.done = Restored()

    def run(self, actor: Actor) -> Restored:
        tenant = self.tenant
        if full := is_empty(tenant):
            message = _("This account is not empty: it has %(what)s. An archive is read into an empty account only.")
            raise Refused("account_not_empty", message % {"what": full}, status=409)
        self._take_over()
        for table in tables():
            self._map_ids(table)
        later: list[tuple[models.ForeignKey[Any, Any], dict[int, int]]] = []
        for table in tables():
            self._read(table, later)
        for key, values in later:
            self._tie(key, values)
        if (now := totals(tenant)) != self.manifest["totals"]:
            wrong = next((name for name in now if now[name] != self.manifest["totals"].get(name)), "")
            message = _(
                "What was read adds up to something else than the archive says (%(what)s). Nothing was changed."
            )
            raise Refused("archive_totals", message % {"what": wrong}, field="file")
        self._tell_no_endpoint()
        let_nothing_leave(tenant=tenant, actor=actor, note=_("It was on its way when the account was written away."))
        data = {
            "rows": sum(self.done.rows.values()), "from": str(self.manifest["business"]["name"])[:120],
            "ids_changed": len(self.done.ids), "codes_changed": len(self.done.codes),
        }  # fmt: skip
        record(tenant, actor, Happening(types.ACCOUNT_IMPORTED, "merchant", tenant.merchant.public_id, data=data))
        return self.done

    def _take_over(self) -> None:
        """The time zone and the usual currency belong to what rewards and reports say."""
        business = self.manifest["business"]
        values = {"time_zone": business["time_zone"], "currency": business["currency"]}
        check_zone(values["time_zone"])
        check_currency_code(values["currency"])
        Merchant.objects.filter(pk=self.tenant.merchant.pk).update(**values)

    def _tell_no_endpoint(self) -> None:
        """What was read is history: an endpoint that stands here already is told of what comes after it."""
        newest = Event.objects.for_tenant(self.tenant).aggregate(pk=models.Max("pk"))["pk"]
        if newest is not None:
            endpoints = apps.get_model("integrations.WebhookEndpoint")._default_manager
            endpoints.filter(merchant=self.tenant.merchant, is_test=self.tenant.is_test).update(starts_after=newest)

    def _lines(self, table: Emptied) -> Iterator[str]:
        item = self.files.get(table.model._meta.label)
        if item is None:
            return
        with self.archive.open(item["name"]) as file:
            for line in file:
                yield line.decode()

    def _map_ids(self, table: Emptied) -> None:
        """New primary keys for all rows of a table, and new public ids and codes for those that are taken here."""
        model = table.model
        names = {one.attname for one in columns(model)} & {"public_id", *_CODES.get(model._meta.label, ())}
        olds: list[int] = []
        said: dict[str, list[str]] = {name: [] for name in names}
        for line in self._lines(table):
            row = json.loads(line)
            olds.append(int(row["id"]))
            for name in names:
                said[name].append(str(row[name]))
            if "public_id" in names and not _ID.fullmatch(said["public_id"][-1]):
                raise _damaged(_("it was changed or cut"))
        self.keys[model] = dict(zip(olds, _fresh_keys(model, len(olds)), strict=True))
        for name, texts in said.items():
            for text in _taken(model, name, texts):
                if name == "public_id":
                    prefix, mark, rest = text.rpartition("_")
                    self.done.ids[text] = f"{prefix}{mark}{random_text(len(rest), BASE62)}"
                elif name == "key":
                    self.payouts[text] = random_text(32)
                else:
                    self.done.codes[text] = referral_code()

    def _read(self, table: Emptied, later: list[tuple[models.ForeignKey[Any, Any], dict[int, int]]]) -> None:
        model = table.model
        said = set(self.files.get(model._meta.label, {}).get("columns", ()))
        fields = [one for one in columns(model) if one.attname in said]
        owned = {one.name for one in model._meta.concrete_fields}
        same: dict[str, Any] = (
            {"merchant_id": self.tenant.merchant.pk, "is_test": self.tenant.is_test} if "merchant" in owned else {}
        )
        loops: dict[str, dict[int, int]] = {one.attname: {} for one in fields if self._is_later(model, one)}
        later += [(one, loops[one.attname]) for one in fields if one.attname in loops]
        keys = self.keys[model]
        written = [(one.attname, self._writer(model, one)) for one in fields if not one.primary_key]
        names = ["id", *(name for name, _write in written)]
        count = 0
        piece: list[list[Any]] = []
        for line in self._lines(table):
            row = json.loads(self._renamed(line))
            key = keys[int(row["id"])]
            for name, values in loops.items():
                if row[name] is not None:
                    values[key] = row[name]
            self._recode(model, row)
            piece.append([key, *(write(row[name]) for name, write in written)])
            if len(piece) == _CHUNK:
                count += self._insert(model, names, piece, same)
                piece = []
        self.done.rows[model._meta.label] = count + self._insert(model, names, piece, same)

    def _is_later(self, model: type[models.Model], one: Any) -> bool:
        """Whether a key points at a table that comes later, or at its own: it is set once all rows are there."""
        other = pointed_at(one)
        return other is not None and self.order[other] >= self.order[model]

    def _writer(self, model: type[models.Model], one: Any) -> Callable[[Any], Any]:
        """How a column's value of the archive becomes the database's."""
        if isinstance(one, models.ForeignKey):
            other = pointed_at(one)
            if other is None or self._is_later(model, one):
                return lambda _value: None
            keys = self.keys[other]
            return lambda value: None if value is None else keys[int(value)]
        if model._meta.label == "campaigns.Campaign" and one.name == "status":
            return lambda _value: "draft"  # with its rules it gets its status (_tie)
        check = _check(one)
        return lambda value: one.get_db_prep_save(check(one.to_python(value)), connection)

    def _insert(
        self, model: type[models.Model], names: Sequence[str], rows: list[list[Any]], same: Mapping[str, Any]
    ) -> int:
        written = insert_rows(model, names, rows, same)
        if written != len(rows):
            raise _damaged(_("%(what)s stand in it twice, or here already") % {"what": model._meta.verbose_name_plural})
        return written

    def _renamed(self, line: str) -> str:
        """The line with new ids in the place of those that are taken, wherever it names them."""
        ids = self.done.ids
        if ids:
            line = _PUBLIC.sub(lambda found: ids.get(found[0], found[0]), line)
            line = _CAMPAIGN.sub(lambda found: f'"{ids.get(found[1], found[1])}"', line)
        if '"status:' in line:
            bonds = self.keys[apps.get_model("participants.Referral")]
            line = _STATUS.sub(lambda found: f'"status:{bonds.get(int(found[1]), int(found[1]))}:', line)
        return line

    def _recode(self, model: type[models.Model], row: dict[str, Any]) -> None:
        """Codes and addresses that somebody else has here: a new code, no address. A host name is proven here, or not at all."""
        label = model._meta.label
        if "host_verified_at" in row:
            row["host_verified_at"] = None
        for name in _CODES.get(label, ()):
            row[name] = self.done.codes.get(row[name]) or self.payouts.get(row[name]) or row[name]
        for name in _LOOSE.get(label, ()):
            if row.get(name) and _taken(model, name, [row[name]]):
                row[name] = ""

    def _tie(self, one: models.ForeignKey[Any, Any], values: Mapping[int, int]) -> None:
        """Set the keys that pointed forward; a campaign with rules gets its status."""
        other = pointed_at(one)
        assert other is not None  # noqa: S101 - only such are kept for later
        rows: models.QuerySet[Any] = models.QuerySet(one.model)
        for key, value in values.items():
            rows.filter(pk=key).update(**{one.attname: self.keys[other][int(value)]})
        if one.model._meta.label == "campaigns.Campaign":
            check = _check(one.model._meta.get_field("status"))
            for line in self._lines(next(table for table in tables() if table.model is one.model)):
                row = json.loads(line)
                rows.filter(pk=self.keys[one.model][int(row["id"])]).update(status=check(row["status"]))


def _check(one: Any) -> Callable[[Any], Any]:
    """Lets through what we could have written: one of the field's choices, no longer than the field (SQLite asks for neither)."""
    known = {value for value, _label in one.flatchoices} | ({""} if one.blank else set())
    is_choice, longest = bool(one.choices), one.max_length

    def checked(value: Any) -> Any:
        if value is None or (not is_choice and longest is None):
            return value
        if (is_choice and value not in known) or (longest is not None and len(value) > longest):
            raise ValueError(f"{one} is never {str(value)[:40]!r}")
        return value

    return checked


def _taken(model: type[models.Model], name: str, texts: Sequence[str]) -> list[str]:
    """Which of these somebody has here."""
    found: list[str] = []
    rows: models.QuerySet[Any] = models.QuerySet(model)
    for start in range(0, len(texts), _CHUNK):
        found += rows.filter(Among(name, texts[start : start + _CHUNK])).values_list(name, flat=True)
    return found


def _fresh_keys(model: type[models.Model], count: int) -> list[int]:
    """So many primary keys that nobody else gets."""
    if not count:
        return []
    table = model._meta.db_table
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                "SELECT nextval(pg_get_serial_sequence(%s, 'id')) FROM generate_series(1, %s)", [table, count]
            )
            return [int(key) for (key,) in cursor.fetchall()]
        # Inside the write transaction nobody else takes one.
        cursor.execute(f"SELECT COALESCE(MAX(id), 0) FROM {connection.ops.quote_name(table)}")  # noqa: S608 - the model's name
        (highest,) = cursor.fetchone()
        cursor.execute("SELECT seq FROM sqlite_sequence WHERE name = %s", [table])
        kept = cursor.fetchone()
    start = max(int(highest), int(kept[0]) if kept else 0) + 1
    return list(range(start, start + count))
