"""The one settings file, read with a test's environment: nothing here may depend on the machine.

Everything is set before `referrals.settings` is read, so tests meet the same code paths as a real start. Only
DATABASE_URL comes from outside: unset means SQLite.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

_ENVIRONMENT = {
    "SECRET_KEY": "only-for-tests-0123456789-0123456789-0123456789-abcdef",
    "SECRETS_KEYS": "test:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
    "SITE_URL": "http://localhost:8000",
    "DATA_DIR": tempfile.mkdtemp(prefix="passalong-tests-"),
    "STATIC_FROM_SOURCE": "1",
    "LOG_LEVEL": "WARNING",
}
_UNSET = [
    "ALLOWED_HOSTS",
    "CLICK_JOURNAL",
    "CSRF_TRUSTED_ORIGINS",
    "DATABASE_POOL",
    "DATABASE_PREPARED",
    "DEBUG",
    "DEFAULT_FROM_EMAIL",
    "DEMO",
    "EMAIL_URL",
    "EMAIL_VERIFICATION",
    "LOCAL_WEBHOOKS",
    "OPERATOR_PATH",
    "PROXY_SSL_HEADER",
    "REDIS_URL",
    "SECRET_KEY_FALLBACKS",
    "SIGN_UP_OPEN",
    "SSL_REDIRECT",
    "TRUSTED_PROXY_COUNT",
]
for _name in _UNSET:
    os.environ.pop(_name, None)
os.environ.update(_ENVIRONMENT)
os.mkdir(os.path.join(_ENVIRONMENT["DATA_DIR"], "static"))  # whitenoise warns where there is none
# Playwright runs an event loop in the test's thread; Django would refuse the database there.
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
atexit.register(shutil.rmtree, _ENVIRONMENT["DATA_DIR"], ignore_errors=True)

from referrals.settings import *  # noqa: E402, F403 -- the environment above has to come first

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
# The browser tests' live server has its own static files; whitenoise would list them for every client.
WHITENOISE_USE_FINDERS = False
