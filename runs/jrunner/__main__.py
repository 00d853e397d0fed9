"""jrunner, run as ``python -m runs.jrunner``: copies the rows of a source query into a table.

Exit codes: 0 done, 1 failed, 2 usage error, 130 cancelled.
"""

from __future__ import annotations

import sys

from runs.jrunner.command import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
