"""Settings of a test session: a data directory of its own, gone afterwards, which its child processes share.

Set before Pipekit's settings are read, so no test ever sees the data of the install it runs in.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

for _name in [name for name in os.environ if name.startswith("PIPEKIT_")]:
    del os.environ[_name]
_directory = tempfile.mkdtemp(prefix="pipekit-tests-")
# the embedded PostgreSQL passes through it as a user of its own
os.chmod(_directory, 0o711)
atexit.register(shutil.rmtree, _directory, ignore_errors=True)
os.environ["PIPEKIT_DATA_DIR"] = _directory
# what a page or a log shows must not depend on the machine
os.environ["TZ"] = "Europe/Berlin"
# child processes are the product itself
os.environ["DJANGO_SETTINGS_MODULE"] = "pipekit_site.settings"

from pipekit_site.settings import *  # noqa: E402, F403
from pipekit_site.settings import DATABASES  # noqa: E402

# a file, and the very one that child processes open
DATABASES["default"]["TEST"] = {"NAME": DATABASES["default"]["NAME"]}
# each login would take 0.4 s otherwise
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
