"""What a connection's row gives to its provider's module."""

from __future__ import annotations

import logging

from integrations.base import Account
from integrations.key_health import watched
from integrations.models import Connection
from integrations.sandbox.sending import send_for
from referrals.lib.sealed import SealError

logger = logging.getLogger(__name__)


def account_of(connection: Connection) -> Account:
    """Its secrets, its settings and the way to its company; no secrets when they can't be opened, because the installation's keys
    were lost or the row was tampered with."""
    try:
        secrets = connection.secrets
    except SealError:
        logger.exception("the secrets of %s can't be opened", connection.public_id)
        secrets = {}
    return Account(secrets, connection.settings, watched(connection, send_for(connection)), connection.is_test)
