"""Everybody's own link, whether they take part or not yet: for newsletters, thank-you pages and the API (docs/invitations.md)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from django.db import transaction
from django.utils.translation import gettext as _

from campaigns.models import Campaign, Status
from participants import invites
from participants.links import short_link
from participants.models import Invite, InviteList, Participant
from participants.services import check_email
from referrals.lib.errors import Refused

CHUNK = 1000
LONGEST_NAME = 80


@dataclass(frozen=True, slots=True)
class PersonalLink:
    """Somebody's own link. `participant` is who takes part already, `invite` the row that keeps a code for who does not."""

    email: str
    name: str
    link: str
    participant: Participant | None
    invite: Invite | None


def personal_links(
    *, campaign: Campaign, people: Sequence[tuple[str, str]], source: str = "link", place: str = "people"
) -> list[PersonalLink]:
    """The own link of each (address, name), in their order; a code is kept for who has none. Idempotent, nobody is mailed.

    `campaign` comes with its merchant. Raises Refused: email_invalid, too_long (naming `place[n].email`), campaign_not_started (a draft).
    """
    if campaign.status == Status.DRAFT:
        message = _("The campaign %(name)s is a draft: its links lead nowhere yet. Launch it first.")
        raise Refused("campaign_not_started", message % {"name": campaign.name}, field="campaign")
    read = []
    for number, (typed, given) in enumerate(people):
        name = " ".join("".join(c if c.isprintable() else " " for c in given).split())
        if len(name) > LONGEST_NAME:
            raise Refused("too_long", _("A name has at most 80 characters."), field=f"{place}[{number}].name")
        read.append((check_email(typed, field=f"{place}[{number}].email"), name))
    there = {
        person.email_key: person
        for person in Participant.objects.filter(campaign=campaign, email_key__in={email.key for email, _name in read})
    }
    kept = _keep(campaign, [(email.address, email.key, name) for email, name in read if email.key not in there], source)
    found = []
    for email, name in read:
        person, invite = there.get(email.key), kept.get(email.key)
        if person is not None:
            person.campaign = campaign
            found.append(PersonalLink(email.address, name, short_link(person), person, None))
        elif invite is not None:
            invite.campaign = campaign
            found.append(PersonalLink(email.address, name, invites.link_of(invite), None, invite))
    return found


def _keep(campaign: Campaign, people: Sequence[tuple[str, str, str]], source: str) -> dict[str, Invite]:
    if not people:
        return {}
    rows = {
        key: Invite(
            merchant_id=campaign.merchant_id,
            is_test=campaign.is_test,
            campaign=campaign,
            email=address,
            email_key=key,
            name=name,
            source=source,
        )
        for address, key, name in people
    }
    with transaction.atomic():
        return invites.add(campaign, rows.values())


def own_invite(*, campaign: Campaign, email: str, name: str, source: str) -> Invite:
    """A person's one row in a campaign, made now if there is none; with their participant if they take part. Refused `email_invalid`."""
    address = check_email(email)
    found = _keep(campaign, [(address.address, address.key, name)], source)[address.key]
    if found.participant_id is None:
        person = Participant.objects.filter(campaign=campaign, email_key=address.key).first()
        if person is not None:
            Invite.objects.filter(pk=found.pk, participant=None).update(participant=person)
            found.participant = person
    found.campaign = campaign
    return found


def links_of_list(row: InviteList) -> Iterator[PersonalLink]:
    """The own link of everybody who can be read on a list, each once; a thousand at a time. Their consent to our mail is not asked for."""
    lines = row.lines.exclude(reason="duplicate").order_by("number").values_list("email", "name")
    yield from _in_chunks(row.campaign, lines.iterator(chunk_size=CHUNK))


def _in_chunks(campaign: Campaign, people: Iterable[tuple[str, str]]) -> Iterator[PersonalLink]:
    rest = iter(people)
    while chunk := list(islice(rest, CHUNK)):
        yield from personal_links(campaign=campaign, people=chunk)


def links_of_participants(campaign: Campaign) -> Iterator[PersonalLink]:
    """The own link of everybody who takes part and is not banned, the earliest first; a thousand at a time."""
    last = 0
    while True:
        rows = Participant.objects.filter(campaign=campaign, pk__gt=last, banned_at=None).order_by("pk")[:CHUNK]
        people = list(rows)
        if not people:
            return
        last = people[-1].pk
        for person in people:
            person.campaign = campaign
            yield PersonalLink(person.email, person.name, short_link(person), person, None)
