"""Joining with what the campaign asks for: terms that were accepted, an address that was confirmed (docs/hosted.md)."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from campaigns.models import Campaign
from participants import confirming
from participants.fraud.traces import Seen
from participants.join_answers import keep_agreement, note_agreement, require_terms
from participants.models import JoinRequest, Participant
from participants.services import find_by_email
from referrals.events.services import Actor
from referrals.lib import clock
from rewards import services


def confirm(*, request: JoinRequest, actor: Actor) -> Participant:
    """Join as the form said it, once; said again it is the same participant. Refused: link_expired, campaign_* while it is closed."""
    with transaction.atomic():
        row = (
            JoinRequest.objects.select_for_update(of=("self",), no_key=True)
            .select_related("campaign__merchant", "participant", "terms")
            .filter(pk=request.pk, nonce=request.nonce)
            .first()
        )
        if row is None or confirming.is_over(row):
            raise confirming.refuse_over()
        if row.participant is not None:
            return row.participant
        seen = row.seen
        joined = services.join(
            campaign=row.campaign,
            email=row.email,
            actor=actor,
            source=row.source,
            first_name=row.first_name,
            last_name=row.last_name,
            language=row.language,
            link_code=row.link_code,
            cookie_code=row.cookie_code,
            visitor=row.visitor,
            seen=Seen(seen["ip"], seen["agent"], tuple(seen["devices"])) if seen else None,
            metadata=row.answers,
        )
        if row.terms is not None:
            note_agreement(joined.participant, row.terms, row.source, actor, at=row.created_at)
        confirming.mark_confirmed(row, joined.participant, clock.wall())
    return joined.participant


def join_with_terms(
    *, campaign: Campaign, email: str, accepted: bool, terms_field: str = "terms_accepted", **fields: Any
) -> services.Joined:
    """services.join() for programs, which speak for people: Refused `terms_not_accepted` where the campaign asks and nobody says so.

    Who has joined before accepted what was asked then. The merchant's server answers for the address, so nobody is asked by mail.
    """
    if not campaign.asks_terms:
        return services.join(campaign=campaign, email=email, **fields)
    language = fields.get("language", "") or campaign.default_language
    known = not accepted and find_by_email(campaign, email) is not None
    terms = None if known else require_terms(campaign, accepted=accepted, language=language, terms_field=terms_field)
    with transaction.atomic():
        joined = services.join(campaign=campaign, email=email, **fields)
        if joined.created:
            keep_agreement(joined.participant, terms, fields["source"], fields["actor"])
    return joined
