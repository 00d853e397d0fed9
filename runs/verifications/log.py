"""A verification's log: kept in a file of its own whoever carries it out, and shown to who started it."""

from __future__ import annotations

from collections.abc import Callable

from connections.secrets.redaction import redactor
from runs import logs
from runs.models.verification import Verification


class VerificationLog:
    """Writes lines without secrets; ``show`` gets progress as well, such as a terminal's stream."""

    def __init__(self, verification: Verification, show: Callable[[str], object]) -> None:
        self._verification, self._show = verification, show

    def __call__(self, text: str) -> None:
        """Log progress."""
        hidden = redactor().text(text)
        logs.write(self._verification, hidden)
        self._show(hidden)

    def keep(self, text: str) -> None:
        """Log what whoever started it gets as the result."""
        logs.write(self._verification, redactor().text(text))
