"""Which errors are retried, how often, and after which waits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import psycopg
import pytest

from connections.connectors.postgresql.errors.statement import from_psycopg
from connections.sdk import errors
from runs.engine.retry import Budget
from tests.harness.bench import retry_policy


def test_waits_are_random_below_a_bound_that_doubles_up_to_the_maximum() -> None:
    policy = retry_policy(delay=5, max_delay=900)
    for retry, bound in ((1, 5), (2, 10), (3, 20), (8, 640), (9, 900), (500, 900)):
        waits = [policy.wait(retry) for _ in range(300)]
        assert 0 <= min(waits) < bound * 0.2
        assert bound * 0.8 < max(waits) <= bound
    assert max(replace(policy, exponential=False).wait(9) for _ in range(300)) <= 5


# every error code, by whether runs that failed with it are retried, and the reason
RETRIED = {
    "connection_failed": "the server may come back",
    "connection_lost": "it was reset, or the server restarted",
    "no_progress": "the connection froze",
    "lock_timeout": "the holder of the lock will release it",
    "serialization_failed": "another transaction was first, or there was a deadlock",
    "statement_stopped": "the server was slow, or a user of it stopped the statement",
    "transient": "the connector reports that it may pass",
    "lost": "the commit record is checked first",
}


NOT_RETRIED = {
    "already_running": "the next slot comes anyway",
    "authentication_failed": "it would lock the account",
    "cancelled": "a user wanted that",
    "column_missing": "the configuration",
    "column_unmapped": "the configuration",
    "configuration": "the configuration",
    "configuration_invalid": "the configuration",
    "count_mismatch": "it would hide a defect",
    "data": "the data",
    "database_missing": "the configuration",
    "disk_full": "an operator must free space",
    "driver_missing": "the configuration",
    "duplicate_keys": "the data",
    "external_failed": "it is unknown what the external program did",
    "internal": "a bug in Pipekit",
    "not_supported": "the configuration",
    "null_keys": "the data",
    "overtaken": "the later run replaces it",
    "permission_denied": "a grant is missing",
    "protected": "this process lacks the key or the permission",
    "query_invalid": "the SQL",
    "safety_limit": "an operator must check it",
    "secret_missing": "the configuration",
    "table_missing": "the configuration",
    "token_unknown": "the configuration",
    "url_invalid": "the configuration",
    "value_misfit": "the data",
}


def subclasses(base: type[errors.PipekitError]) -> Iterator[type[errors.PipekitError]]:
    for child in base.__subclasses__():
        if child.__module__ == errors.__name__:
            yield child
            yield from subclasses(child)


def test_every_error_is_listed_and_only_those_that_may_pass_are_retried() -> None:
    classes = {cls.code: cls for cls in subclasses(errors.PipekitError)}
    assert set(classes) == {*RETRIED, *NOT_RETRIED}
    retried = {code for code, cls in classes.items() if Budget(retry_policy()).next_retry(cls("it failed")) is not None}
    assert retried == set(RETRIED)


@pytest.mark.parametrize(
    ("state", "retryable"),
    [
        *[(state, True) for state in ("08006", "57P01", "57P03", "53300", "40001", "40P01", "55P03", "57014")],
        *[(state, False) for state in ("28P01", "42501", "42601", "42P01", "22003", "23505", "53100", "3D000")],
    ],
)
def test_the_sqlstate_of_a_postgresql_error_decides_whether_it_is_retried(state: str, retryable: bool) -> None:
    class StatementError(psycopg.DatabaseError):
        sqlstate = state

    assert from_psycopg(StatementError("it failed"), name="dw").retryable is retryable


def test_retries_are_limited_and_failed_connects_are_counted_separately() -> None:
    budget = Budget(retry_policy(max_retries=2))
    lost, unreachable = errors.ConnectionLost("reset"), errors.ConnectionFailed("closed")
    connecting = [budget.next_retry(unreachable) for _ in range(3)]
    assert [retry and (retry.wait, retry.connecting) for retry in connecting] == [(1.0, True)] * 3
    retries = [budget.next_retry(lost) for _ in range(2)]
    assert [retry and retry.connecting for retry in retries] == [False, False]
    assert budget.next_retry(lost) is None


def test_each_attempt_has_four_tries_to_connect_which_are_numbered_within_it() -> None:
    budget, unreachable = Budget(retry_policy(max_retries=1)), errors.ConnectionFailed("closed")
    failures = [budget.next_retry(unreachable) for _ in range(8)]
    assert [retry and (retry.attempt, retry.connection_try, retry.connecting) for retry in failures] == [
        (1, 1, True),
        (1, 2, True),
        (1, 3, True),
        (1, 4, False),
        (2, 1, True),
        (2, 2, True),
        (2, 3, True),
        None,
    ]
    assert budget.next_retry(errors.ConnectionLost("reset")) is None


def test_there_is_no_retry_after_the_timeout() -> None:
    budget = Budget(retry_policy(timeout=0))
    assert budget.next_retry(errors.ConnectionLost("reset")) is None
