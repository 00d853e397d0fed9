"""``python -m tests.processes.run_plan FILE``: runs the pickled plan in the file; prints a line when it begins."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

from runs.engine.sync import execute_plan


def main(file: Path) -> None:
    plan = pickle.loads(file.read_bytes())
    print("begins", flush=True)
    for _ in execute_plan(plan):
        pass


if __name__ == "__main__":
    main(Path(sys.argv[1]))
