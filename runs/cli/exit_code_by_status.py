"""The exit codes of commands that wait for a run, group run or verification, by how that ended."""

from __future__ import annotations

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


def exit_code_of(row: Execution) -> ExitCode:
    """Return the exit code; rows that differed and are repaired are DONE."""
    if row.is_cancelled:
        return ExitCode.CANCELLED
    if isinstance(row, Verification) and row.is_repaired:
        return ExitCode.DONE
    return _BY_STATUS.get(str(row.status), ExitCode.FAILED)
