"""What a failed run has certainly done to its destination, by the steps that it began and the error that ended it."""

from __future__ import annotations

from connections.sdk.errors import CountMismatch, DuplicateKeys, InvalidValue, NullKeys, PipekitError, Refused
from runs.models.states import Effect

# raised before COMMIT, and only there
_ROLLED_BACK = {error.code for error in (Refused, DuplicateKeys, NullKeys, InvalidValue, CountMismatch)}
_PUBLISHING = "publish"


class EffectSoFar:
    """Follows a run until it ends; the caller says which steps begin, and what a commit record has proved."""

    def __init__(self) -> None:
        # whether its transaction is committed, and whether it may be
        self.is_published = self.may_be_published = False
        self._hooks_began = False

    def begin_step(self, step: str) -> None:
        """Note that a step begins.

        If the publish of an earlier attempt may be committed, the next one begins with a step only after the
        destination has no commit record.
        """
        self.may_be_published = step == _PUBLISHING

    def begin_hook(self) -> None:
        """Note that a hook is executed, which may change the table."""
        self._hooks_began = True

    def rule_out_publish(self) -> None:
        """Note that the destination has no commit record, unless the run is known to have published."""
        self.may_be_published = False

    def after(self, failure: PipekitError) -> Effect | None:
        """Return the run's effect if this error has ended it, None if it is not known."""
        if self.is_published:
            return Effect.PUBLISHED
        if self.may_be_published and failure.code not in _ROLLED_BACK:
            return None
        return Effect.UNPUBLISHED if self._hooks_began else Effect.UNCHANGED
