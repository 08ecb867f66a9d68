"""Rows that are people: what stands in each, and what of it is new, changed, known or wrong compared with what is recorded."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from urllib.parse import parse_qs, urlsplit

from django.utils.translation import gettext as _

from campaigns.models import Campaign
from participants.codes import LONGEST, check_code, look_of
from participants.models import ChosenCode, Participant, Referral
from referrals.lib import clock
from referrals.lib.emails import Email, EmailError, parse_email
from referrals.lib.errors import Refused
from referrals.lib.money import Money
from referrals.lib.queries import Among
from rewards.import_models import Import
from rewards.imports.rows import Wrong, campaigns_of
from rewards.imports.spelled import read_amount, read_day_or_moment, read_yes_no
from rewards.models import LedgerEntry
from rewards.statuses import STATUSES

OPENING = ("earned", "paid", "owed")
# A code that a program made up: kept to the letter. Words that people read and type are kept by their looks (participants.codes).
_MACHINE_MADE = re.compile(r"(?=.*[a-z])(?=.*[A-Z])[A-Za-z0-9]{6,16}", re.ASCII)
_CODE_PARAMETERS = ("referralCode", "referralcode", "via", "ref", "code", "r")
Key = tuple[int, str]  # campaign, folded address
Code = tuple[int, str]  # campaign, code or its looks


@dataclass(slots=True)
class Person:
    """One row as it is read; None and "" are what it does not say. `opening` is in minor units of the campaign's currency."""

    line: int
    campaign: Campaign
    email: Email
    first_name: str = ""
    last_name: str = ""
    language: str = ""
    code: str = ""
    referrer: Email | None = None
    referrer_code: str = ""
    joined_at: datetime | None = None
    banned: bool | None = None
    existing_customer: bool | None = None
    status: str = ""
    opening: Mapping[str, int] = field(default_factory=dict)

    @property
    def key(self) -> Key:
        """What a participant is once by."""
        return self.campaign.pk, self.email.key

    @property
    def has_referrer(self) -> bool:
        """Whether the row says who invited them."""
        return self.referrer is not None or bool(self.referrer_code)


# What binding people to those who invited them needs of a row.
BOND = frozenset({"email", "campaign", "referrer_email", "referrer_code", "joined_at", "status"})


class PeopleReader:
    """Reads rows as the merchant said that the file is to be read; `only` some of its fields, where the rest was read before."""

    def __init__(self, upload: Import, *, only: frozenset[str] | None = None) -> None:
        self.at = {name: column for name, column in upload.mapping.items() if only is None or name in only}
        self.default = upload.campaign
        self.campaigns = campaigns_of(upload.tenant) if "campaign" in self.at else {}
        self.zone: tzinfo = upload.merchant.zone
        self.order, self.mark = upload.date_order, upload.decimal_mark
        self.now = clock.now()
        self.plain = [(name, column) for name, column in self.at.items() if name in _TEXTS]
        self.opening = [name for name in OPENING if name in self.at]

    def read(self, line: int, cells: Sequence[str]) -> Person | Wrong:
        """One row, or why it can't be taken."""
        try:
            return self._person(line, cells)
        except Refused as error:
            return Wrong(line, error.field, error.message)

    def _cell(self, cells: Sequence[str], name: str) -> str:
        column = self.at.get(name)
        return cells[column] if column is not None and column < len(cells) else ""

    def _person(self, line: int, cells: Sequence[str]) -> Person:
        campaign = self.default
        if wanted := self._cell(cells, "campaign"):
            found = self.campaigns.get(wanted)
            if found is None:
                raise Refused("campaign_not_found", _("No campaign %(id)s.") % {"id": wanted[:40]}, field="campaign")
            campaign = found
        person = Person(line, campaign, _email(self._cell(cells, "email"), "email"))
        for name, column in self.plain:
            if column < len(cells) and (text := cells[column]):
                setattr(person, name, _text(text, name))
        if not person.first_name and not person.last_name and (text := self._cell(cells, "name")):
            first, _space, last = _text(text, "name").partition(" ")
            person.first_name, person.last_name = first[:80], last[:80]
        if text := self._cell(cells, "code"):
            person.code = check_kept_code(code_in(text))
        self._bond(person, cells)
        self._facts(person, cells)
        return person

    def _bond(self, person: Person, cells: Sequence[str]) -> None:
        text = self._cell(cells, "referrer_email")
        if "@" in text:
            person.referrer = _email(text, "referrer_email")
            if person.referrer.identity == person.email.identity:
                raise _self_referral("referrer_email")
        elif text:
            person.referrer_code = code_in(text)
        if text := self._cell(cells, "referrer_code"):
            person.referrer_code = code_in(text)
        if person.referrer_code and person.referrer_code == person.code:
            raise _self_referral("referrer_code")

    def _facts(self, person: Person, cells: Sequence[str]) -> None:
        if text := self._cell(cells, "joined_at"):
            with _about("joined_at"):
                person.joined_at = read_day_or_moment(text, self.zone, self.order)
            if person.joined_at > self.now:
                message = _("%(time)s is in the future.") % {"time": text[:40]}
                raise Refused("occurred_at", message, field="joined_at")
        for name in ("banned", "existing_customer"):
            if text := self._cell(cells, name):
                with _about(name):
                    setattr(person, name, read_yes_no(text))
        if text := self._cell(cells, "status").lower():
            if text not in STATUSES:
                words = {"status": text[:40], "all": ", ".join(STATUSES)}
                raise Refused("invalid_choice", _("%(status)r is not one of %(all)s.") % words, field="status")
            person.status = text
        if self.opening:
            person.opening = self._opening(person, cells)

    def _opening(self, person: Person, cells: Sequence[str]) -> dict[str, int]:
        currency = person.campaign.currency
        named = self._cell(cells, "currency").upper()
        found = {}
        for name in self.opening:
            if text := self._cell(cells, name):
                with _about(name):
                    if named and named != currency:
                        message = _("%(text)s is not in %(wanted)s, the currency here.")
                        raise Refused("currency", message % {"text": f"{text} {named}"[:40], "wanted": currency})
                    amount: Money = read_amount(text, currency, self.mark)
                if amount.minor:
                    found[name] = amount.minor
        return found


_TEXTS = frozenset({"first_name", "last_name", "language"})
_LENGTHS = {"first_name": 80, "last_name": 80, "name": 160, "language": 8}


class _about:
    """A refusal inside is about this field."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, Refused) and not error.field:
            error.field = self.name


def _email(text: str, name: str) -> Email:
    try:
        return parse_email(text)
    except EmailError as error:
        raise Refused("email_invalid", str(error), field=name) from error


def _text(text: str, name: str) -> str:
    text = " ".join(text.split())
    if len(text) > _LENGTHS[name]:
        raise Refused("too_long", _("At most %(limit)d characters fit.") % {"limit": _LENGTHS[name]}, field=name)
    if not text.isprintable():
        raise Refused("invalid_characters", _("There are invisible characters in it."), field=name)
    return text


def _self_referral(name: str) -> Refused:
    return Refused("self_referral", _("They would have invited themselves."), field=name)


def code_in(text: str) -> str:
    """The code in a cell that has a code or a whole link ("https://shop.example/?via=adam")."""
    if "/" not in text:
        return text.strip()
    parts = urlsplit(text if "//" in text else f"//{text}")
    query = parse_qs(parts.query)
    for name in _CODE_PARAMETERS:
        if name in query:
            return query[name][0].strip()
    return parts.path.rstrip("/").rpartition("/")[2]


def check_kept_code(code: str) -> str:
    """A code that can be kept. Raises Refused code_format, code_reserved."""
    if is_machine_made(code):
        return code
    try:
        check_code(code)
    except Refused as error:
        message = _("The code %(code)s can't be kept: %(why)s Without a code, a new one is made.")
        raise Refused(
            error.code, message % {"code": code[: LONGEST + 8], "why": error.message}, field="code"
        ) from error
    return code


def is_machine_made(code: str) -> bool:
    """Whether a code is told from others by its very letters, as our own are."""
    return _MACHINE_MADE.fullmatch(code) is not None


@dataclass(slots=True)
class Existing:
    """A participant whom a row names, with what the row may change."""

    pk: int
    public_id: str
    email_key: str
    first_name: str
    last_name: str
    language: str
    referral_code: str
    existing_customer: bool
    is_banned: bool
    looks: set[str] = field(default_factory=set)
    referrer_key: str = ""
    referrer_code: str = ""
    status: str = ""
    opened: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Plan:
    """What becomes of some rows. `changes` has the fields of each existing participant that get another value."""

    new: list[Person] = field(default_factory=list)
    changes: list[tuple[Existing, Person, set[str]]] = field(default_factory=list)
    known: int = 0
    wrong: list[Wrong] = field(default_factory=list)
    # Random codes that somebody else has in another campaign: theirs become chosen ones.
    chosen: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Seen:
    """What the file itself has had so far: where an address and a code stood, and whose code it was."""

    people: dict[Key, int] = field(default_factory=dict)
    codes: dict[Code, int] = field(default_factory=dict)

    def has_referrer_of(self, person: Person, lost: Collection[int]) -> bool:
        """Whether a row of the file, other than the `lost` ones, is who invited this person."""
        campaign = person.campaign.pk
        if person.referrer is not None:
            line = self.people.get((campaign, person.referrer.key))
        else:
            line = self.codes.get((campaign, look_of(person.referrer_code)))
        return line is not None and line not in lost


def plan(people: Sequence[Person], seen: Seen) -> Plan:
    """Compare rows with what is recorded, in a fixed number of queries; `seen` is carried on in place."""
    made = Plan()
    known = existing_of(people)
    taken = _codes_taken(people)
    for person in people:
        problem = _twice(person, seen) or _code_problem(person, known.get(person.key), taken, seen, made)
        there = known.get(person.key)
        if not problem and there is not None:
            problem = _other_referrer(person, there)
        if problem:
            made.wrong.append(problem)
            continue
        seen.people[person.key] = person.line
        if person.code:
            seen.codes[person.campaign.pk, look_of(person.code)] = person.line
        if there is None:
            made.new.append(person)
        elif fields := changed_fields(person, there):
            made.changes.append((there, person, fields))
        else:
            made.known += 1
    return made


def _twice(person: Person, seen: Seen) -> Wrong | None:
    before = seen.people.get(person.key)
    if before is None:
        return None
    return Wrong(person.line, "email", _("The same address stands in line %(line)d.") % {"line": before})


def _other_referrer(person: Person, there: Existing) -> Wrong | None:
    if not there.referrer_key or not person.has_referrer:
        return None
    same_code = person.referrer_code and look_of(person.referrer_code) == look_of(there.referrer_code)
    if same_code or (person.referrer is not None and person.referrer.key == there.referrer_key):
        return None
    if person.referrer is None and person.referrer_code:
        chosen = ChosenCode.objects.filter(
            campaign=person.campaign, key=look_of(person.referrer_code), released_at=None, participant__email_key=there.referrer_key
        )  # fmt: skip
        if chosen.exists():
            return None
    message = _("Somebody else invited them before; detach that referral on their page first.")
    return Wrong(person.line, "referrer_email", message)


def _code_problem(
    person: Person, there: Existing | None, taken: Mapping[Code, set[str]], seen: Seen, made: Plan
) -> Wrong | None:
    """Whether their code belongs to somebody else: in the campaign it is wrong; elsewhere it becomes a chosen one."""
    if not person.code:
        return None
    look = look_of(person.code)
    if there is not None and (person.code == there.referral_code or look in there.looks):
        return None
    before = seen.codes.get((person.campaign.pk, look))
    if before is not None:
        message = _("The code %(code)s, or one that looks like it, stands in line %(line)d.")
        return Wrong(person.line, "code", message % {"code": person.code, "line": before})
    owners = taken.get((person.campaign.pk, look), set()) | taken.get((person.campaign.pk, f"={person.code}"), set())
    if owners - {person.email.key}:
        message = _("Somebody has the code %(code)s, or one that looks like it. Choose another one.")
        return Wrong(person.line, "code", message % {"code": person.code})
    if taken.get((0, person.code)):
        made.chosen.add(person.code)
    return None


def _codes_taken(people: Iterable[Person]) -> dict[Code, set[str]]:
    """Who has these codes: (campaign, looks) for chosen ones, (campaign, "=code") for random ones, (0, code) wherever one is."""
    codes = {person.code for person in people if person.code}
    if not codes:
        return {}
    found: dict[Code, set[str]] = {}
    rows = Participant.objects.filter(Among("referral_code", codes)).values_list(
        "campaign_id", "referral_code", "email_key"
    )
    for campaign, code, key in rows:
        found.setdefault((campaign, f"={code}"), set()).add(key)
        found.setdefault((0, code), set()).add(key)
    campaigns = {person.campaign.pk for person in people}
    chosen = ChosenCode.objects.filter(Among("key", {look_of(code) for code in codes}), campaign__in=campaigns)
    for campaign, look, key in chosen.values_list("campaign_id", "key", "participant__email_key"):
        found.setdefault((campaign, look), set()).add(key)
    return found


def changed_fields(person: Person, there: Existing) -> set[str]:
    """What the row says that is not recorded. Nothing is emptied, nobody is unbanned, a referrer who stands stays."""
    found = {
        name
        for name in ("first_name", "last_name", "language")
        if getattr(person, name) and getattr(person, name) != getattr(there, name)
    }
    if person.existing_customer is not None and person.existing_customer != there.existing_customer:
        found.add("existing_customer")
    if person.banned and not there.is_banned:
        found.add("banned")
    if person.code and person.code != there.referral_code and look_of(person.code) not in there.looks:
        found.add("code")
    if person.has_referrer and not there.referrer_key:
        found.add("referrer")
    if person.status and there.referrer_key and person.status != there.status:
        found.add("status")
    if set(person.opening) - there.opened:
        found.add("opening")
    return found


def existing_of(people: Sequence[Person]) -> dict[Key, Existing]:
    """The participants whom these rows name, with all that plan() compares. At most four queries."""
    keys = {person.email.key for person in people}
    campaigns = {person.campaign.pk for person in people}
    rows = Participant.objects.filter(Among("email_key", keys), campaign__in=campaigns).values_list(
        "pk", "public_id", "campaign_id", "email_key", "first_name", "last_name", "language", "referral_code",
        "existing_customer", "banned_at",
    )  # fmt: skip
    found: dict[Key, Existing] = {}
    by_pk: dict[int, Existing] = {}
    for pk, public_id, campaign, key, first, last, language, code, customer, banned in rows:
        row = Existing(pk, public_id, key, first, last, language, code, customer, banned is not None)
        found[campaign, key] = by_pk[pk] = row
    if not by_pk:
        return found
    _add_codes(by_pk)
    bonds = Referral.objects.filter(Among("standing_for_id", list(by_pk)))
    for pk, key, code, status in bonds.values_list(
        "standing_for_id", "referrer__email_key", "referrer__referral_code", "status"
    ):
        by_pk[pk].referrer_key, by_pk[pk].referrer_code, by_pk[pk].status = key, code, status
    if any(person.opening for person in people):
        by_id = {row.public_id: row for row in by_pk.values()}
        wanted = [opening_key(public_id, name) for public_id in by_id for name in OPENING]
        for key in LedgerEntry.objects.filter(Among("key", wanted)).values_list("key", flat=True):
            _import, public_id, name = key.split(":")
            by_id[public_id].opened.add(name)
    return found


def _add_codes(people: Mapping[int, Existing]) -> None:
    rows = ChosenCode.objects.filter(Among("participant_id", list(people)), released_at=None)
    for pk, look in rows.values_list("participant_id", "key"):
        people[pk].looks.add(look)


def opening_key(public_id: str, name: str) -> str:
    """Under which an opening balance stands in the ledger: once for ever."""
    return f"import:{public_id}:{name}"


@dataclass(slots=True)
class Named:
    """Somebody whom a row names as referrer, or as friend."""

    pk: int
    identity: str


class Finder:
    """Looks up participants of some campaigns by address or by code: for many rows at once."""

    def __init__(self, campaigns: Collection[int], keys: Collection[str], codes: Collection[str]) -> None:
        self.people: dict[Key, Named] = {}
        self.codes: dict[Code, Named] = {}
        # A code is unique anywhere: with the campaign beside it, SQLite would walk through all of the campaign's people.
        found = []
        if keys:
            found.append(Participant.objects.filter(Among("email_key", keys), campaign__in=campaigns))
        if codes:
            found.append(Participant.objects.filter(Among("referral_code", codes)))
        for rows in found:
            for pk, campaign, key, identity, code in rows.values_list(
                "pk", "campaign_id", "email_key", "identity_key", "referral_code"
            ):
                if campaign in campaigns:
                    self.people[campaign, key] = self.codes[campaign, f"={code}"] = Named(pk, identity)
        if codes:
            looks = {look_of(code) for code in codes}
            chosen = ChosenCode.objects.filter(Among("key", looks), campaign__in=campaigns, released_at=None)
            for campaign, look, pk, identity in chosen.values_list(
                "campaign_id", "key", "participant_id", "participant__identity_key"
            ):
                self.codes[campaign, look] = Named(pk, identity)

    @classmethod
    def for_people(cls, people: Iterable[Person]) -> Finder:
        """Everybody whom these rows name, and those they are about."""
        rows = list(people)
        keys = {person.email.key for person in rows} | {person.referrer.key for person in rows if person.referrer}
        codes = {person.referrer_code for person in rows if person.referrer_code}
        return cls({person.campaign.pk for person in rows}, keys, codes)

    def referrer_of(self, person: Person) -> Named | None:
        """Who invited this person, if they are recorded; the address goes before the code."""
        campaign = person.campaign.pk
        if person.referrer is not None:
            return self.people.get((campaign, person.referrer.key))
        code = person.referrer_code
        return self.codes.get((campaign, f"={code}")) or self.codes.get((campaign, look_of(code)))
