"""jrunner, run as ``python -m runs.jrunner``: copies the rows of a source query into a table.

Exit codes: 0 done, 1 failed, 2 usage error, 130 cancelled.
"""

from __future__ import annotations

import gc
import sys

if __name__ == "__main__":
    # imports leave little to collect, and rows are not Python objects
    gc.set_threshold(10_000)

    from runs.jrunner.command import main

    sys.exit(main(sys.argv[1:]))
