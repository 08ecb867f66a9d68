"""WSGI entry point of the baseline."""

from __future__ import annotations

import os

os.environ["DJANGO_SETTINGS_MODULE"] = "bench.empty"

from django.core.wsgi import get_wsgi_application

application = get_wsgi_application()
