"""What every test shares: which tests fit the database at hand, and the cast."""

from __future__ import annotations

import pytest
from django.conf import settings


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave tests marked `postgres` out on SQLite: they are about concurrency that SQLite does not have."""
    if settings.DATABASES["default"]["ENGINE"] == "django.db.backends.postgresql":
        return
    left_out = [item for item in items if item.get_closest_marker("postgres")]
    if left_out:
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)


# --- The cast: Alice (owner), Bob (her teammate) and Charlie (a stranger with his own merchant) ---
