"""The log of a verification: its own file, and optionally a stream that shows progress."""

from __future__ import annotations

from collections.abc import Callable

from connections.secrets.redaction import redactor
from runs import logs
from runs.models.verification import Verification


class VerificationLog:
    """Writes redacted lines to the log file; ``show`` is also called with progress."""

    def __init__(self, verification: Verification, show: Callable[[str], object]) -> None:
        self._verification, self._show = verification, show

    def __call__(self, text: str) -> None:
        """Log a line of progress and show it."""
        redacted = redactor().text(text)
        logs.write(self._verification, redacted)
        self._show(redacted)

    def write(self, text: str) -> None:
        """Log a text without showing it."""
        logs.write(self._verification, redactor().text(text))
