"""Choices of modules, hooks and groups, except for the merge strategies, which are in `modules.strategies`. No Django.

The values are stored and exported, so they must not change.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Self


class Choice(StrEnum):
    """A value of a field, with its label in the admin."""

    label: str

    def __new__(cls, value: str, label: str = "") -> Self:
        # without a label when a choice is looked up by its value
        choice = str.__new__(cls, value)
        choice._value_, choice.label = value, label
        return choice

    @classmethod
    def labelled(cls) -> list[tuple[str, str]]:
        """Return values and labels, as the ``choices`` of a model field."""
        return [(choice.value, choice.label) for choice in cls]


class DuplicateKeys(Choice):
    """What is done if the source delivers a key twice."""

    ERROR = "error", "Fail the run"
    KEEP_LATEST = "keep_latest", "Keep the row with the highest watermark"


class FullPublish(Choice):
    """How a full refresh replaces the old rows."""

    AUTO = "auto", "Automatic: swap if nothing is lost by it, else truncate, else delete"
    SWAP = "swap", "Swap: exchange the tables, or fail; fastest; readers wait briefly"
    TRUNCATE = "truncate", "Truncate: fast; readers wait briefly"
    DELETE = "delete", "Delete: slower; readers never wait"


class NulBytes(Choice):
    """What is done about NUL bytes in text for a destination that cannot store them."""

    FAIL = "fail", "Fail the run"
    STRIP = "strip", "Remove them"


class RunOn(Choice):
    """When a hook runs."""

    BEFORE = "before", "Before"
    SUCCESS = "success", "After success"
    FAILURE = "failure", "After failure"
    ALWAYS = "always", "Always, at the end"


class OnError(Choice):
    """What is done if a hook fails."""

    FAIL = "fail", "Fail the run"
    WARN = "warn", "Warn and continue"


class OnFailure(Choice):
    """What a group does after a member has failed."""

    CONTINUE = "continue", "Continue with the next module"
    STOP = "stop", "Stop the group"
