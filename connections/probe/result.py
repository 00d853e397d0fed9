"""The results of a connection test and of its steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """The result of one step. ``error`` is None or a PipekitError's ``as_dict()``."""

    name: str
    ok: bool
    milliseconds: int
    message: str
    error: dict[str, str] | None = None

    def as_json(self) -> dict[str, Any]:
        hint = self.error["hint"] if self.error else ""
        return {
            "name": self.name,
            "ok": self.ok,
            "milliseconds": self.milliseconds,
            "message": self.message,
            "hint": hint,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The steps that ran; if one failed, it is the last."""

    connection: str
    kind: str
    steps: tuple[Step, ...]

    @property
    def error(self) -> dict[str, str] | None:
        return self.steps[-1].error

    @property
    def ok(self) -> bool:
        return self.error is None

    @property
    def message(self) -> str:
        """Return one line: name and message of the failed step, or the time that the test took."""
        total = sum(step.milliseconds for step in self.steps)
        return f"{self.steps[-1].name}: {self.steps[-1].message}" if self.error else f"Works ({total} ms)."

    def as_json(self) -> dict[str, Any]:
        return {
            "connection": self.connection,
            "kind": self.kind,
            "ok": self.ok,
            "steps": [step.as_json() for step in self.steps],
            "error": self.error,
        }
