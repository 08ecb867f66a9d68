"""`manage.py worker`: django-q2's cluster, and webhooks beside it in the process that only waits for the cluster's end."""

from __future__ import annotations

import os
import signal
from typing import Any

from django.core.management.base import BaseCommand
from django.db import connections
from django_q.cluster import Cluster

from integrations import delivering
from referrals.lib.pulse import Pulse


class Command(BaseCommand):
    """The second process of the Procfile. Any number of them may run."""

    help = "Work on jobs (as `qcluster` does) and send webhooks within a second of what they tell of."

    def handle(self, *args: Any, **options: Any) -> None:
        """Run until SIGTERM or SIGINT, then let what is under way finish. A cluster that stands still is killed, this process with it:
        whoever started it starts it anew."""
        connections.close_all()  # the cluster's processes are forked from here and must not share a connection
        pulse = Pulse()
        cluster = Cluster()
        cluster.start()
        sentinel: Any = cluster.sentinel
        delivering.run(lambda: not sentinel.is_alive() or pulse.is_lost())
        if sentinel.is_alive():
            os.killpg(os.getpgrp(), signal.SIGKILL)
