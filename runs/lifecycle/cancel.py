"""Stop a run or a group run: ask its process, then make it, and say whether that was in time.

Nothing is undone here: a run's process leaves the destination as it was, and one that is killed cannot commit.
"""

from __future__ import annotations

import time
from enum import StrEnum

from connections.sdk.errors import Cancelled, PipekitError
from runs import logs
from runs.launchers.launcher import launcher
from runs.lifecycle.reap import reap, reap_group, seems_dead
from runs.models import GroupRun, Run
from runs.models.states import GroupStatus, IllegalTransition, Status
from runs.process.control import ProcessHandle, open_process

# seconds after which it is asked by a signal, is killed, and what is left of its children is
_TERMINATE, _KILL, _KILL_OTHERS = 10.0, 15.0, 18.0
# seconds after which whoever waits is told how it stands: a process elsewhere cannot be made to stop from here
_GIVE_UP = 25.0
_LOOK = 0.2


class Answer(StrEnum):
    # its process is asked, and made to if it does not
    ASKED = "asked"
    CANCELLED = "cancelled"
    TOO_LATE = "too late, published"
    OVER = "over already"


def cancel(row: Run | GroupRun) -> Answer:
    """Ask and return at once; a process of its own sees to it that the run ends within 20 seconds."""
    answer = _ask(row)
    if answer is Answer.ASKED:
        words = ["cancelrun", *(["--group-run"] if isinstance(row, GroupRun) else []), str(row.pk)]
        try:
            launcher().launch(words, log=row.log_file)
        except PipekitError as error:
            # it has been asked all the same
            logs.write(row, f"cancel: {error.message}")
        if isinstance(row, Run) and row.published_at is not None:
            return Answer.TOO_LATE
    return answer


def stop(row: Run | GroupRun) -> Answer:
    """Ask, and wait for the end; returns ASKED only when the process cannot be reached from here and goes on."""
    answer = _ask(row)
    if answer is not Answer.ASKED:
        return answer
    with open_process(row.process) as process:
        _see_to(row, process)
    row.refresh_from_db()
    return _outcome(row)


def _ask(row: Run | GroupRun) -> Answer:
    row.refresh_from_db()
    if row.is_final:
        return Answer.OVER
    if not row.request_cancel():
        row.refresh_from_db()
        return Answer.OVER
    row.refresh_from_db()
    _settle(row)
    return Answer.ASKED if not row.is_final else _outcome(row)


def _settle(row: Run | GroupRun) -> None:
    """End at once what has no process that could: one that is dead, or has not come yet."""
    if seems_dead(row):
        reap(row) if isinstance(row, Run) else reap_group(row)
    elif row.status == Status.QUEUED:
        try:
            if isinstance(row, Run):
                row.finish_cancelled(Cancelled("The run was cancelled before it began.").as_dict())
            else:
                row.finish_cancelled()
        except IllegalTransition:
            # its process has come meanwhile, and finds the wish
            pass
    row.refresh_from_db()


def _see_to(row: Run | GroupRun, process: ProcessHandle) -> None:
    began = time.monotonic()
    # a group run ends when its runs have ended, each of which may take its time
    later = 0.0 if isinstance(row, Run) else _KILL_OTHERS
    steps = [(_TERMINATE, process.terminate), (_KILL, process.kill), (_KILL_OTHERS, process.kill_descendants)]
    while time.monotonic() - began < later + _GIVE_UP:
        row.refresh_from_db()
        if row.is_final and not process.has_descendants():
            return
        if not row.is_final and seems_dead(row):
            _settle(row)
        if steps and time.monotonic() - began > later + steps[0][0]:
            act = steps.pop(0)[1]
            logs.write(row, f"cancel: it goes on; {act.__name__}")
            act()
        time.sleep(_LOOK)


def _outcome(row: Run | GroupRun) -> Answer:
    if row.status in (Status.CANCELLED, GroupStatus.CANCELLED):
        return Answer.CANCELLED
    if not row.is_final:
        return Answer.ASKED
    return Answer.TOO_LATE if isinstance(row, Run) and row.status == Status.SUCCESS else Answer.OVER
