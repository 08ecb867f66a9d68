"""What a recipient is given to use, as their page and their mail show it: a code, a link, a PIN, and until when."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from referrals.hosted.offer import day_text
from referrals.lib.days import last_moment
from referrals.lib.sealed import SealError
from rewards.models import Payout, PayoutGift

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Given:
    """Each "" where there is none; `until` is a day in words. Whoever has it has the money: it goes to its owner and nowhere else."""

    code: str = ""
    url: str = ""
    pin: str = ""
    until: str = ""
    hint: str = ""

    @property
    def link(self) -> str:
        """The address to open, if it is one that a browser opens safely."""
        return self.url if self.url.startswith("https://") else ""

    @property
    def shown_url(self) -> str:
        """An address that is no link, to read."""
        return "" if self.link else self.url

    def __repr__(self) -> str:
        return "Given(...)"


def opened(payouts: Sequence[Payout]) -> dict[int, Given]:
    """What these payouts gave, by their primary keys. One query. What was tampered with is left out, and logged."""
    found = {}
    for row in PayoutGift.objects.filter(payout__in=payouts).order_by("pk"):
        try:
            secrets = row.secrets
        except SealError:
            log.exception("the gift of payout %s can't be opened", row.payout_id)
            continue
        until = day_text(last_moment(row.expires_at), year=True) if row.expires_at else ""
        found[row.payout_id] = Given(
            str(secrets.get("code", "")), str(secrets.get("url", "")), str(secrets.get("pin", "")), until, row.hint
        )
    return found
