"""Whether a company still takes a connection's key: seen in what it answers to whatever is asked of it, shown on the connection's card."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from integrations.models import Connection
from referrals.lib import clock, http
from referrals.lib.http import Answer

# HTTP: the key is missing, wrong or revoked. 403 is not among them: there the key is good, and lacks a right.
REFUSED = 401


def watched(connection: Connection, send: http.Send) -> http.Send:
    """The same way to the company, on which a 401 is noted on the connection's row, and the next good answer takes that back.

    Of a token that has run out only that is seen: the answer after it is good, and nothing stays.
    """

    def through(method: str, url: str, *, headers: Mapping[str, str] | None = None, body: Any = None) -> Answer:
        answer = send(method, url, headers=headers, body=body)
        if answer.status == REFUSED:
            _note(connection)
        elif answer.status < 300 and connection.key_refused_at is not None:
            Connection.objects.filter(pk=connection.pk).update(key_refused_at=None)
            connection.key_refused_at = None
        return answer

    return through


def _note(connection: Connection) -> None:
    connection.key_refused_at = connection.key_refused_at or clock.now()
    mine = Connection.objects.filter(pk=connection.pk, key_refused_at=None)
    mine.update(key_refused_at=connection.key_refused_at)
