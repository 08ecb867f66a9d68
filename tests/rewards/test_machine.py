"""The state machine of machine.py: the same 100 lives of 30 steps here, 2,000 random ones of 50 by `make soak`.

And every known bug is found by it.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from django.db import DatabaseError
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.rewards.machine import LifeToTheEnd, set_stage
from tests.rewards.mutants import MUTANTS

# On PostgreSQL the same lives say the same; a fifth of them shows that the database does not matter.
USUAL = 20 if os.environ.get("DATABASE_URL") else 100
EXAMPLES = int(os.environ.get("SOAK_EXAMPLES", USUAL))
STEPS = int(os.environ.get("SOAK_STEPS", "30"))
# Shrinking a life of thirty steps takes minutes: SOAK_SHRINK=1 asks for it.
PHASES = [Phase.explicit, Phase.generate] + ([Phase.shrink] if os.environ.get("SOAK_SHRINK") else [])
COMMON = settings(deadline=None, suppress_health_check=list(HealthCheck), database=None, print_blob=True)


@pytest.fixture
def stage(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where every life begins."""
    monkeypatch.setattr(LifeToTheEnd, "stage", set_stage(), raising=False)


@pytest.mark.usefixtures("stage")
def test_a_whole_life_adds_up() -> None:
    run_state_machine_as_test(
        LifeToTheEnd,
        settings=settings(
            COMMON,
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            phases=PHASES,
            derandomize="SOAK_EXAMPLES" not in os.environ,
        ),
    )


@pytest.mark.once
@pytest.mark.usefixtures("stage")
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_a_known_bug_is_found(mutant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """The same lives for everybody, so that a bug which is found once is found always."""
    mutant(monkeypatch)
    lives = seed(MUTANTS[mutant])(type("Lives", (LifeToTheEnd,), {}))
    with pytest.raises((AssertionError, DatabaseError)):  # by what adds up no more, or by a constraint
        run_state_machine_as_test(
            lives,
            settings=settings(
                COMMON,
                max_examples=300,
                stateful_step_count=30,
                phases=[Phase.generate],
                report_multiple_bugs=False,
            ),
        )
