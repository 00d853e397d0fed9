"""Whether an ended run has published, and what it did not execute afterwards, in words for people."""

from __future__ import annotations

from collections.abc import Sequence

from connections.sdk.errors import (
    Cancelled,
    CountMismatch,
    DuplicateKeys,
    InvalidValue,
    Lost,
    NullKeys,
    Overtaken,
    Refused,
)
from runs.models.run import Run
from runs.models.states import FAILED

# raised before COMMIT, and only there
_ROLLED_BACK = {error.code for error in (Refused, DuplicateKeys, NullKeys, InvalidValue, CountMismatch)}
# say themselves what was published, or cannot know it
_SAID_BY_ERROR = {error.code for error in (Cancelled, Lost, Overtaken)}


def is_certainly_unpublished(run: Run) -> bool:
    """Return whether a failed run certainly changed nothing in its destination table.

    True for an error before the transfer had ended, or one that rolled the publish back. False after an earlier failed
    attempt or a lost connection or process: there the error's message says what is known.
    """
    if run.status not in FAILED or run.published_at is not None or run.attempts:
        return False
    code = (run.error or {}).get("code", "")
    transferred = any(step.get("step") == "transfer" for step in run.steps or ())
    return code in _ROLLED_BACK or (not transferred and code not in _SAID_BY_ERROR)


def unfinished_note(run: Run) -> str:
    """Return a note for a run that published and was ended before its later steps were; else an empty string."""
    steps = run.not_executed
    return f"the rows are published; not executed to the end: {', '.join(steps)}" if steps else ""


def unfinished_sentence(steps: Sequence[str] | None) -> str:
    """Return what an interrupted run did not execute after its publish; None if that is not known."""
    if steps is None:
        return "Remaining hooks and key_sync were skipped."
    if not steps:
        return "Nothing else was left to execute."
    left = ", ".join(steps)
    return f"Not executed to the end: {left}. The next run of the module executes its hooks and key_sync again."
