"""`python -m bench.fraud [number] [seed]`: how the fraud score judges drawn referrals, honest and not, as a confusion table.

The patterns draw facts (fraud_honest.py, fraud_attacks.py); the signals see nothing but facts. No database and no settings needed.
"""

from __future__ import annotations

import logging
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random

from bench.fraud_attacks import ATTACKS
from bench.fraud_honest import HONEST
from participants.fraud.facts import Facts
from participants.fraud.presets import HIGH, LOW, MEDIUM, UNKNOWN
from participants.fraud.scoring import assess

Patterns = Mapping[str, Callable[[Random], Facts]]
LEVELS = (LOW, MEDIUM, HIGH, UNKNOWN)


@dataclass
class Counted:
    """How often each pattern of one label ended at each level."""

    levels: dict[str, Counter[str]] = field(default_factory=dict)

    def share(self, *levels: str) -> float:
        """The part of all that ended at one of these levels, 0 to 1."""
        total = sum(sum(counter.values()) for counter in self.levels.values())
        return sum(counter[level] for counter in self.levels.values() for level in levels) / total


def count(patterns: Patterns, *, number: int, seed: int, preset: str = "balanced") -> Counted:
    """Draw `number` referrals of each pattern and score them."""
    result = Counted()
    for name, make in patterns.items():
        rng = Random(f"{seed}:{name}")
        result.levels[name] = Counter(assess(make(rng), preset).level for _ in range(number))
    return result


def table(label: str, counted: Counted) -> list[str]:
    """One label's rows of the confusion table, in per cent."""
    lines = [f"{label:<22}" + "".join(f"{level:>9}" for level in LEVELS), "-" * 58]
    for name, counter in counted.levels.items():
        total = sum(counter.values())
        lines.append(f"{name:<22}" + "".join(f"{100 * counter[level] / total:>8.1f}%" for level in LEVELS))
    lines.append("-" * 58)
    lines.append(f"{'all':<22}" + "".join(f"{100 * counted.share(level):>8.2f}%" for level in LEVELS))
    return lines


def report(*, number: int = 2000, seed: int = 1) -> str:
    """The whole table for the three presets: the full rows for Balanced, the sums for the others."""
    lines = []
    for label, patterns in (("honest", HONEST), ("attacks", ATTACKS)):
        lines += [*table(label, count(patterns, number=number, seed=seed)), ""]
    for preset in ("relaxed", "balanced", "strict"):
        honest = count(HONEST, number=number, seed=seed, preset=preset)
        attacks = count(ATTACKS, number=number, seed=seed, preset=preset)
        flagged = (MEDIUM, HIGH, UNKNOWN)
        lines.append(
            f"{preset:<10} attacks at Medium or above {attacks.share(*flagged):7.2%}, High {attacks.share(HIGH):7.2%};"
            f" honest at Medium or above {honest.share(*flagged):6.2%}, High {honest.share(HIGH):6.2%}"
        )
    return "\n".join(lines)


def main(arguments: list[str]) -> None:
    """Print the table."""
    number, seed = (int(text) for text in [*arguments[:2], *("2000", "1")[len(arguments) :]])
    sys.stdout.write(report(number=number, seed=seed) + "\n")


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)  # here, where the process is its own
    main(sys.argv[1:])
