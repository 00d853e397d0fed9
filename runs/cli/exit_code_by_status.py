"""The exit code of a command that waits for a run, group run or verification, by how that ended.

What each code means is said in `connections.management.exit_codes`.
"""

from __future__ import annotations

import signal
from collections.abc import Collection

from connections.management.exit_codes import ExitCode
from runs.models import Verification
from runs.models.execution import Execution
from runs.models.states import GroupStatus, Status
from runs.models.verification import VerificationStatus

# FAILED for all others
_BY_STATUS: dict[str, ExitCode] = {
    Status.SUCCESS: ExitCode.DONE,
    Status.DRY_RUN: ExitCode.DONE,
    Status.REFUSED: ExitCode.REFUSED,
    GroupStatus.PARTIAL: ExitCode.PARTLY,
    VerificationStatus.EQUAL: ExitCode.DONE,
    VerificationStatus.DIFFERENT: ExitCode.PARTLY,
}


def exit_code_of(row: Execution, *, received: Collection[int] = ()) -> ExitCode:
    """Return the exit code; rows that differed and are repaired are DONE.

    ``received`` are the signals to this process: what SIGTERM cancelled is TERMINATED.
    """
    if row.is_cancelled:
        return ExitCode.TERMINATED if signal.SIGTERM in received else ExitCode.CANCELLED
    if isinstance(row, Verification) and row.is_repaired:
        return ExitCode.DONE
    return _BY_STATUS.get(str(row.status), ExitCode.FAILED)
