"""The WSGI entry point; any WSGI server will do (granian by default, gunicorn as the fallback)."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "referrals.settings")
application = get_wsgi_application()
