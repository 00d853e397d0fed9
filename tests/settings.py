"""Settings of a test session: a data directory of its own, gone afterwards, which its child processes share.

Set before Pipekit's settings are read, so no test ever sees the data of the install it runs in. The metadata is in
SQLite; with PIPEKIT_TEST_METADATA=postgresql it is in an embedded PostgreSQL that serves nothing else.
"""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

_metadata = os.environ.get("PIPEKIT_TEST_METADATA", "sqlite")
# a worker of pytest-xdist inherits the environment, and makes a session of its own
for _name in [name for name in os.environ if name.startswith("PIPEKIT_") and name != "PIPEKIT_TEST_METADATA"]:
    del os.environ[_name]
_directory = tempfile.mkdtemp(prefix="pipekit-tests-")
# the embedded PostgreSQL passes through it as a user of its own
os.chmod(_directory, 0o711)
atexit.register(shutil.rmtree, _directory, ignore_errors=True)
os.environ["PIPEKIT_DATA_DIR"] = _directory
# what a page or a log shows must not depend on the machine
os.environ["TZ"] = "Europe/Berlin"
# where nothing compiled is kept, every worker and every child process compiles all of this again
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# child processes are the product itself
os.environ["DJANGO_SETTINGS_MODULE"] = "pipekit_site.settings"


def _start_postgresql(directory: Path) -> str:
    """Return the URL of a database that is not there yet: Django makes it, and removes it at the end."""
    from urllib.parse import urlsplit, urlunsplit

    from connections import embedded_postgresql

    # the last registered is the first to be called: before the directory goes
    atexit.register(embedded_postgresql.stop, directory)
    return urlunsplit(urlsplit(embedded_postgresql.ensure_running(directory))._replace(path="/pipekit"))


if _metadata == "postgresql":
    # in the file, so that tests that make an install of their own get SQLite, as everybody does who says nothing
    Path(_directory, "config.yaml").write_text(f"database: {_start_postgresql(Path(_directory) / 'pg')}\n")
elif _metadata != "sqlite":
    raise SystemExit(f"PIPEKIT_TEST_METADATA is {_metadata}; expected sqlite or postgresql.")

from pipekit_site.settings import *  # noqa: E402, F403
from pipekit_site.settings import DATABASES  # noqa: E402

# the very database that child processes open
DATABASES["default"]["TEST"] = {"NAME": DATABASES["default"]["NAME"]}
# each login would take 0.4 s otherwise
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
