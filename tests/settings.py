"""Settings of a test session: a temporary data directory, which its child processes use too.

It is set before Pipekit's settings are imported, so that tests never use the data of the install that they run in. The
metadata is in SQLite, or, with PIPEKIT_TEST_METADATA=postgresql, in an embedded PostgreSQL of its own.
"""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

_metadata = os.environ.get("PIPEKIT_TEST_METADATA", "sqlite")
# a worker of pytest-xdist inherits the environment of the session, but has a data directory of its own
_KEPT = ("PIPEKIT_TEST_METADATA", "PIPEKIT_WITHOUT_COMPILED")
for _name in [name for name in os.environ if name.startswith("PIPEKIT_") and name not in _KEPT]:
    del os.environ[_name]
_directory = tempfile.mkdtemp(prefix="pipekit-tests-")
# the embedded PostgreSQL, whose files are in it, may have another user
os.chmod(_directory, 0o711)
atexit.register(shutil.rmtree, _directory, ignore_errors=True)
os.environ["PIPEKIT_DATA_DIR"] = _directory
# pages and logs must not depend on the machine's time zone
os.environ["TZ"] = "Europe/Berlin"
# without bytecode files every worker and every child process would compile all modules
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# child processes use the product's settings
os.environ["DJANGO_SETTINGS_MODULE"] = "pipekit_site.settings"


def _start_postgresql(directory: Path) -> str:
    """Return the URL of a database that does not exist yet: Django creates it, and drops it at the end."""
    from urllib.parse import urlsplit, urlunsplit

    from connections import embedded_postgresql

    # called before the removal of the directory, because it is registered later
    atexit.register(embedded_postgresql.stop, directory)
    return urlunsplit(urlsplit(embedded_postgresql.ensure_running(directory))._replace(path="/pipekit"))


if _metadata == "postgresql":
    # in a file, not in the environment, so that installs of tests have the default, SQLite
    Path(_directory, "config.yaml").write_text(f"database: {_start_postgresql(Path(_directory) / 'pg')}\n")
elif _metadata != "sqlite":
    raise SystemExit(f"PIPEKIT_TEST_METADATA is {_metadata}; expected sqlite or postgresql.")

from pipekit_site.settings import *  # noqa: E402, F403
from pipekit_site.settings import DATABASES  # noqa: E402

# the same database that child processes use
DATABASES["default"]["TEST"] = {"NAME": DATABASES["default"]["NAME"]}
# the default hasher takes 0.4 s per login
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
# files are found when they are requested; listing them takes longer than most requests, for every client of a test
WHITENOISE_AUTOREFRESH = True
