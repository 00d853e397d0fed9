"""Builds the engine's retry policy from a module."""

from __future__ import annotations

from modules.models import Module
from runs.engine.retry import Policy


def of(module: Module) -> Policy:
    """Return the retry policy of a module's runs."""
    return Policy(
        max_retries=module.max_retries,
        delay=module.retry_delay,
        max_delay=module.max_retry_delay,
        exponential=module.exponential_backoff,
        timeout=module.retry_timeout,
    )
