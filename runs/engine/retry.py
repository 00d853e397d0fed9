"""Tries a run again when its failure can pass by itself: with growing, random waits, so many times, for so long.

Every attempt has the run's own token, and each asks the commit record first: what is published is not done twice.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from itertools import count

from connections.sdk.errors import ConnectionFailed, PipekitError
from runs.engine import sync
from runs.engine.events import AttemptFailed, Event, Published
from runs.engine.plan import Plan
from runs.engine.publish import publish

# a connection that cannot be made is tried again at once, apart from the retries
_CONNECTS, _CONNECT_DELAY = 3, 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How often and how long; delays in seconds."""

    max_retries: int = 3
    delay: float = 5
    max_delay: float = 900
    exponential: bool = True
    # seconds since the first attempt began, after which none begins
    timeout: float = 3600

    def wait(self, retry: int) -> float:
        """Return how long to wait before a retry (1, 2, ...): up to the bound by chance, so that runs spread out."""
        bound = self.delay * 2.0 ** (retry - 1) if self.exponential else self.delay
        return random.uniform(0, min(bound, self.max_delay))


class Budget:
    """What is left of a policy while a run goes on."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._ends = time.monotonic() + policy.timeout
        self._retries = self._connects = 0

    def spend(self, error: PipekitError) -> tuple[float, bool] | None:
        """Return the wait before the next attempt and whether it is for a connection; None when there is none."""
        if not error.retryable:
            return None
        connecting = isinstance(error, ConnectionFailed) and self._connects < _CONNECTS
        if connecting:
            self._connects += 1
            wait = _CONNECT_DELAY
        else:
            self._retries += 1
            # the next connection that cannot be made is another matter
            self._connects = 0
            wait = self._policy.wait(self._retries)
        over = self._retries > self._policy.max_retries or time.monotonic() + wait > self._ends
        return None if over else (wait, connecting)


def run(plan: Plan, policy: Policy, *, still_ours: Callable[[], bool]) -> Generator[Event, None, None]:
    """Do what `sync.run` does, as often as the policy allows; AttemptFailed stands between two attempts.

    ``still_ours`` says whether the run has not been taken from this process meanwhile.
    """
    budget, published = Budget(policy), False
    for number in count(1):
        try:
            for event in _attempt(plan, number, published=published):
                published = published or isinstance(event, Published)
                yield event
            break
        except PipekitError as error:
            spent = budget.spend(error)
            if spent is None or not still_ours():
                yield from sync.after_failure(plan)
                raise
            wait, connecting = spent
            yield AttemptFailed(
                number=number, code=error.code, message=error.message, wait=round(wait, 3), connecting=connecting
            )
        time.sleep(wait)
    yield from sync.after_success(plan)


def _attempt(plan: Plan, number: int, *, published: bool) -> Iterator[Event]:
    if number > 1 and not plan.dry_run and not published:
        found = publish.find(plan)
        if found is not None:
            yield found
            published = True
    yield from sync.resume(plan) if published else sync.attempt(plan)
