"""What has to be right before the first request; `manage.py check --deploy` asks the part that is about production."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register


def _in_production() -> bool:
    return not (settings.DEMO or settings.DEBUG)


@register("passalong")
def job_queue(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """django-q2 settings under which a task runs once (RELIABILITY F1, F2)."""
    cluster = settings.Q_CLUSTER
    wrong: list[CheckMessage] = []
    if cluster.get("timeout") is None or cluster.get("retry", 60) <= cluster["timeout"] + 30:
        wrong.append(
            Error(
                "Q_CLUSTER: retry must be more than 30 seconds above timeout, or tasks run twice.", id="passalong.E001"
            )
        )
    if (cluster.get("queue_limit"), cluster.get("bulk", 1)) != (1, 1):
        wrong.append(
            Error("Q_CLUSTER: queue_limit and bulk must be 1, or waiting tasks run twice.", id="passalong.E002")
        )
    if not cluster.get("max_attempts"):
        wrong.append(
            Error("Q_CLUSTER: max_attempts must be set, or a failing task runs for ever.", id="passalong.E003")
        )
    return wrong


@register(Tags.security, deploy=True)
def production(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """The environment of a real installation."""
    if not _in_production():
        return []
    found: list[CheckMessage] = []
    if not settings.SECRETS_KEYS:
        found.append(
            Error(
                "SECRETS_KEYS is not set, so provider secrets can't be sealed.",
                hint="Set it to 'k1:' and base64 of 32 random bytes.",
                id="passalong.E010",
            )
        )
    if settings.HTTPS and "TRUSTED_PROXY_COUNT" not in os.environ:
        found.append(
            Warning(
                "TRUSTED_PROXY_COUNT is not set: behind a proxy, everybody would share the proxy's address and its limits.",
                hint="Set it to the number of proxies in front, 0 if there is none.",
                id="passalong.W011",
            )
        )
    if not settings.EMAIL_URL:
        found.append(
            Warning(
                "EMAIL_URL is not set: mails are written to files and reach nobody.",
                hint="Set it to smtp+tls://user:password@host:587.",
                id="passalong.W012",
            )
        )
    return found
