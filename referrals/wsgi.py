"""The WSGI entry point; any WSGI server will do (granian by default, gunicorn as the fallback)."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "referrals.settings")
_django = get_wsgi_application()

from referrals.hosted.fast import wrap  # noqa: E402 - models can be imported from here on only

application = wrap(_django)
