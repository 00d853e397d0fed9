"""Fixtures of the publish tests."""

from __future__ import annotations

import pytest

from tests.harness.bench import Bench


@pytest.fixture
def numbers(pg_bench: Bench) -> Bench:
    pg_bench.at_source(
        "CREATE TABLE s (k int PRIMARY KEY, v text)", "INSERT INTO s SELECT n, 'v' || n FROM generate_series(1, 100) n"
    )
    return pg_bench
