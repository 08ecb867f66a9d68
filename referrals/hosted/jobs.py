"""What the schedule runs for the public side, every minute."""

from __future__ import annotations

from referrals.hosted import journal, mail


def send_mails() -> int:
    """Send what waits. Returns how many mails went out."""
    return mail.sweep()


def load_clicks() -> int:
    """Turn the click journal into visits. Returns how many."""
    return journal.load()
