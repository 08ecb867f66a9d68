"""One-time links: ten minutes, one use, nothing to guess (RELIABILITY section 7)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django_q.models import OrmQ

from campaigns.models import Campaign
from participants import portal
from participants.models import PortalLink, PortalSession
from referrals.lib import clock
from tests.factories import make_participant

pytestmark = pytest.mark.django_db


def test_a_link_opens_one_session_once(campaign: Campaign) -> None:
    asha = make_participant(campaign)
    link = portal.send_link(asha)
    assert OrmQ.objects.count() == 1
    token = portal.make_token(link)
    assert portal.find_link(token) == link
    opened = portal.open_link(token, agent="Firefox")
    assert opened is not None
    assert (opened.session.participant, portal.open_link(token)) == (asha, None)
    assert portal.session_for(opened.token) == opened.session
    assert opened.token not in PortalSession.objects.values_list("token_hash", flat=True)
    portal.end_session(opened.session)
    assert portal.session_for(opened.token) is None


def test_a_link_dies_after_ten_minutes(campaign: Campaign) -> None:
    link = portal.send_link(make_participant(campaign))
    token = portal.make_token(link)
    PortalLink.objects.update(created_at=clock.now() - timedelta(minutes=10, seconds=1))
    assert portal.find_link(token) is None
    assert (portal.open_link(token), PortalSession.objects.count()) == (None, 0)


@pytest.mark.parametrize("token", ["", "x", "WzEsImEiXQ:1:2", "é", "a" * 5000])
def test_junk_is_no_link_and_no_session(db: None, token: str) -> None:
    assert portal.find_link(token) is None
    assert portal.session_for(token) is None
