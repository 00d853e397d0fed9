"""Fixtures of the tests of runs."""

from __future__ import annotations

import pytest

from tests.harness.bench import Bench


@pytest.fixture
def numbers(bench: Bench) -> Bench:
    bench.at_source("CREATE TABLE s (k INTEGER, v TEXT)", "INSERT INTO s VALUES (1, 'one'), (2, 'two')")
    return bench
