"""jrunner: ``python -m runs.jrunner``. Moves rows from a source query into a table, and nothing else.

Exit codes: 0 done, 1 failed, 2 used wrongly, 130 cancelled.
"""

from __future__ import annotations

import sys

from runs.jrunner.command import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
