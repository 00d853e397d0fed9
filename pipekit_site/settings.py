"""Django's settings, from pipekit_site.config.config. All files are in the data directory."""

from __future__ import annotations

import hashlib
import shutil
import sys
from typing import Any

from pipekit_site import data_dir as _data_dir
from pipekit_site.config import config as _config
from pipekit_site.local_zone import local_zone_name
from pipekit_site.metadata.url import postgresql as _postgresql
from pipekit_site.web.unfold import UNFOLD as UNFOLD

BASE_DIR = _config.BASE_DIR
PIPEKIT = _config.load()
_data_dir.prepare(PIPEKIT)

SECRET_KEY = _data_dir.secret_key(PIPEKIT)
DEBUG = PIPEKIT.debug
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]", *PIPEKIT.allowed_hosts]

INSTALLED_APPS = [
    # before the admin, whose templates it replaces
    "pipekit_site.web.admin_config.UnfoldConfig",
    "unfold.contrib.filters",
    "pipekit_site.web.admin_config.AdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "django_crontab",
    "connections",
    "introspection",
    "modules",
    "runs",
    "scheduling",
    "pipekit_site.admin_ui",
    "pipekit_site",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "pipekit_site.web.csp.ContentPolicyMiddleware",
    "pipekit_site.web.static.StaticFilesMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "pipekit_site.logins.middleware.LoginThrottleMiddleware",
    "pipekit_site.metadata.middleware.MetadataUnavailableMiddleware",
]

ROOT_URLCONF = "pipekit_site.urls"
ASGI_APPLICATION = "pipekit_site.asgi.application"
WSGI_APPLICATION = "pipekit_site.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        # before the apps: some replace unfold's
        "DIRS": [BASE_DIR / "pipekit_site" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]


def _sqlite(file: str) -> dict[str, Any]:
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": file,
        "OPTIONS": {
            # transactions wait for the write lock when they begin, instead of failing at their first write
            "transaction_mode": "IMMEDIATE",
            "timeout": 30,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA journal_size_limit=67108864",
        },
    }


DATABASES: dict[str, dict[str, Any]] = {
    "default": _sqlite(PIPEKIT.database) if PIPEKIT.is_sqlite else _postgresql(PIPEKIT.database)
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTHENTICATION_BACKENDS = ["pipekit_site.logins.backend.ThrottledBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"

# Served over HTTPS: a proxy on this machine terminates TLS and sets X-Forwarded-Proto.
if PIPEKIT.tls:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_SSL_REDIRECT = True
    # monitors use plain HTTP on this machine
    SECURE_REDIRECT_EXEMPT = [r"^health$"]
    SECURE_HSTS_SECONDS = 31_536_000
    SESSION_COOKIE_SECURE = True
    CSRF_COOKIE_SECURE = True
    # HSTS for subdomains and preload lists concern the whole domain, so they are the operator's decision
    SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
else:
    # all are about HTTPS; pipekit.W003 replaces them by one warning with advice
    SILENCED_SYSTEM_CHECKS = ["security.W004", "security.W008", "security.W012", "security.W016"]

# The crontab line holds a hash of its entry, so no entry may change: lines of earlier versions have to keep ticking.
# installcron writes the first one, and only that; the others are names of the same function.
CRONJOBS = [("* * * * *", "scheduling.ticking.cron_tick"), ("* * * * *", "scheduling.tick.tick.cron_tick")]
CRONTAB_EXECUTABLE = shutil.which("crontab") or "crontab"
CRONTAB_PYTHON_EXECUTABLE = sys.executable
CRONTAB_DJANGO_MANAGE_PATH = str(BASE_DIR / "manage.py")
CRONTAB_DJANGO_SETTINGS_MODULE = "pipekit_site.settings"
# identifies this installation's line
CRONTAB_COMMENT = f"pipekit {hashlib.sha256(f'{BASE_DIR} {PIPEKIT.data_dir}'.encode()).hexdigest()[:16]}"

LANGUAGE_CODE = "en"
FORMAT_MODULE_PATH = ["pipekit_site.formats"]
USE_TZ = True
# for display only; timestamps are stored in UTC
TIME_ZONE = local_zone_name()

STATIC_URL = "static/"
STATIC_ROOT = PIPEKIT.data_dir / "static"
# files are served from the installed packages, so collectstatic is not needed after a clone or an upgrade
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False
# for files named in style sheets; all others have a version in their URL and are cached for a year
WHITENOISE_MAX_AGE = 86400
STORAGES = {
    "default": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": PIPEKIT.data_dir / "media"},
    },
    "staticfiles": {"BACKEND": "pipekit_site.web.static.VersionedStorage"},
}

LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"

DEFAULT_FROM_EMAIL = PIPEKIT.smtp.sender or "pipekit@localhost"

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "rest_framework.authentication.SessionAuthentication",
        "rest_framework.authentication.BasicAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.DjangoModelPermissions"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
}
SPECTACULAR_SETTINGS = {"TITLE": "Pipekit", "SERVE_INCLUDE_SCHEMA": False}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "filters": {"redacting": {"()": "connections.secrets.redaction.RedactingFilter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["redacting"]}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    # it logs the URLs of requests, which may contain a token
    "loggers": {"httpx2": {"level": "WARNING"}},
}
