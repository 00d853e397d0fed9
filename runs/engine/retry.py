"""Retries a run after a transient failure, with exponential backoff and jitter, within a number and a time limit.

All attempts share the run's token, and each retry looks for the run's commit record first: nothing is published twice.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Collection, Generator, Iterator
from itertools import count

from connections.sdk.errors import ConnectionFailed, PipekitError
from connections.sdk.records import dataclass
from runs.engine import sync
from runs.engine.events import AttemptFailed, Event, HookSucceeded, Published
from runs.engine.plan import Plan
from runs.engine.publish.commit import find_published

# a failed connection is retried this often, after so many seconds, without being counted as a retry
_CONNECTS, _CONNECT_DELAY = 3, 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often and for how long a run is retried. Delays are in seconds."""

    max_retries: int
    delay: float
    max_delay: float
    exponential: bool
    # seconds after the start of the first attempt; no attempt begins later
    timeout: float

    def wait(self, retry: int) -> float:
        """Return the seconds to wait before a retry (1, 2, ...): random, so that runs do not all retry at once."""
        bound = self.delay * 2.0 ** (retry - 1) if self.exponential else self.delay
        return random.uniform(0, min(bound, self.max_delay))


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """What follows a failure: the wait before the next try, and the counts of the try that failed."""

    wait: float
    # whether only the connection is tried again, within the same attempt
    connecting: bool
    attempt: int
    # 0 if it was not the connection that failed
    connection_try: int


class Budget:
    """The retries and the time that a policy has left during a run."""

    def __init__(self, policy: RetryPolicy) -> None:
        self._policy = policy
        self._ends = time.monotonic() + policy.timeout
        self._retries = self._connects = 0

    def next_retry(self, error: PipekitError) -> Retry | None:
        """Count a failure; return what follows it, None if no try is left."""
        if not error.retryable:
            return None
        attempt = self._retries + 1
        connection_try = self._connects + 1 if isinstance(error, ConnectionFailed) else 0
        connecting = 0 < connection_try <= _CONNECTS
        if connecting:
            self._connects += 1
            wait = _CONNECT_DELAY
        else:
            self._retries += 1
            # the next attempt may try its connections as often
            self._connects = 0
            wait = self._policy.wait(self._retries)
        is_exhausted = self._retries > self._policy.max_retries or time.monotonic() + wait > self._ends
        if is_exhausted:
            return None
        return Retry(wait=wait, connecting=connecting, attempt=attempt, connection_try=connection_try)


def run_with_retries(plan: Plan, policy: RetryPolicy, *, must_stop: Callable[[], bool]) -> Generator[Event, None, None]:
    """Execute the plan, retrying as the policy allows; AttemptFailed is yielded between two tries.

    Otherwise, and with ``must_stop``, it does what `sync.execute_plan` does. A hook after success that has succeeded
    is not executed again by a later attempt.
    """
    budget, published, succeeded = Budget(policy), False, set[int]()
    for number in count(1):
        try:
            for event in _attempt(plan, number, published=published, succeeded=succeeded):
                published = published or isinstance(event, Published)
                if isinstance(event, HookSucceeded):
                    succeeded.add(event.number)
                yield event
            break
        except PipekitError as error:
            retry = budget.next_retry(error)
            if retry is None:
                yield from sync.after_failure(plan, error, must_stop=must_stop)
                raise
            if must_stop():
                raise sync.RunStopped from error
            yield AttemptFailed(
                number=number,
                code=error.code,
                message=error.message,
                wait=round(retry.wait, 3),
                connecting=retry.connecting,
                attempt=retry.attempt,
                max_attempts=policy.max_retries + 1,
                connection_try=retry.connection_try,
                max_connection_tries=_CONNECTS + 1,
            )
        except Exception as error:
            # an error of Pipekit itself, which is not retried
            yield from sync.after_failure(plan, error, must_stop=must_stop)
            raise
        time.sleep(retry.wait)
    yield from sync.after_success(plan)


def _attempt(plan: Plan, number: int, *, published: bool, succeeded: Collection[int]) -> Iterator[Event]:
    if number > 1 and not plan.dry_run and not published:
        earlier = find_published(plan)
        if earlier is not None:
            yield earlier
            published = True
    yield from sync.resume(plan, succeeded=succeeded) if published else sync.attempt(plan)
