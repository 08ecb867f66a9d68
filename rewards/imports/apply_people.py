"""Writing what people's rows say: set-based for the new ones, by the services that a person would use for those who are there.

First the people (`add_people`), then who invited them (`bind_people`), because a referrer may stand further down in the file. Both are
called for a batch inside its transaction, and do nothing that was done before.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.translation import gettext as _

from participants.codes import choose_code, look_of
from participants.models import ChosenCode, Participant, Referral
from referrals.events.services import Actor
from referrals.lib import clock
from referrals.lib.bulk import insert_rows
from referrals.lib.codes import public_id, referral_code
from referrals.lib.errors import Refused
from referrals.lib.queries import Among
from rewards import bans, services, statuses
from rewards.customers import change_participant
from rewards.import_models import Import
from rewards.imports.fields import preset_label
from rewards.imports.people import (
    Existing,
    Finder,
    Person,
    Plan,
    existing_of,
    is_machine_made,
    opening_key,
)
from rewards.imports.rows import Wrong
from rewards.models import LedgerEntry

SOURCE = "import"
_SIGN = {"earned": 1, "paid": -1, "owed": 1}


def add_people(upload: Import, plan: Plan, actor: Actor) -> list[Wrong]:
    """Insert the new ones and change the others. Returns rows that could not be taken after all."""
    wrong = _change(upload, plan, actor)
    if plan.new:
        wrong += _insert(upload, plan, actor)
    return wrong


def _insert(upload: Import, plan: Plan, actor: Actor) -> list[Wrong]:
    now = clock.now()
    chosen: list[Person] = []
    rows = []
    for person in plan.new:
        code = person.code
        if code and (not is_machine_made(code) or code in plan.chosen):
            chosen.append(person)
            code = ""
        customer = bool(person.existing_customer)
        rows.append((
            public_id("pt"), person.campaign.pk, person.email.address, person.email.key, person.email.identity,
            person.first_name, person.last_name, code or referral_code(), person.language, customer, "hand" if customer else "",
            person.joined_at or now, now if person.banned else None, _("Imported as banned") if person.banned else "",
        ))  # fmt: skip
    names = (
        "public_id", "campaign_id", "email", "email_key", "identity_key", "first_name", "last_name", "referral_code", "language",
        "existing_customer", "customer_by", "joined_at", "banned_at", "ban_reason",
    )  # fmt: skip
    same = {"merchant_id": upload.merchant_id, "is_test": upload.is_test, "source": SOURCE, "metadata": {}}
    insert_rows(Participant, names, rows, same)
    wrong = []
    if chosen or any(person.opening for person in plan.new):
        found = existing_of([person for person in plan.new if person.opening or person.code])
        wrong = _choose(upload, chosen, found)
        _open_balances(upload, [(person, found[person.key]) for person in plan.new if person.opening], actor)
    return wrong


def _choose(upload: Import, people: Sequence[Person], found: dict[tuple[int, str], Existing]) -> list[Wrong]:
    """Give new people the codes that are kept by their looks."""
    rows = []
    for person in people:
        code = person.code.lower()
        rows.append((person.campaign.pk, found[person.key].pk, code, look_of(code)))
    same = {"merchant_id": upload.merchant_id, "is_test": upload.is_test, "released_at": None}
    insert_rows(ChosenCode, ("campaign_id", "participant_id", "code", "key"), rows, same)
    held = set(
        ChosenCode.objects.filter(Among("participant_id", [row[1] for row in rows])).values_list(
            "participant_id", "code"
        )
    )
    mine = dict(held)
    people_rows = list(Participant.objects.filter(Among("pk", list(mine))).only("pk", "vanity_code"))
    for row in people_rows:
        row.vanity_code = mine[row.pk]
    Participant.objects.bulk_update(people_rows, ["vanity_code"], batch_size=500)
    message = _("Somebody has the code %(code)s, or one that looks like it. Choose another one.")
    return [
        Wrong(person.line, "code", message % {"code": person.code})
        for person in people
        if found[person.key].pk not in mine
    ]


def _open_balances(upload: Import, people: Sequence[tuple[Person, Existing]], actor: Actor) -> None:
    """Lines of the ledger for what was earned and paid elsewhere, each said once for ever."""
    where = preset_label(upload.preset) or upload.name
    notes = {
        "earned": _("Earned before the import (%(where)s)"),
        "paid": _("Paid out before the import (%(where)s)"),
        "owed": _("Still owed at the import (%(where)s)"),
    }
    rows = [
        (
            opening_key(there.public_id, name), there.pk, _SIGN[name] * minor, person.campaign.currency,
            notes[name] % {"where": where},
        )
        for person, there in people
        for name, minor in person.opening.items()
        if name not in there.opened
    ]  # fmt: skip
    same = {
        "merchant_id": upload.merchant_id, "is_test": upload.is_test, "side": "referrer", "kind": "adjust",
        "actor": actor.label or actor.kind,
    }  # fmt: skip
    insert_rows(LedgerEntry, ("key", "participant_id", "amount_minor", "currency", "note"), rows, same)


def _change(upload: Import, plan: Plan, actor: Actor) -> list[Wrong]:
    if not plan.changes:
        return []
    wrong = []
    plain = {"first_name", "last_name", "language"}
    people = Participant.objects.select_related("campaign__merchant", "merchant").in_bulk(
        [there.pk for there, _p, _f in plan.changes]
    )
    renamed = []
    for there, person, fields in sorted(plan.changes, key=lambda change: change[0].pk):
        row = people[there.pk]
        try:
            _change_one(row, person, fields, actor)
        except Refused as error:
            wrong.append(Wrong(person.line, error.field, error.message))
            continue
        for name in fields & plain:
            setattr(row, name, getattr(person, name))
        if fields & plain:
            renamed.append(row)
    Participant.objects.bulk_update(renamed, sorted(plain), batch_size=500)
    opened = [(person, there) for there, person, fields in plan.changes if "opening" in fields]
    _open_balances(upload, opened, actor)
    return wrong


def _change_one(row: Participant, person: Person, fields: set[str], actor: Actor) -> None:
    """What more hangs on than the row itself goes the way that a person's press would."""
    if "code" in fields:
        choose_code(participant=row, text=person.code, actor=actor)
    if "existing_customer" in fields:
        change_participant(participant=row, actor=actor, existing_customer=person.existing_customer)
    if "banned" in fields:
        bans.ban(participant=row, actor=actor, reason=_("Imported as banned"))


def bind_people(upload: Import, people: Sequence[Person], actor: Actor) -> list[Wrong]:
    """Give these people their referrers, and their referrals the status that the file says. Returns rows that could not be bound."""
    rows = [person for person in people if person.has_referrer or person.status]
    if not rows:
        return []
    finder = Finder.for_people(rows)
    friends = {person.line: finder.people.get(person.key) for person in rows}
    bound = dict(
        Referral.objects.filter(
            Among("standing_for_id", [friend.pk for friend in friends.values() if friend])
        ).values_list("standing_for_id", "status")
    )
    wrong: list[Wrong] = []
    fresh, moved = [], []
    now = clock.now()
    for person in rows:
        friend, referrer = friends[person.line], finder.referrer_of(person)
        if friend is None:
            continue  # wrong already, for another reason
        if friend.pk in bound:
            if person.status and person.status != bound[friend.pk]:
                moved.append((friend.pk, person))
            continue
        problem = _cannot_bind(person, friend, referrer)
        if problem is not None:
            wrong.append(problem)
        elif referrer is not None:
            how = "email" if person.referrer is not None else "code"
            at = person.joined_at or now
            status = "pending" if upload.decide else person.status or "pending"
            fresh.append((person, (person.campaign.pk, referrer.pk, friend.pk, friend.pk, how, status, at)))
    names = ("campaign_id", "referrer_id", "invitee_id", "standing_for_id", "how", "status", "created_at")
    insert_rows(
        Referral, names, [row for _p, row in fresh], {"merchant_id": upload.merchant_id, "is_test": upload.is_test}
    )
    if upload.decide:
        _decide(fresh, actor)
        moved += [(row[2], person) for person, row in fresh if person.status not in {"", "pending"}]
    return wrong + _set_statuses(upload, moved, actor)


def _cannot_bind(person: Person, friend: object, referrer: object) -> Wrong | None:
    name = "referrer_email" if person.referrer is not None else "referrer_code"
    if not person.has_referrer:
        return Wrong(
            person.line, "status", _("They were not invited by anybody, so there is no referral with a status.")
        )
    if referrer is None:
        return unknown_referrer(person)
    if getattr(referrer, "identity", "") == getattr(friend, "identity", ""):
        return Wrong(person.line, name, _("They would have invited themselves."))
    return None


def unknown_referrer(person: Person) -> Wrong:
    """Nobody in the campaign has the address or the code that a row names."""
    if person.referrer is not None:
        message = _("Nobody in the campaign has the address %(who)s, and no other row of the file.")
        return Wrong(person.line, "referrer_email", message % {"who": person.referrer.address[:80]})
    message = _("Nobody in the campaign has the code %(code)s, and no other row of the file.")
    return Wrong(person.line, "referrer_code", message % {"code": person.referrer_code[:40]})


def _decide(fresh: Sequence[tuple[Person, tuple[object, ...]]], actor: Actor) -> None:
    """Where the merchant says that history earns rewards: what joining is worth."""
    rows = Participant.objects.select_related("campaign__merchant", "merchant").in_bulk([row[2] for _p, row in fresh])
    for person, row in fresh:
        services.award_joining(rows[row[2]], actor, at=person.joined_at)


def _set_statuses(upload: Import, moved: Sequence[tuple[object, Person]], actor: Actor) -> list[Wrong]:
    if not moved:
        return []
    rows = Participant.objects.select_related("campaign__merchant", "merchant").in_bulk([pk for pk, _p in moved])
    wrong = []
    for pk, person in sorted(moved, key=lambda item: int(str(item[0]))):
        try:
            statuses.set_status(
                participant=rows[pk], status=person.status, actor=actor, note=upload.name, settled=not upload.decide
            )  # fmt: skip
        except Refused as error:
            wrong.append(Wrong(person.line, "status", error.message))
    return wrong
