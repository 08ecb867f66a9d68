"""The rows of an uploaded file, by number; and rows that can't be taken."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from campaigns.models import Campaign
from referrals.accounts.tenancy import Tenant
from referrals.lib.tables import read_table, rows_of
from rewards.import_models import Import, ImportFile

# What the column of reasons is called in a file of wrong rows; such a file can be corrected and uploaded as it is.
REASON_COLUMN = "reason"


@dataclass(frozen=True, slots=True)
class Wrong:
    """A row that can't be taken: in which line it begins, which field is wrong ("" for the whole row), and why."""

    line: int
    field: str
    reason: str

    def kept(self) -> list[object]:
        """As ImportFile.wrong has it."""
        return [self.line, self.field, self.reason[:300]]


class Row(NamedTuple):
    """One row below the header: its number from 1, the line it begins in, its cells."""

    number: int
    line: int
    cells: list[str]


def rows_in(upload: Import, *, skip: int = 0) -> Iterator[Row]:
    """The rows after the first `skip`."""
    yield from numbered(file_data(upload), has_header=upload.has_header, skip=skip)


def numbered(data: bytes, *, has_header: bool, skip: int = 0) -> Iterator[Row]:
    """The rows of a file that was accepted before."""
    first = 0 if has_header else 1
    for number, (line, cells) in enumerate(rows_of(read_table(data, western=True)), start=first):
        if number > skip:
            yield Row(number, line, cells)


def file_data(upload: Import) -> bytes:
    """The file's bytes; ImportFile.DoesNotExist once it is gone."""
    return bytes(ImportFile.objects.values_list("data", flat=True).get(upload=upload))


def campaigns_of(tenant: Tenant) -> dict[str, Campaign]:
    """The side's campaigns by public id."""
    return {row.public_id: row for row in Campaign.objects.for_tenant(tenant).select_related("merchant")}
