"""`manage.py worker`: django-q2's cluster, and webhooks beside it in the process that only waits for the cluster's end."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand
from django.db import connections
from django_q.cluster import Cluster

from integrations import delivering


class Command(BaseCommand):
    """The second process of the Procfile. Any number of them may run."""

    help = "Work on jobs (as `qcluster` does) and send webhooks within a second of what they tell of."

    def handle(self, *args: Any, **options: Any) -> None:
        """Run until SIGTERM or SIGINT, then let what is under way finish."""
        connections.close_all()  # the cluster's processes are forked from here and must not share a connection
        cluster = Cluster()
        cluster.start()
        sentinel: Any = cluster.sentinel
        delivering.run(lambda: not sentinel.is_alive())
