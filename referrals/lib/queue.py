"""enqueue(): the only caller of django-q2. A task is a nudge; the row it names carries the truth (RELIABILITY F1, F2)."""

from __future__ import annotations

from django_q.tasks import async_task


def enqueue(dotted_path: str, *ids: int) -> None:
    """Ask a worker to call `dotted_path(*ids)` soon.

    Called inside the transaction that changes the row: the ORM broker's insert commits with the data, and a sweeper picks up
    what a lost nudge leaves behind. Only integers travel, because django-q2 pickles its arguments (RELIABILITY section 7).
    """
    for value in ids:
        if type(value) is not int:
            raise TypeError(f"only integer ids may be queued, not {value!r}")
    async_task(dotted_path, *ids)
