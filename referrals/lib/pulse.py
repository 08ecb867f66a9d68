"""Whether the cluster of workers still works (RELIABILITY section 5, fault matrix, "Q cluster SIGKILL").

django-q2 gives a process that has died a successor, but not the lock that the dead one held: when one is killed while it waits for its
next job (by a machine that is out of memory, say), the queue between the processes stays locked for ever. Then nothing is done any more
while every process looks alive, and only a new beginning helps.
"""

from __future__ import annotations

import logging
import time
from multiprocessing.sharedctypes import RawValue
from typing import Any

from django.db import DatabaseError, connection
from django_q.models import OrmQ
from django_q.signals import post_execute, pre_execute

log = logging.getLogger(__name__)
# Seconds. Every minute has jobs of the schedule, and none may take longer than two.
PATIENCE = 300.0


class Pulse:
    """When a job was last begun, and when the end of one was last noted, by whichever process of the cluster. To be made before the
    cluster starts: what it keeps is shared with the processes that are forked afterwards. It is without a lock, as whoever holds one
    can be killed."""

    def __init__(self) -> None:
        self._begun, self._noted = RawValue("d"), RawValue("d")
        self._begin_anew()
        pre_execute.connect(self._on_begun, dispatch_uid="pulse")
        post_execute.connect(self._on_noted, dispatch_uid="pulse")

    def is_lost(self) -> bool:
        """Whether nothing was begun, or no end noted, for so long that nothing will be. Not while the database is away: then nobody can
        work, and all go on by themselves."""
        if time.monotonic() - min(self._begun.value, self._noted.value) < PATIENCE:
            return False
        try:
            waiting = OrmQ.objects.count()
        except DatabaseError:
            connection.close()
            self._begin_anew()
            return False
        log.critical(
            "no job was done for %d seconds, and %d wait: the worker ends, to be started anew", PATIENCE, waiting
        )
        return True

    def _begin_anew(self) -> None:
        self._begun.value = self._noted.value = time.monotonic()

    def _on_begun(self, **_kwargs: Any) -> None:
        self._begun.value = time.monotonic()

    def _on_noted(self, **_kwargs: Any) -> None:
        self._noted.value = time.monotonic()
