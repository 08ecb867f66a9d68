"""The whole way with somebody else's signature: localstripe as a process of its own sends a webhook, and a reward is due."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.mark.localstripe
def test_a_payment_in_localstripe_makes_a_reward_due() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "scripts.demo_stripe"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[3] == (
        "4. Stripe's own webhook invoice.payment_succeeded, verified and stored, then worked on: "
        "Payment of $64.20 by maya@example.net in Refer a friend. Rewards: 1."
    )
    assert lines[4] == "5. Asha's reward of $15.00 for maya@example.net is due:"
    assert all(line.startswith("     yes  ") for line in lines[5:])
