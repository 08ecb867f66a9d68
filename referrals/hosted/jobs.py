"""What the schedule runs for the public side, every minute; digests every hour."""

from __future__ import annotations

from referrals.hosted import digest, journal, mail


def send_mails() -> int:
    """Send what waits. Returns how many mails went out."""
    return mail.sweep()


def load_clicks() -> int:
    """Turn the click journal into visits. Returns how many."""
    return journal.load()


def make_digests() -> int:
    """Prepare last week's digests, on Mondays. Returns how many."""
    return digest.make_digests()
