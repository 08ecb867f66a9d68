"""From points to a level: where Medium and High begin, per campaign (RELIABILITY section 11.2)."""

from __future__ import annotations

from dataclasses import dataclass

LOW, MEDIUM, HIGH, UNKNOWN = "Low", "Medium", "High", "unknown"
# What outranks what when several evaluations of one friend stand side by side; "" is not evaluated.
RANK = {"": 0, LOW: 1, MEDIUM: 2, UNKNOWN: 3, HIGH: 4}


@dataclass(frozen=True, slots=True)
class Preset:
    """The scores from which a referral counts as Medium and as High."""

    medium: int
    high: int

    def level(self, score: int) -> str:
        """Low, Medium or High."""
        if score >= self.high:
            return HIGH
        return MEDIUM if score >= self.medium else LOW


PRESETS: dict[str, Preset] = {"relaxed": Preset(50, 85), "balanced": Preset(34, 67), "strict": Preset(20, 50)}
