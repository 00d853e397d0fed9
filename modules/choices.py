"""Choices of modules, hooks and groups. The values are stored and exported, so they must not change."""

from __future__ import annotations

from django.db.models import TextChoices


class DuplicateKeys(TextChoices):
    """What is done if the source delivers a key twice."""

    ERROR = "error", "Fail the run"
    KEEP_LATEST = "keep_latest", "Keep the row with the highest watermark"


class FullPublish(TextChoices):
    """How a full refresh removes the old rows."""

    TRUNCATE = "truncate", "Truncate: fast; readers wait briefly"
    DELETE = "delete", "Delete: slower; readers never wait"


class NulBytes(TextChoices):
    """What is done about NUL bytes in text for a destination that cannot store them."""

    FAIL = "fail", "Fail the run"
    STRIP = "strip", "Remove them"


class RunOn(TextChoices):
    """When a hook runs."""

    BEFORE = "before", "Before"
    SUCCESS = "success", "After success"
    FAILURE = "failure", "After failure"
    ALWAYS = "always", "Always, at the end"


class OnError(TextChoices):
    """What is done if a hook fails."""

    FAIL = "fail", "Fail the run"
    WARN = "warn", "Warn and continue"


class OnFailure(TextChoices):
    """What a group does after a member has failed."""

    CONTINUE = "continue", "Continue with the next module"
    STOP = "stop", "Stop the group"
