"""What the schedule runs for rewards."""

from __future__ import annotations

from participants.fraud import traces
from rewards.advancing import keep_time
from rewards.fraud import recheck_unknown
from rewards.leaderboard import close_leaderboards
from rewards.lifecycle import release_due
from rewards.pipeline import fold_tallies

BATCH = 1000


def release_all() -> int:
    """Release everything that has left review, a batch a transaction; test sides with a clock of their own by that. Returns how many
    rewards became due by the real time."""
    keep_time()
    total = 0
    while True:
        moved = release_due(limit=BATCH)
        total += moved
        if moved < BATCH:
            return total


def close_boards() -> int:
    """Give the prizes of leaderboards that are over. Returns how many were closed."""
    return close_leaderboards()


def fold() -> int:
    """Fold the pipeline's tallies. Returns how many rows went."""
    return fold_tallies()


def look_after_fraud() -> int:
    """Try again what could not be checked, and forget traces that are too old. Returns how many were touched."""
    return recheck_unknown() + traces.forget()
