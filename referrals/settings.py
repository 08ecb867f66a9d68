"""Every setting of Passalong, each knob read and typed from the environment (docs/configuration.md lists them).

SQLite in `var/` unless DATABASE_URL names a server; the choices for both databases are measured ones (PERFORMANCE.md, section 9).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import environ
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()

DEMO = env.bool("DEMO", default=False)
# The kill switch of the whole installation (rewards.payout_guards).
PAYOUTS_STOPPED = env.bool("PAYOUTS_STOPPED", default=False)
DEBUG = env.bool("DEBUG", default=False)
DATA_DIR = Path(env.str("DATA_DIR", default=str(BASE_DIR / "var")))
# "off" writes each click as a row before the answer, instead of a line in DATA_DIR/clicks (referrals.hosted.journal).
CLICK_JOURNAL = env.str("CLICK_JOURNAL", default="on") != "off"
SITE_URL = env.str("SITE_URL", default="http://localhost:8000").rstrip("/")
SECRET_KEY = env.str("SECRET_KEY", default="")
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
# "id:base64" pairs, newest first: the ring that seals provider secrets (referrals.lib.sealed).
SECRETS_KEYS = env.list("SECRETS_KEYS", default=[])
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[SITE_URL])
# How many proxies stand in front; the client's address is that many from the right of X-Forwarded-For (RELIABILITY F6).
TRUSTED_PROXY_COUNT = env.int("TRUSTED_PROXY_COUNT", default=0)
OPERATOR_PATH = env.str("OPERATOR_PATH", default="operators").strip("/")
HTTPS = SITE_URL.startswith("https://")
# "host:port" pairs that webhooks of the test side may reach over http and on private addresses; for trying things out on one's own machine.
LOCAL_WEBHOOKS = env.list("LOCAL_WEBHOOKS", default=[])

if not SECRET_KEY:
    raise ImproperlyConfigured(
        "SECRET_KEY is not set. `make run` makes one in var/; in production set it to 50 random characters."
    )

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.humanize",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "csp",
    "django_htmx",
    "django_q",
    "lucide",
    "rest_framework",
    "drf_spectacular",
    "referrals.accounts",
    "referrals.events",
    "campaigns",
    "participants",
    "rewards",
    "integrations",
    "referrals.web",
    "referrals.hosted",
    "referrals.api",
]

MIDDLEWARE = [
    "referrals.hosted.hosts.OwnHostMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "referrals.lib.requests.RequestIdMiddleware",
    "referrals.lib.clock.ClockMiddleware",
    "referrals.lib.requests.NulByteMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "allauth.usersessions.middleware.UserSessionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

ROOT_URLCONF = "referrals.urls"
WSGI_APPLICATION = "referrals.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "django.template.context_processors.i18n",
                "referrals.web.context.merchant",
            ],
        },
    }
]


def _database() -> dict[str, Any]:
    """The one database; PostgreSQL through a psycopg pool, SQLite in WAL mode with immediate transactions."""
    url = env.str("DATABASE_URL", default="")
    config: dict[str, Any]
    if url:
        config = dict(env.db_url_config(url))
        if config["ENGINE"] != "django.db.backends.postgresql":
            if config["ENGINE"] == "django.db.backends.sqlite3":
                config["OPTIONS"] = _SQLITE_OPTIONS
                return config
            raise ImproperlyConfigured(
                f"DATABASE_URL names {config['ENGINE']!r}; use postgres://user:password@host:5432/name or leave it out for SQLite."
            )
        config["OPTIONS"] = {
            **config.get("OPTIONS", {}),
            "server_side_binding": env.bool("DATABASE_PREPARED", default=True),
        }
        if env.bool("DATABASE_PREPARED", default=True):
            config["OPTIONS"]["prepare_threshold"] = 1
        if pool := env.int("DATABASE_POOL", default=0):
            config["OPTIONS"]["pool"] = {"min_size": 1, "max_size": pool}
        else:
            config["CONN_MAX_AGE"] = 600
            config["CONN_HEALTH_CHECKS"] = True
        return config
    DATA_DIR.mkdir(parents=True, exist_ok=True)
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": DATA_DIR / "passalong.sqlite3",
        "CONN_MAX_AGE": None,
        "OPTIONS": _SQLITE_OPTIONS,
    }


_SQLITE_OPTIONS = {
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA temp_store=MEMORY;"
    " PRAGMA cache_size=-65536; PRAGMA journal_size_limit=67108864; PRAGMA wal_autocheckpoint=4000",
}
DATABASES = {"default": _database()}
IS_SQLITE = DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3"

REDIS_URL = env.str("REDIS_URL", default="")
# Networks of data centres, VPNs and Tor exits, one a line, for the fraud check (docs/fraud.md). None is bundled.
FRAUD_NETWORKS_FILE = env.str("FRAUD_NETWORKS_FILE", default="")
# The Shopify app of this installation, if it has one, so that merchants connect with a click (docs/connections/shopify.md).
SHOPIFY_CLIENT_ID = env.str("SHOPIFY_CLIENT_ID", default="")
SHOPIFY_CLIENT_SECRET = env.str("SHOPIFY_CLIENT_SECRET", default="")
# How many calls a secret key may make in a minute (RELIABILITY section 7, "Limits").
API_REQUESTS_PER_MINUTE = env.int("API_REQUESTS_PER_MINUTE", default=600)
# Limits and log-in throttles need a cache that all processes share (LIBRARIES.md, "Rate limits").
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache"
        if REDIS_URL
        else "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": REDIS_URL or "passalong_cache",
    }
}
SESSION_ENGINE = "django.contrib.sessions.backends.db"

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/app/"
ACCOUNT_LOGOUT_REDIRECT_URL = "/"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_SIGNUP_FORM_CLASS = "referrals.accounts.forms.SignUpForm"
ACCOUNT_EMAIL_VERIFICATION = env.str("EMAIL_VERIFICATION", default="optional" if DEMO else "mandatory")
ACCOUNT_ADAPTER = "referrals.accounts.adapter.AccountAdapter"
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""  # our subjects name us
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_REAUTHENTICATION_TIMEOUT = 300
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_TOTP_ISSUER = "Passalong"
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = DEMO
USERSESSIONS_TRACK_ACTIVITY = False
SIGN_UP_OPEN = env.bool("SIGN_UP_OPEN", default=True)
# The public directory of affiliate programmes (docs/hub.md); without it its pages do not exist.
HUB = env.bool("HUB", default=True)

LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English")), ("de", _("German")), ("ar", _("Arabic"))]
LOCALE_PATHS = [BASE_DIR / "locale"]
USE_I18N = True
TIME_ZONE = "UTC"
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = DATA_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = env.bool("STATIC_FROM_SOURCE", default=DEMO or DEBUG)
MEDIA_ROOT = DATA_DIR / "media"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if WHITENOISE_USE_FINDERS
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}

EMAIL_URL = env.str("EMAIL_URL", default="")
if EMAIL_URL:
    vars().update(env.email_url_config(EMAIL_URL))
else:
    EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    EMAIL_FILE_PATH = DATA_DIR / "mail"
# Another back end than SMTP, such as one of django-anymail's where that is installed, with its settings as JSON (docs/mail.md).
if EMAIL_BACKEND_NAME := env.str("EMAIL_BACKEND", default=""):
    EMAIL_BACKEND = EMAIL_BACKEND_NAME
    ANYMAIL = env.json("ANYMAIL", default={})
EMAIL_TIMEOUT = 15
MAILS_PER_MINUTE = env.int("MAILS_PER_MINUTE", default=200)
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="Passalong <no-reply@example.com>")

# A task is only a nudge; the rows carry the truth (RELIABILITY F1, F2). retry > timeout + 30, one task in memory at a time.
Q_CLUSTER = {
    "name": "passalong",
    "orm": "default",
    "workers": env.int("WORKERS", default=1 if IS_SQLITE else 2),
    "timeout": 120,
    "retry": 180,
    "max_attempts": 5,
    "queue_limit": 1,
    "bulk": 1,
    "save_limit": -1,
    "poll": 0.5 if IS_SQLITE else 0.2,
    "catch_up": False,
    "ack_failures": True,
    "label": "Passalong jobs",
}

SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "strict-origin-when-cross-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
SECURE_SSL_REDIRECT = env.bool("SSL_REDIRECT", default=HTTPS)
SECURE_HSTS_SECONDS = env.int("HSTS_SECONDS", default=31_536_000 if HTTPS else 0)
SECURE_HSTS_INCLUDE_SUBDOMAINS = env.bool("HSTS_SUBDOMAINS", default=HTTPS)
SECURE_HSTS_PRELOAD = env.bool("HSTS_PRELOAD", default=HTTPS)
SECURE_REDIRECT_EXEMPT = [r"^livez$", r"^readyz$"]
if env.bool("PROXY_SSL_HEADER", default=False):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_NAME = "__Host-session" if HTTPS else "session"
CSRF_COOKIE_NAME = "__Host-csrf" if HTTPS else "csrf"
SESSION_COOKIE_AGE = 14 * 24 * 3600
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
CSRF_FAILURE_VIEW = "referrals.web.errors.csrf_failure"
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 2000

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "frame-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "object-src": [NONE],
        "frame-ancestors": [NONE],
    }
}

REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["referrals.api.parsers.StrictJSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "UNAUTHENTICATED_USER": None,
    "NUM_PROXIES": TRUSTED_PROXY_COUNT,
}

LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "referrals.lib.logs.JsonFormatter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"handlers": ["stderr"], "level": env.str("LOG_LEVEL", default="INFO")},
    "loggers": {
        "django.server": {"handlers": ["stderr"], "propagate": False},
        "django_q": {"handlers": ["stderr"], "level": "WARNING", "propagate": False},
        "django-q": {"handlers": ["stderr"], "level": "WARNING", "propagate": False},
        # Two lines for each request otherwise.
        "stripe": {"level": "WARNING"},
    },
}
